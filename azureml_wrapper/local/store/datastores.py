"""Storage of workspaces: accounts with their keys, blob addresses that carry their own permission, and datastores."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import replace
from datetime import timedelta

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.signatures import SharedAccess
from azureml_wrapper.local.domain.storage import (
    Credential,
    Datastore,
    check_account_name,
    check_datastore_name,
    check_key,
)
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.database import Database, known
from azureml_wrapper.local.store.documents import Document, Documents
from azureml_wrapper.local.store.workspaces import WorkspaceStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS storage_accounts (
    account TEXT PRIMARY KEY,
    key     TEXT NOT NULL
);
"""
KEY_BYTES = 64
# Azure's addresses for runs are valid from ten minutes ago, for eight hours.
EARLIER = timedelta(minutes=10)
LIFETIME = timedelta(hours=8)

DEFAULT = "workspaceblobstore"
ARTIFACTS = "workspaceartifactstore"
ARTIFACT_CONTAINER = "azureml"
# azureml/data/constants.py, CONFLICT_MESSAGE: with overwrite=True the SDK looks for this text, then sends a PUT.
CONFLICT = "Another datastore with the same name already exists"
_DEFAULT_NAME_KIND = "default datastore"


class AccountStore:
    """Accounts by name, one key each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def key(self, account: str) -> str | None:
        """The account's key in base64; None if the account is unknown."""
        row = self._database.one("SELECT key FROM storage_accounts WHERE account = ?", (account,))
        return row["key"] if row else None

    def names(self) -> list[str]:
        """Every account that has a key."""
        return [row["account"] for row in self._database.all("SELECT account FROM storage_accounts")]

    def ensure(self, account: str) -> str:
        """The account's key; a new account gets a random one."""
        check_account_name(account)
        with self._database.transaction() as database:
            key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
            database.execute("INSERT OR IGNORE INTO storage_accounts (account, key) VALUES (?, ?)", (account, key))
            return self.key(account) or key

    def register(self, account: str, key: str) -> None:
        """Set the key of an account. Raise `Conflict` if the account already has another one."""
        check_account_name(account)
        check_key(key)
        with self._database.transaction() as database:
            database.execute("INSERT OR IGNORE INTO storage_accounts (account, key) VALUES (?, ?)", (account, key))
            stored = self.key(account) or ""
        if not hmac.compare_digest(stored.encode(), key.encode()):
            raise Conflict(
                f"Storage account {account!r} is already registered with a different key. The local service keeps "
                "the first key of an account: use that key, or another account name."
            )

    def forget_key(self, account: str) -> None:
        """Forget the account's key; the next registration sets a new one."""
        self._database.execute("DELETE FROM storage_accounts WHERE account = ?", (account,))


class Signatures:
    """Blob addresses signed with the accounts' keys (service SAS)."""

    def __init__(self, accounts: AccountStore, addresses: Addresses, clock: Clock) -> None:
        self._accounts, self._addresses, self._clock = accounts, addresses, clock

    def url(
        self,
        account: str,
        container: str,
        name: str,
        *,
        permissions: str = "r",
        for_sdk: bool = False,
    ) -> str:
        """The blob's address. Until it expires, "r" in `permissions` lets its holder read the blob, "cw" write it.

        With `for_sdk`, in the form that the SDK takes apart.
        """
        now = self._clock.now()
        access = SharedAccess(
            account=account,
            container=container,
            name=name,
            permissions="".join(letter for letter in "racwdl" if letter in permissions),
            start=now - EARLIER,
            expiry=now + LIFETIME,
        )
        query = access.query(self._accounts.ensure(account))
        if for_sdk:
            return self._addresses.sdk_blob(account, container, name, query)
        return self._addresses.blob(container, name, query)


class DatastoreStore:
    """Datastores by workspace and name. The built-in ones are created when a workspace is first used."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        workspaces: WorkspaceStore,
        accounts: AccountStore,
        blobs: BlobStore,
    ) -> None:
        self._database, self._workspaces = database, workspaces
        self._accounts, self._blobs = accounts, blobs
        self._records = Documents(database, clock, "datastore")
        self._defaults = Documents(database, clock, _DEFAULT_NAME_KIND)

    def find(self, workspace_id: str, name: str) -> Datastore | None:
        """By name, ignoring case, as the SDK expects."""
        self._ensure_own(workspace_id)
        found = self._records.find(workspace_id, name.lower())
        return _datastore(found) if found else None

    def get(self, workspace_id: str, name: str) -> Datastore:
        """Like `find`, but raise `NotFound` if it is missing."""
        found = self.find(workspace_id, name)
        if found is None:
            raise NotFound(f"Could not find datastore: {name}.")
        return found

    def default(self, workspace_id: str) -> Datastore:
        """The default datastore: workspaceblobstore unless another one was set."""
        chosen = self._defaults.find(workspace_id, "name")
        return self.get(workspace_id, chosen.body["name"] if chosen else DEFAULT)

    def set_default(self, workspace_id: str, name: str) -> None:
        self._defaults.put(workspace_id, "name", {"name": self.get(workspace_id, name).name})

    def all(self, workspace_id: str) -> list[Datastore]:
        """Every datastore in Azure's order: those of users, newest first, then the built-in ones."""
        self._ensure_own(workspace_id)
        return [_datastore(document) for document in reversed(self._records.latest(workspace_id))]

    def add(self, workspace_id: str, datastore: Datastore, *, key: str | None = None) -> Datastore:
        """Register a datastore. Its account and container become a folder of the blob store."""
        if self.find(workspace_id, datastore.name):
            raise Invalid(f"{CONFLICT}: {datastore.name}.")
        return self.put(workspace_id, datastore, key=key)

    def put(self, workspace_id: str, datastore: Datastore, *, key: str | None = None) -> Datastore:
        """Like `add`, replacing an earlier one. `key` is required only for a datastore that uses an account key."""
        check_datastore_name(datastore.name)
        self._ensure_own(workspace_id)
        # Before the record: nothing creates it for a datastore that exists.
        self._blobs.ensure_container(datastore.account, datastore.container)
        fault_point("datastores.container-made")
        with self._database.transaction():
            if not self._others_use(datastore.account, workspace_id, datastore.name):
                self._accounts.forget_key(datastore.account)
            if datastore.credential is Credential.ACCOUNT_KEY and key is not None:
                self._accounts.register(datastore.account, key)
            else:
                self._accounts.ensure(datastore.account)
            self._records.put(workspace_id, datastore.name, _body(datastore))
        return datastore

    def delete(self, workspace_id: str, name: str) -> None:
        """Unregister a datastore; its data stays. Raise `NotFound` if missing, `Invalid` if it is the default."""
        datastore = self.get(workspace_id, name)
        if datastore.name == self.default(workspace_id).name:
            raise Invalid(f"Datastore {name} is the workspace's default datastore and cannot be unregistered.")
        self._records.delete(workspace_id, datastore.name)

    def tokens(self, container: str) -> list[tuple[str, str]]:
        """(account, SAS token) of every datastore with a token for a container of this name."""
        rows = self._database.all(
            "SELECT json_extract(body, '$.account') AS account, json_extract(body, '$.sas') AS token FROM documents"
            " WHERE kind = 'datastore' AND json_extract(body, '$.container') = ? AND token IS NOT NULL",
            (container,),
        )
        return [(row["account"], row["token"].lstrip("?")) for row in rows]

    def _others_use(self, account: str, workspace_id: str, name: str) -> bool:
        """Whether to keep an account's key: another datastore uses it, or it is a workspace's own account."""
        return bool(
            self._database.one(
                "SELECT 1 FROM documents WHERE kind = 'datastore' AND json_extract(body, '$.account') = ?"
                " AND NOT (workspace = ? AND key = ?)",
                (account, workspace_id, name),
            )
        )

    def _ensure_own(self, workspace_id: str) -> None:
        """The four datastores of every workspace, oldest first, because lists are newest first."""
        if self._records.find(workspace_id, DEFAULT):
            return
        own = own_datastores(self._workspaces.by_id(workspace_id))
        self._accounts.ensure(own[0].account)
        for datastore in own:
            if datastore.kind == "AzureBlob":
                self._blobs.ensure_container(datastore.account, datastore.container)
        fault_point("datastores.containers-made")
        with self._database.transaction():
            for datastore in own:
                self._records.put(workspace_id, datastore.name, _body(datastore))


def own_datastores(workspace: Workspace) -> list[Datastore]:
    """What Azure creates with a workspace; lists show the last one first."""
    blob = Datastore(
        name=DEFAULT, account=workspace.storage_account, container=f"azureml-blobstore-{workspace.workspace_id}"
    )
    files = f"azureml-filestore-{workspace.workspace_id}"
    return [
        blob,
        replace(blob, name="workspacefilestore", container=files, kind="AzureFile"),
        replace(blob, name=ARTIFACTS, container=ARTIFACT_CONTAINER),
        replace(blob, name="workspaceworkingdirectory", container=f"code-{workspace.workspace_id}", kind="AzureFile"),
    ]


def _body(datastore: Datastore) -> dict[str, object]:
    return {
        "name": datastore.name,
        "account": datastore.account,
        "container": datastore.container,
        "kind": datastore.kind,
        "credential": datastore.credential.value,
        "sas": datastore.sas,
        "record": dict(datastore.record),
    }


def _datastore(document: Document) -> Datastore:
    body = document.body
    return known(Datastore, {**body, "credential": Credential(body["credential"])})
