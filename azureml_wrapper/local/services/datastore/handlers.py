"""Operations of the datastore service."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.storage import Datastore
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.datastore import wire

PAGE = 100


def list_datastores(context: Context, request: Request) -> Response:
    """A page; its token is the name after which the next page starts."""
    found = context.datastores.all(request.workspace_id)
    after = request.query.get("continuationtoken")
    names = [datastore.name for datastore in found]
    start = names.index(after) + 1 if after in names else 0
    end = start + _count(request)
    value = [_shown(context, request, datastore) for datastore in found[start:end]]
    return json_response({"value": value, "continuationToken": names[end - 1] if end < len(names) else None})


def create_datastore(context: Context, request: Request) -> Response:
    datastore, key = wire.parse_datastore(request.json_object())
    context.datastores.add(request.workspace_id, datastore, key=key)
    return empty()


def update_datastore(context: Context, request: Request) -> Response:
    datastore, key = wire.parse_datastore(request.json_object())
    if datastore.name != request["name"].lower():
        raise Invalid(f"The names differ: {request['name']} in the address, {datastore.name} in the body.")
    context.datastores.put(request.workspace_id, datastore, key=key)
    return empty()


def get_datastore(context: Context, request: Request) -> Response:
    return json_response(_shown(context, request, context.datastores.get(request.workspace_id, request["name"])))


def delete_datastore(context: Context, request: Request) -> Response:
    context.datastores.delete(request.workspace_id, request["name"])
    return empty()


def get_default(context: Context, request: Request) -> Response:
    return json_response(_shown(context, request, context.datastores.default(request.workspace_id)))


def set_default(context: Context, request: Request) -> Response:
    context.datastores.set_default(request.workspace_id, request["name"])
    return empty()


def _shown(context: Context, request: Request, datastore: Datastore) -> wire.JSON:
    key = context.accounts.ensure(datastore.account)
    return wire.datastore(datastore, request.workspace, context.addresses, key)


def _count(request: Request) -> int:
    text = request.query.get("count") or "0"
    if not is_number(text):
        raise Invalid(f"Invalid count {text[:80]!r}: expected an integer ≥ 0.")
    return min(int(text) or PAGE, PAGE)


_BASE = "/datastore/v1.0{workspace_scope}"

ROUTES = (
    Route("GET", f"{_BASE}/datastores", list_datastores),
    Route("POST", f"{_BASE}/datastores", create_datastore),
    Route("GET", f"{_BASE}/datastores/{{name}}", get_datastore),
    Route("PUT", f"{_BASE}/datastores/{{name}}", update_datastore),
    Route("DELETE", f"{_BASE}/datastores/{{name}}", delete_datastore),
    Route("GET", f"{_BASE}/default", get_default),
    Route("PUT", f"{_BASE}/default/{{name}}", set_default),
)
