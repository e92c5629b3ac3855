"""Blob datastores: found, registered, and the blobs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_datastore_name
from azureml_wrapper.errors import AlreadyRegistered, BadData, UnregisteredDatastore, did_you_mean
from azureml_wrapper.messages import hushed, say

if TYPE_CHECKING:
    from azureml.core import Workspace


def get_datastore(ws: Workspace, name: str) -> Any:
    """The datastore; `UnregisteredDatastore` with near names where there is none."""
    found = find_datastore(ws, name)
    if found is None:
        known = list(ws.datastores)
        raise UnregisteredDatastore(
            f"Workspace {ws.name} has no datastore {name!r}.{did_you_mean(name, known)} "
            f"There are: {', '.join(known)}."
        )
    return found


def find_datastore(ws: Workspace, name: str) -> Any:
    """The datastore of that name, or None."""
    from azureml.core import Datastore
    from azureml.exceptions import UserErrorException

    check_datastore_name(name)
    try:
        with hushed():
            return Datastore.get(ws, name)
    except UserErrorException as error:
        # The service's words; the SDK has no class of its own for it.
        if "Could not find datastore" not in str(error):
            raise
        return None


def register_blob_datastore(ws: Workspace, name: str, container: str, account: str, key: str) -> Any:
    """The datastore of that name; `AlreadyRegistered` where it exists with another container, account or key."""
    from azureml.core import Datastore

    # Asked first, for the SDK logs an error where it is there.
    found = find_datastore(ws, name)
    if found is None:
        return Datastore.register_azure_blob_container(
            ws, datastore_name=name, container_name=container, account_name=account, account_key=key
        )
    differing = [
        what
        for what, there, wanted in (
            ("type", getattr(found, "datastore_type", None), "AzureBlob"),
            ("container", getattr(found, "container_name", None), container),
            ("account", getattr(found, "account_name", None), account),
            ("access key", getattr(found, "account_key", None), key),
        )
        if there != wanted
    ]
    if differing:
        raise AlreadyRegistered(
            f"Datastore {name!r} is registered with another {' and another '.join(differing)}; datastores have no "
            "versions. Use another name, or call unregister_blob_datastore first."
        )
    say(f"Datastore {name!r} is registered already, unchanged.")
    return found


def blob_client(datastore: Any, file: str) -> Any:
    service = getattr(datastore, "blob_service", None)
    if service is None:
        raise BadData(f"Datastore {datastore.name!r} is no blob container; register_csv reads and writes only those.")
    return service.get_blob_client(datastore.container_name, file)
