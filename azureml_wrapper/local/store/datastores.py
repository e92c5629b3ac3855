"""Storage of workspaces: accounts with their keys, blob addresses that carry their own permission, and datastores."""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
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
from azureml_wrapper.local.store.database import Database, Remembered, Row, dump, known, load
from azureml_wrapper.local.store.documents import Document, Documents
from azureml_wrapper.local.store.sealing import Seal, Unreadable
from azureml_wrapper.local.store.workspaces import WorkspaceStore
from azureml_wrapper.signatures import SharedAccess

SCHEMA = """
CREATE TABLE IF NOT EXISTS storage_accounts (
    account TEXT PRIMARY KEY,
    key     TEXT NOT NULL,
    sealed  BLOB
);
"""
# Azure's addresses for runs are valid from ten minutes ago, for eight hours.
EARLIER = timedelta(minutes=10)
LIFETIME = timedelta(hours=8)

DEFAULT = "workspaceblobstore"
ARTIFACTS = "workspaceartifactstore"
ARTIFACT_CONTAINER = "azureml"
# azureml/data/constants.py, CONFLICT_MESSAGE: with overwrite=True the SDK looks for this text, then sends a PUT.
CONFLICT = "Another datastore with the same name already exists"
_DEFAULT_NAME_KIND = "default datastore"
# The key of an encrypted SAS token in a datastore's document.
SEALED = "sealedSas"
log = logging.getLogger("azureml_wrapper.local")
_IN_CLEAR = "kind = 'datastore' AND json_extract(body, '$.sas') IS NOT NULL"


class AccountStore:
    """Accounts by name, one key each: a registered one, encrypted, or one that is derived from the home's secret."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database, self._seal = database, seal
        database.ensure(SCHEMA)
        self._seal_clear_keys()

    def key(self, account: str) -> str | None:
        """The account's key in base64; None if the account is unknown.

        If the home's secret has changed since a key was registered, the account has a derived one.
        """
        row = self._database.one("SELECT sealed FROM storage_accounts WHERE account = ?", (account,))
        if row is None:
            return None
        found = _opened(self._seal, row["sealed"], f"the key of storage account {account}")
        return found or base64.b64encode(self._seal.derive(f"account {account}")).decode()

    def names(self) -> list[str]:
        """Every account that has a key."""
        return [row["account"] for row in self._database.all("SELECT account FROM storage_accounts")]

    def ensure(self, account: str) -> str:
        """The account's key; a new account gets an unguessable one."""
        if found := self.key(account):
            return found
        check_account_name(account)
        self._database.execute("INSERT OR IGNORE INTO storage_accounts (account, key) VALUES (?, '')", (account,))
        return self.key(account) or ""

    def register(self, account: str, key: str) -> None:
        """Set the key of an account. Raise `Conflict` if the account already has another one."""
        check_account_name(account)
        check_key(key)
        with self._database.transaction() as database:
            row = database.one("SELECT sealed FROM storage_accounts WHERE account = ?", (account,))
            is_new = row is None or (row["sealed"] and not _opened(self._seal, row["sealed"], f"account {account}"))
            stored = key if is_new else self.key(account) or ""
            if is_new:
                database.execute(
                    "INSERT OR REPLACE INTO storage_accounts (account, key, sealed) VALUES (?, '', ?)",
                    (account, self._seal.seal(key)),
                )
        if not hmac.compare_digest(stored.encode(), key.encode()):
            raise Conflict(
                f"Storage account {account!r} is already registered with a different key. The local service keeps "
                "the first key of an account: use that key, or another account name."
            )

    def _seal_clear_keys(self) -> None:
        """Encrypt the keys that a version before 2 of the database has left in clear."""
        rows = self._database.all("SELECT account, key FROM storage_accounts WHERE key <> ''")
        with overwriting(self._database, rows) as database:
            for row in rows:
                database.execute(
                    "UPDATE storage_accounts SET key = '', sealed = ? WHERE account = ?",
                    (self._seal.seal(row["key"]), row["account"]),
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
        return self.urls(account, container, [name], permissions=permissions, for_sdk=for_sdk)[0]

    def urls(
        self,
        account: str,
        container: str,
        names: Sequence[str],
        *,
        permissions: str = "r",
        for_sdk: bool = False,
    ) -> list[str]:
        """The addresses of several blobs, as `url` makes them; the account's key is read once."""
        key, now = self._accounts.ensure(account), self._clock.now()

        def url(name: str) -> str:
            access = SharedAccess(
                account=account,
                container=container,
                name=name,
                permissions="".join(letter for letter in "racwdl" if letter in permissions),
                start=now - EARLIER,
                expiry=now + LIFETIME,
            )
            if for_sdk:
                return self._addresses.sdk_blob(account, container, name, access.query(key))
            return self._addresses.blob(container, name, access.query(key))

        return [url(name) for name in names]


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
        seal: Seal,
    ) -> None:
        self._database, self._workspaces, self._seal = database, workspaces, seal
        self._accounts, self._blobs = accounts, blobs
        self._records = Documents(database, clock, "datastore")
        self._defaults = Documents(database, clock, _DEFAULT_NAME_KIND)
        # A step asks for the datastores of its data half a dozen times.
        self._known: Remembered[Datastore] = Remembered(database)
        self._seal_clear_tokens()

    def find(self, workspace_id: str, name: str) -> Datastore | None:
        """By name, ignoring case, as the SDK expects."""
        found = self._read(workspace_id, name)
        if found is None:
            self._ensure_own(workspace_id)
            found = self._read(workspace_id, name)
        return found

    def _read(self, workspace_id: str, name: str) -> Datastore | None:
        def read() -> Datastore | None:
            found = self._records.find(workspace_id, name.lower())
            return self._datastore(found) if found else None

        return self._known.get((workspace_id, name.lower()), read)

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
        return [self._datastore(document) for document in reversed(self._records.latest(workspace_id))]

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
            self._records.put(workspace_id, datastore.name, self._body(datastore))
            self._known.forget()
        return datastore

    def delete(self, workspace_id: str, name: str) -> None:
        """Unregister a datastore; its data stays. Raise `NotFound` if missing, `Invalid` if it is the default."""
        datastore = self.get(workspace_id, name)
        if datastore.name == self.default(workspace_id).name:
            raise Invalid(f"Datastore {name} is the workspace's default datastore and cannot be unregistered.")
        self._records.delete(workspace_id, datastore.name)
        self._known.forget()

    def tokens(self, container: str) -> list[tuple[str, str]]:
        """(account, SAS token) of every datastore with a token for a container of this name."""
        rows = self._database.all(
            "SELECT json_extract(body, '$.account') AS account, json_extract(body, '$.sealedSas') AS sealed"
            " FROM documents WHERE kind = 'datastore' AND json_extract(body, '$.container') = ? AND sealed NOT NULL",
            (container,),
        )
        found = [(row["account"], _opened(self._seal, row["sealed"], f"a SAS token for {container}")) for row in rows]
        return [(account, token.lstrip("?")) for account, token in found if token]

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
                self._records.put(workspace_id, datastore.name, self._body(datastore))

    def _seal_clear_tokens(self) -> None:
        """Encrypt the SAS tokens that a version before 2 of the database has left in clear."""
        rows = self._database.all(f"SELECT sequence, body FROM documents WHERE {_IN_CLEAR}")  # noqa: S608
        with overwriting(self._database, rows) as database:
            for row in rows:
                body = load(row["body"])
                sealed = {**body, "sas": None, SEALED: self._sealed(body["sas"])}
                database.execute(
                    "UPDATE documents SET body = ? WHERE sequence = ?",
                    (dump(sealed), row["sequence"]),
                )

    def _body(self, datastore: Datastore) -> dict[str, object]:
        return {
            "name": datastore.name,
            "account": datastore.account,
            "container": datastore.container,
            "kind": datastore.kind,
            "credential": datastore.credential.value,
            SEALED: self._sealed(datastore.sas),
            "record": dict(datastore.record),
        }

    def _datastore(self, document: Document) -> Datastore:
        body = document.body
        sas = _opened(self._seal, body.get(SEALED), f"the SAS token of datastore {document.key}")
        return known(Datastore, {**body, "credential": Credential(body["credential"]), "sas": sas})

    def _sealed(self, token: str | None) -> str | None:
        return self._seal.seal(token).decode() if token else None


def _opened(seal: Seal, sealed: bytes | str | None, what: str) -> str | None:
    """What was sealed; None if nothing was, or if the home's secret has changed since."""
    try:
        return seal.open(sealed, what) if sealed else None
    except Unreadable as error:
        log.warning("%s", error.message)
        return None


@contextmanager
def overwriting(database: Database, rows: Sequence[Row]) -> Iterator[Database]:
    """A transaction after which nothing that it replaces is left in the file; does nothing without rows."""
    if not rows:
        yield database
        return
    database.all("PRAGMA secure_delete=ON")
    try:
        with database.transaction():
            yield database
        database.all("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.all("PRAGMA secure_delete=OFF")


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
