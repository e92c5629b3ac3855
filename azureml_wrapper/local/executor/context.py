"""What executors work with: the stores and the rest of the service. Filled in by app.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.jobs import RunForms
from azureml_wrapper.local.domain.storage import CONTAINER, of_run
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.datastores import DatastoreStore
from azureml_wrapper.local.store.documents import ComputeStore
from azureml_wrapper.local.store.jobs import JobStore
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.snapshots import SnapshotStore
from azureml_wrapper.local.store.syncing import Syncer
from azureml_wrapper.local.store.workspaces import WorkspaceStore
from azureml_wrapper.local.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class ExecutorContext:
    """The part of the service that jobs need. The services' Context extends it."""

    home: Home
    addresses: Addresses
    tokens: Tokens
    clock: Clock
    ids: Ids
    workspaces: WorkspaceStore
    computes: ComputeStore
    runs: RunStore
    jobs: JobStore
    snapshots: SnapshotStore
    datasets: DatasetStore
    datastores: DatastoreStore
    blobs: BlobStore
    forms: RunForms
    syncer: Syncer = field(default_factory=Syncer)

    def artifact(self, workspace_id: str, run_id: str, path: str) -> Path:
        """The file of a run's artifact, to be written in place (logs grow); creates its folder."""
        account = self.workspaces.by_id(workspace_id).storage_account
        self.blobs.ensure_container(account, CONTAINER)
        file = self.blobs.path(account, CONTAINER, of_run(run_id).name(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def publish(self, workspace_id: str, run_id: str, path: str, source: Path) -> None:
        """Move a file to a run's artifacts."""
        account = self.workspaces.by_id(workspace_id).storage_account
        self.blobs.put_file(account, CONTAINER, of_run(run_id).name(path), source)

    def datastore_folder(self, workspace_id: str, datastore: str, path: str) -> Path:
        """The folder of a datastore's path; creates it if it is missing."""
        found = self.datastores.get(workspace_id, datastore)
        return self.blobs.folder(found.account, found.container, path)
