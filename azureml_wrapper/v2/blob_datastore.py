"""`type: azure_blob`: a container of a storage account, registered through SDK v1."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_wrapper.assets.datastores import find_datastore
from azureml_wrapper.assets.names import check_datastore_name
from azureml_wrapper.errors import AlreadyRegistered
from azureml_wrapper.v2.yaml_keys import SCHEMA, Key, Keys, Noted, Place, one_of, read_keys, text

if TYPE_CHECKING:
    from azureml.core import Workspace

TYPES = ("azure_blob",)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def _secret(place: Place) -> str | None:
    """A key, or `${NAME}` of the environment, so that a file without secrets can be kept."""
    value = text(place)
    found = _VARIABLE.fullmatch(value or "")
    if found and found[1] not in os.environ:
        place.fail(f"{place} names the environment variable {found[1]}, which is not set.")
    return os.environ.get(found[1]) if found else value


def _protocol(place: Place) -> str | None:
    value = one_of("https", "wasbs", "http", "wasb")(place)
    # What SDK v1's clients speak with a container, regardless of its name.
    return {"wasbs": "https", "wasb": "http"}.get(value or "", value)


_CREDENTIALS: Keys = {
    "account_key": Key(read=_secret, becomes="`account_key`; `${NAME}` is that variable of the environment"),
    "sas_token": Key(read=_secret, becomes="`sas_token`; `${NAME}` is that variable of the environment"),
}
KEYS: Keys = {
    "$schema": SCHEMA,
    "name": Key(read=text, becomes="the datastore's name", needed=True),
    "type": Key(read=one_of(*TYPES), becomes="a datastore of type AzureBlob", needed=True),
    "account_name": Key(read=text, becomes="`account_name`", needed=True),
    "container_name": Key(read=text, becomes="`container_name`", needed=True),
    "endpoint": Key(read=text, becomes="`endpoint`", default="core.windows.net"),
    "protocol": Key(read=_protocol, becomes="`protocol`: https for both https and wasbs", default="https"),
    "credentials": Key(
        read=lambda place: read_keys(place, _CREDENTIALS),
        becomes="an account key or a SAS token; without them the user's own login",
    ),
    "description": Noted("SDK v1's datastores have no description"),
    "tags": Noted("SDK v1's datastores have no tags"),
    "properties": Noted("SDK v1's datastores have no properties"),
}
NESTED = {"credentials": _CREDENTIALS}


@dataclass(frozen=True, kw_only=True)
class BlobDatastore:
    """A container, and how it is opened."""

    name: str
    account: str
    container: str
    endpoint: str
    protocol: str
    key: str | None = None
    sas: str | None = None

    def __repr__(self) -> str:
        # Without the secrets.
        return f"BlobDatastore({self.name!r}, {self.account!r}, {self.container!r})"


def read(place: Place) -> BlobDatastore:
    """Read a datastore; problems are noted at their keys."""
    found = read_keys(place, KEYS)
    credentials = found["credentials"] or {}
    if credentials.get("account_key") and credentials.get("sas_token"):
        place.at("credentials").fail("credentials has an account_key and a sas_token; keep one of them.")
    return BlobDatastore(
        name=found["name"] or "",
        account=found["account_name"] or "",
        container=found["container_name"] or "",
        endpoint=found["endpoint"],
        protocol=found["protocol"],
        key=credentials.get("account_key"),
        sas=credentials.get("sas_token"),
    )


def create(ws: Workspace, wanted: BlobDatastore) -> str:
    """Register the container, replacing existing credentials; return a sentence that says what was done.

    Raises `AlreadyRegistered` if the name belongs to another container, because its data would seem to be lost.
    """
    from azureml.core import Datastore

    found = find_datastore(ws, check_datastore_name(wanted.name))
    if found is not None:
        _check_same(found, wanted)
    Datastore.register_azure_blob_container(
        ws,
        datastore_name=wanted.name,
        container_name=wanted.container,
        account_name=wanted.account,
        account_key=wanted.key,
        sas_token=wanted.sas,
        protocol=wanted.protocol,
        endpoint=wanted.endpoint,
        overwrite=found is not None,
    )
    how = "an account key" if wanted.key else "a SAS token" if wanted.sas else "the user's own login"
    word = "registered" if found is None else "updated"
    return f"Datastore {wanted.name!r} {word}: container {wanted.container} of {wanted.account}, with {how}."


def _check_same(found: object, wanted: BlobDatastore) -> None:
    there = getattr(found, "account_name", None), getattr(found, "container_name", None)
    if there != (wanted.account, wanted.container):
        raise AlreadyRegistered(
            f"Datastore {wanted.name!r} is registered as container {there[1]} of {there[0]}. "
            "Use another name, or unregister it first."
        )
