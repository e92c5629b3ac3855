"""The routes of the blob endpoint, and its frontend."""

from __future__ import annotations

from azureml_wrapper.local.http.application import Frontend
from azureml_wrapper.local.http.routing import Route, Router
from azureml_wrapper.local.services.blob import containers, handlers, wire
from azureml_wrapper.local.services.blob.access import authenticator
from azureml_wrapper.local.services.context import Context

_ACCOUNT, _CONTAINER, _BLOB = "/", "/{container}", "/{container}/{name:rest}"
_PLAIN = {"restype": "container", "comp": None}
_METADATA = {"restype": "container", "comp": "metadata"}

ROUTES = (
    Route("GET", _ACCOUNT, containers.list_containers, {"comp": "list"}),
    Route("GET", _ACCOUNT, containers.service_properties, {"restype": "service", "comp": "properties"}),
    Route("GET", _ACCOUNT, containers.account_information, {"restype": "account", "comp": "properties"}),
    Route("HEAD", _ACCOUNT, containers.account_information, {"restype": "account", "comp": "properties"}),
    Route("GET", _CONTAINER, containers.list_blobs, {"restype": "container", "comp": "list"}),
    Route("PUT", _CONTAINER, containers.create_container, _PLAIN),
    Route("DELETE", _CONTAINER, containers.delete_container, _PLAIN),
    *(Route(method, _CONTAINER, containers.container_properties, _PLAIN) for method in ("GET", "HEAD")),
    *(Route(method, _CONTAINER, containers.container_properties, _METADATA) for method in ("GET", "HEAD")),
    Route("GET", _BLOB, handlers.get_blob, {"comp": None}),
    Route("HEAD", _BLOB, handlers.head_blob, {"comp": None}),
    Route("PUT", _BLOB, handlers.put_blob, {"comp": None, "restype": None}, streams=True),
    Route("DELETE", _BLOB, handlers.delete_blob, {"comp": None, "restype": None}),
    Route("PUT", _BLOB, handlers.put_block, {"comp": "block"}, streams=True),
    Route("PUT", _BLOB, handlers.put_block_list, {"comp": "blocklist"}),
    Route("GET", _BLOB, handlers.get_block_list, {"comp": "blocklist"}),
    Route("PUT", _BLOB, handlers.append_block, {"comp": "appendblock"}, streams=True),
    *(Route(method, _BLOB, handlers.head_blob, {"comp": "metadata"}) for method in ("GET", "HEAD")),
    Route("PUT", _BLOB, handlers.set_metadata, {"comp": "metadata"}),
    Route("PUT", _BLOB, handlers.set_properties, {"comp": "properties"}),
)


def frontend(context: Context) -> Frontend:
    """The storage side of the application: its routes, authentication and XML errors."""
    return Frontend(router=Router(ROUTES), authenticate=authenticator(context), answer_fault=wire.fault)
