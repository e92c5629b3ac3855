"""What a handler can reach: the stores, the clock, the addresses. Filled in by app.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from azureml_wrapper.local.domain.errors import Forbidden, ServiceFault, as_fault
from azureml_wrapper.local.domain.jobs import Executor
from azureml_wrapper.local.domain.pipelines import Scheduler
from azureml_wrapper.local.domain.plans import PipelineExecutor
from azureml_wrapper.local.domain.runs import CLIENT_PYTHON, JSON, RunError, RunStatus
from azureml_wrapper.local.domain.sweeps import Children, Sweeps
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.prebuilds import Prebuilds
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.http.routing import Waiting
from azureml_wrapper.local.store.artifacts import ArtifactStore
from azureml_wrapper.local.store.blocks import BlockStore
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datastores import AccountStore, Signatures
from azureml_wrapper.local.store.documents import Documents
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.metrics import MetricStore
from azureml_wrapper.local.store.models import ModelStore
from azureml_wrapper.local.store.pipelines import PipelineStore, SubmissionStore
from azureml_wrapper.local.store.programs import ProgramStore
from azureml_wrapper.local.store.published import PublishedStore, ScheduleStore
from azureml_wrapper.local.store.workspaces import ResourceGroupStore, SecretStore
from azureml_wrapper.local.tokens import Identity


@dataclass(frozen=True, kw_only=True)
class Context(ExecutorContext):
    """Everything that the services share: what the executors have, the other stores, and the executors themselves."""

    database: Database
    resource_groups: ResourceGroupStore
    deployments: Documents
    secrets: SecretStore
    experiments: ExperimentStore
    metrics: MetricStore
    artifacts: ArtifactStore
    models: ModelStore
    environments: EnvironmentStore
    blocks: BlockStore
    accounts: AccountStore
    signatures: Signatures
    executor: Executor
    prebuilds: Prebuilds
    pipelines: PipelineStore
    pipeline_executor: PipelineExecutor
    sweeps: Sweeps
    sweep_children: Children
    submissions: SubmissionStore
    published: PublishedStore
    schedules: ScheduleStore
    scheduler: Scheduler
    work_queue: WorkQueue
    waiting: Waiting
    programs: ProgramStore

    def note_client(self, identity: Identity, workspace_id: str, run_id: str) -> None:
        """Remember on a submitted run that its submitter has another Python than the service and its jobs."""
        if properties := self.client_properties(identity):
            self.runs.change(workspace_id, run_id, properties=properties)

    def client_properties(self, identity: Identity) -> dict[str, str]:
        """The properties of a new run by which a failure can name its submitter's Python."""
        is_other = identity.python and Path(identity.python).parent != Path(sys.executable).parent
        return {CLIENT_PYTHON: identity.python} if identity.python and is_other else {}

    @contextmanager
    def beginning(self, workspace_id: str, run_id: str) -> Iterator[None]:
        """Fail a new run that cannot begin, because no later request begins it; if the disk is full, later."""
        try:
            yield
        except (ServiceFault, OSError) as error:
            fault = as_fault(error)
            form = self.forms.error(RunError(code=fault.code, message=fault.message))
            self.work_queue.put(partial(self._fail, workspace_id, run_id, form))
            raise

    def _fail(self, workspace_id: str, run_id: str, error: JSON) -> None:
        run = self.runs.find(workspace_id, run_id)
        if run and run.status is RunStatus.NOT_STARTED:
            self.runs.advance(workspace_id, run_id, RunStatus.FAILED, error=error)

    def guard_run(self, identity: Identity, workspace_id: str, run_id: str) -> None:
        """Raise `Forbidden` if a run's token would write to a run that is neither its ancestor nor its descendant."""
        if identity.run_id is None:
            return
        is_free = workspace_id == identity.workspace_id and (
            self.runs.are_related(workspace_id, identity.run_id, run_id)
            or self.runs.find(workspace_id, run_id) is None
        )
        if not is_free:
            raise Forbidden(f"The token of run {identity.run_id} may not write to run {run_id}.")
