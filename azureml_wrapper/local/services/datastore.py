"""Datastores: names for containers of storage accounts. The bytes in them are the blob service's.

JSON: azureml/_restclient/models/data_store.py, azure_storage.py.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.shapes import MapOf, check_shape
from azureml_wrapper.local.domain.storage import Credential, Datastore
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context

JSON = dict[str, Any]

# Datastores of a page, at most.
PAGE = 100
# Only the SDK reads these.
_KEPT = ("subscriptionId", "resourceGroup", "blobCacheTimeout", "areWorkspaceManagedIdentitiesAllowed")
_TEXTS = ("accountName", "containerName", "credentialType", "credential")
_IDENTITY = "serviceDataAccessAuthIdentity"


def datastore_json(record: Datastore, workspace: Workspace, addresses: Addresses, key: str) -> JSON:
    """A datastore as `Datastore.get` and rslex read it.

    The secret appears twice: rslex reads `credential`, the Python client `accountKey` or `sasToken`. `protocol` is
    for rslex; the Python client always uses https.
    """
    section = record.record.get("section", {})
    return {
        "name": record.name,
        "dataStoreType": record.kind,
        "hasBeenValidated": True,
        "tags": record.record.get("tags") or {},
        "azureStorageSection": {
            "accountName": record.account,
            "containerName": record.container,
            "endpoint": addresses.storage_endpoint,
            "protocol": "http",
            **_secrets(record, key),
            "blobCacheTimeout": section.get("blobCacheTimeout") or 0,
            "subscriptionId": section.get("subscriptionId") or workspace.subscription,
            "resourceGroup": section.get("resourceGroup") or workspace.resource_group,
            "areWorkspaceManagedIdentitiesAllowed": bool(section.get("areWorkspaceManagedIdentitiesAllowed")),
            _IDENTITY: section.get(_IDENTITY) or "None",
        },
    }


def _secrets(record: Datastore, key: str) -> JSON:
    """A datastore without credentials gets its account's key.

    In Azure the user's login would open it; here rslex would try to log in at login.microsoftonline.com.
    """
    is_sas = record.credential is Credential.SAS
    return {
        "credentialType": (Credential.SAS if is_sas else Credential.ACCOUNT_KEY).value,
        "credential": record.sas if is_sas else key,
        "isSas": is_sas,
        "accountKey": None if is_sas else key,
        "sasToken": record.sas if is_sas else None,
    }


def parse_datastore(body: JSON) -> tuple[Datastore, str | None]:
    """The datastore that a client registers, and its account key, if any."""
    check_shape(body, {"name": str, "dataStoreType": str, "tags": MapOf(str)}, "Datastore")
    kind, section = body.get("dataStoreType"), body.get("azureStorageSection")
    if kind != "AzureBlob" or not isinstance(section, dict):
        raise Unsupported(
            f"Unsupported datastore type {kind}: the local service has only blob containers "
            "(Datastore.register_azure_blob_container)."
        )
    credential, secret = _credential(section)
    datastore = Datastore(
        name=str(body.get("name") or "").lower(),
        account=str(section.get("accountName") or ""),
        container=str(section.get("containerName") or ""),
        credential=credential,
        sas=secret if credential is Credential.SAS else None,
        record={"tags": body.get("tags"), "section": _kept(section)},
    )
    return datastore, secret if credential is Credential.ACCOUNT_KEY else None


def _credential(section: JSON) -> tuple[Credential, str | None]:
    check_shape(section, dict.fromkeys(_TEXTS, str), "azureStorageSection")
    word, secret = section.get("credentialType") or "None", section.get("credential")
    if word not in [credential.value for credential in Credential]:
        raise Unsupported(f"Unsupported credential type {word}: use an account key, a SAS token or no credential.")
    credential = Credential(word)
    if credential is not Credential.NONE and not secret:
        raise Invalid(f"The datastore's credential type is {word}, but its credential is missing.")
    if credential is Credential.SAS:
        _check_sas(str(secret))
    return credential, str(secret) if secret else None


def _check_sas(token: str) -> None:
    missing = [name for name in ("sig", "se", "sp") if name not in parse_qs(token.lstrip("?"))]
    if missing:
        raise Invalid(f"Incomplete SAS token: {' and '.join(missing)} missing. Copy all of it, 'sv=…&sig=…'.")


def _kept(section: JSON) -> JSON:
    kept = {name: section[name] for name in _KEPT if section.get(name) is not None}
    # The SDK writes this key capitalized and reads it in lowercase.
    identity = section.get("ServiceDataAccessAuthIdentity") or section.get(_IDENTITY)
    return {**kept, **({_IDENTITY: identity} if identity else {})}


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
    datastore, key = parse_datastore(request.json_object())
    context.datastores.add(request.workspace_id, datastore, key=key)
    return empty()


def update_datastore(context: Context, request: Request) -> Response:
    datastore, key = parse_datastore(request.json_object())
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


def list_accounts(context: Context, _: Request) -> Response:
    """The storage accounts with their keys, for tools that open the storage themselves; not an operation of Azure."""
    for workspace in context.workspaces.all():
        # Makes the workspace's own account and its containers, if it was never used.
        context.datastores.default(workspace.workspace_id)
    accounts = [{"name": name, "key": context.accounts.ensure(name)} for name in context.accounts.names()]
    return json_response({"value": accounts})


def _shown(context: Context, request: Request, datastore: Datastore) -> JSON:
    key = context.accounts.ensure(datastore.account)
    return datastore_json(datastore, request.workspace, context.addresses, key)


def _count(request: Request) -> int:
    text = request.query.get("count") or "0"
    if not is_number(text):
        raise Invalid(f"Invalid count {text[:80]!r}: expected an integer ≥ 0.")
    return min(int(text) or PAGE, PAGE)


_BASE = "/datastore/v1.0{workspace_scope}"

ROUTES = (
    Route("GET", "/datastore/v1.0/accounts", list_accounts, runs=Runs.NOTHING),
    Route("GET", f"{_BASE}/datastores", list_datastores),
    Route("POST", f"{_BASE}/datastores", create_datastore),
    Route("GET", f"{_BASE}/datastores/{{name}}", get_datastore),
    Route("PUT", f"{_BASE}/datastores/{{name}}", update_datastore),
    Route("DELETE", f"{_BASE}/datastores/{{name}}", delete_datastore),
    Route("GET", f"{_BASE}/default", get_default),
    Route("PUT", f"{_BASE}/default/{{name}}", set_default),
)
