"""Blob datastores: find them, register them, and reach their blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_datastore_name
from azureml_wrapper.errors import AlreadyRegistered, BadData, UnregisteredDatastore, did_you_mean, near
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Workspace


def get_datastore(ws: Workspace, name: str) -> Any:
    """The datastore of a name; `UnregisteredDatastore` suggests similar names."""
    found = find_datastore(ws, name)
    if found is None:
        known = list(ws.datastores)
        raise UnregisteredDatastore(
            f"Workspace {ws.name} has no datastore {name!r}.{did_you_mean(name, known)} "
            f"Registered: {', '.join(known)}."
        )
    return found


def find_datastore(ws: Workspace, name: str) -> Any:
    """The datastore of that name, or None."""
    from azureml.core import Datastore
    from azureml.exceptions import UserErrorException

    check_datastore_name(name)
    try:
        return Datastore.get(ws, name)
    except UserErrorException as error:
        # The service's message; the SDK has no error class for it.
        if "Could not find datastore" not in str(error):
            raise
        return None


def unregister_datastore(ws: Workspace, name: str) -> None:
    """Unregister a datastore; one that does not exist is reported, or `UnregisteredDatastore` if it is a typo."""
    found = find_datastore(ws, name)
    if found is not None:
        found.unregister()
    elif near(name, ws.datastores):
        get_datastore(ws, name)
    else:
        inform(f"Datastore {name!r} is not registered; nothing to unregister.")


def register_blob_datastore(ws: Workspace, name: str, container: str, account: str, key: str) -> Any:
    """Register a datastore; `AlreadyRegistered` if it exists with another container, account or key."""
    from azureml.core import Datastore

    # Checked first, because the SDK logs an error for an existing one.
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
            f"Datastore {name!r} is registered with another {' and another '.join(differing)}. Use another name, or "
            "call unregister_blob_datastore first."
        )
    inform(f"Datastore {name!r} is already registered, unchanged.")
    return found


def blob_client(datastore: Any, file: str) -> Any:
    """The client of one blob; `BadData` if the datastore is not a blob container."""
    service = getattr(datastore, "blob_service", None)
    if service is None:
        raise BadData(f"Datastore {datastore.name!r} is not a blob container, which register_csv requires.")
    return service.get_blob_client(datastore.container_name, file)
