"""Datastores of a workspace."""

from __future__ import annotations

from dataclasses import replace

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Invalid, NotFound
from azureml_wrapper.local.domain.storage import Credential, Datastore, check_container_name, check_datastore_name
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.accounts import AccountStore
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.documents import Document, Documents
from azureml_wrapper.local.store.workspaces import WorkspaceStore

DEFAULT = "workspaceblobstore"
ARTIFACTS = "workspaceartifactstore"
ARTIFACT_CONTAINER = "azureml"
# azureml/data/constants.py, CONFLICT_MESSAGE: with overwrite=True the SDK looks for this text, then sends a PUT.
CONFLICT = "Another datastore with the same name already exists"
_DEFAULT_NAME_KIND = "default datastore"


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
        check_container_name(datastore.container)
        with self._database.transaction():
            if not self._others_use(datastore.account, workspace_id, datastore.name):
                self._accounts.forget_key(datastore.account)
            if datastore.credential is Credential.ACCOUNT_KEY and key is not None:
                self._accounts.register(datastore.account, key)
            else:
                self._accounts.ensure(datastore.account)
            self._records.put(workspace_id, datastore.name, _body(datastore))
        self._blobs.ensure_container(datastore.account, datastore.container)
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
    return Datastore(**{**body, "credential": Credential(body["credential"])})
