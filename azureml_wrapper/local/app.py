"""The composition root: the only file that names concrete stores, executors, clocks and services."""

from __future__ import annotations

import os
from functools import partial

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock, Ids, RandomIds, SystemClock
from azureml_wrapper.local.domain.errors import Conflict, Damaged
from azureml_wrapper.local.domain.workspaces import DEFAULT_NAME, Workspace
from azureml_wrapper.local.executor.cancellation import CancelCascade
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.graph import GraphExecutor
from azureml_wrapper.local.executor.inputs import StepInputs
from azureml_wrapper.local.executor.local import LocalExecutor
from azureml_wrapper.local.executor.process import ColdStarter, Starter
from azureml_wrapper.local.executor.processtable import has_proc
from azureml_wrapper.local.executor.reuse import Recipes, Reuse, ReusedRuns
from azureml_wrapper.local.executor.runlogs import PipelineLogs, SweepLogs
from azureml_wrapper.local.executor.sweeps import SweepExecutor
from azureml_wrapper.local.executor.sweepsteps import StepJobs
from azureml_wrapper.local.executor.warm import WARM_VARIABLE, WarmStarter, is_off
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.faultpoints import wall_clock
from azureml_wrapper.local.home import REPORTS, Home, lacks_database
from azureml_wrapper.local.http.application import Application, Frontend, bearer, json_faults
from azureml_wrapper.local.http.routing import Route, Router, Waiting
from azureml_wrapper.local.scheduler.loop import SchedulerLoop, Stores
from azureml_wrapper.local.services import (
    content,
    credential,
    datastore,
    discovery,
    environment,
    experiment,
    hyperdrive,
    model,
)
from azureml_wrapper.local.services.arm import handlers as arm
from azureml_wrapper.local.services.artifact import handlers as artifact
from azureml_wrapper.local.services.blob import handlers as blob
from azureml_wrapper.local.services.compute import handlers as compute
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.curated import curated
from azureml_wrapper.local.services.dataset import handlers as dataset
from azureml_wrapper.local.services.environment_definitions import normalise
from azureml_wrapper.local.services.execution import handlers as execution
from azureml_wrapper.local.services.execution.newruns import ScriptRuns
from azureml_wrapper.local.services.history import handlers as history
from azureml_wrapper.local.services.metric import handlers as metric
from azureml_wrapper.local.services.mlflow import routes as mlflow
from azureml_wrapper.local.services.pipelines import routes as pipelines
from azureml_wrapper.local.services.pipelines.graphwire import Forms as PipelineForms
from azureml_wrapper.local.services.pipelines.planning import Planner
from azureml_wrapper.local.services.pipelines.publishedwire import read_schedule
from azureml_wrapper.local.services.pipelines.stepruns import StepRunRecords
from azureml_wrapper.local.services.runforms import RunHistoryForms
from azureml_wrapper.local.store.artifacts import ArtifactStore
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.blocks import BlockStore
from azureml_wrapper.local.store.database import Database, damage
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.datastores import AccountStore, DatastoreStore, Signatures
from azureml_wrapper.local.store.documents import ComputeStore, Documents
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.jobs import JobStore
from azureml_wrapper.local.store.metrics import MetricStore
from azureml_wrapper.local.store.models import ModelStore
from azureml_wrapper.local.store.pipelines import PipelineStore, SubmissionStore
from azureml_wrapper.local.store.programs import ProgramStore
from azureml_wrapper.local.store.published import PublishedStore, ScheduleStore
from azureml_wrapper.local.store.results import ResultStore
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.sealing import Seal
from azureml_wrapper.local.store.snapshots import SnapshotStore
from azureml_wrapper.local.store.syncing import Syncer
from azureml_wrapper.local.store.workspaces import ResourceGroupStore, SecretStore, WorkspaceStore
from azureml_wrapper.local.studio import handlers as studio
from azureml_wrapper.local.tokens import Tokens

# Everything that requires a bearer token. COVERAGE.md is made from this tuple.
SERVICES = (
    discovery,
    arm,
    compute,
    datastore,
    dataset,
    environment,
    experiment,
    history,
    metric,
    mlflow,
    artifact,
    content,
    execution,
    hyperdrive,
    pipelines,
    model,
    credential,
    studio,
)


def service_routes() -> list[Route]:
    """Every route of every service, in the order in which they are tried."""
    return [route for service in SERVICES for route in service.ROUTES]


def build_context(home: Home, port: int) -> Context:
    """All stores of the home folder, with the system clock.

    Raises:
        ServiceFault: The database is damaged, or written by a later version.
    """
    if lacks_database(home):
        raise Damaged(damage(str(home.database), "missing or empty, although there is data beside it"))
    tokens = Tokens(home.secret())
    clock, ids = SystemClock(wall_clock), RandomIds()
    database = Database(home.database)
    workspaces = WorkspaceStore(database)
    _ensure_default_workspace(workspaces, clock, ids)
    addresses = Addresses(port=port, key=tokens.key("address"))
    syncer, seal = Syncer(database, home.blobs), Seal(tokens.key("secrets"))
    accounts, blobs = AccountStore(database, seal), BlobStore(home.blobs, database, clock, syncer)
    signatures = Signatures(accounts, addresses, clock)
    computes, runs = ComputeStore(database, clock), RunStore(database, clock)
    workspaces.listen(lambda gone: _refuse_while_jobs_run(gone, runs))
    workspaces.listen(lambda gone: _delete_storage(gone, accounts, blobs))
    datasets = DatasetStore(database, clock, ids, workspaces)
    datastores = DatastoreStore(database, clock, workspaces=workspaces, accounts=accounts, blobs=blobs, seal=seal)
    snapshots = SnapshotStore(database, home.snapshots, clock, ids, syncer)
    shared = ExecutorContext(
        home=home,
        addresses=addresses,
        tokens=tokens,
        clock=clock,
        ids=ids,
        workspaces=workspaces,
        computes=computes,
        runs=runs,
        jobs=JobStore(database),
        snapshots=snapshots,
        datasets=datasets,
        datastores=datastores,
        blobs=blobs,
        forms=RunHistoryForms(),
        syncer=syncer,
    )
    return _context(shared, database, accounts, signatures)


def _context(shared: ExecutorContext, database: Database, accounts: AccountStore, signatures: Signatures) -> Context:
    """The rest of the stores, and what runs jobs, pipelines and schedules."""
    queue = WorkQueue()
    cascade = CancelCascade(shared.runs, queue)
    executor, pipelines = LocalExecutor(shared, starter=_starter()), PipelineStore(database, shared.clock, shared.ids)
    experiments = ExperimentStore(database, shared.clock, shared.ids)
    metrics, environments = (
        MetricStore(database),
        EnvironmentStore(database, shared.clock, curated=curated(), normalise=normalise),
    )
    children = ScriptRuns(shared, environments)
    sweeps = _sweeps(shared, executor, metrics, children, queue)
    steps = StepJobs(
        shared,
        executor=executor,
        sweeps=sweeps,
        children=children,
        metrics=metrics,
        logs=PipelineLogs(shared),
        queue=queue,
    )
    pipeline_executor = _pipeline_executor(
        shared, steps, pipelines, results=ResultStore(database), environments=environments, queue=queue
    )
    cascade.cancel_with(pipeline_executor.cancel, sweeps.cancel, steps.cancel)
    stores = _schedule_stores(shared, database, experiments, pipelines)
    return Context(
        **vars(shared),
        database=database,
        resource_groups=ResourceGroupStore(database),
        deployments=Documents(database, shared.clock, "deployment"),
        secrets=SecretStore(database, shared.clock, Seal(shared.tokens.key("secrets"))),
        experiments=experiments,
        metrics=metrics,
        artifacts=ArtifactStore(shared.blobs, signatures),
        models=ModelStore(database, shared.clock),
        environments=environments,
        blocks=BlockStore(shared.home.blobs, shared.blobs, shared.clock),
        accounts=accounts,
        signatures=signatures,
        executor=executor,
        prebuilds=executor.prebuilds,
        pipelines=pipelines,
        pipeline_executor=pipeline_executor,
        sweeps=sweeps,
        sweep_children=children,
        work_queue=queue,
        submissions=stores.submissions,
        published=stores.published,
        schedules=stores.schedules,
        scheduler=SchedulerLoop(stores, pipeline_executor, shared.clock),
        waiting=_waiting(shared.runs),
        programs=ProgramStore(shared.home.path / REPORTS),
    )


def _sweeps(
    shared: ExecutorContext,
    executor: LocalExecutor,
    metrics: MetricStore,
    children: ScriptRuns,
    queue: WorkQueue,
) -> SweepExecutor:
    return SweepExecutor(
        executor=executor,
        runs=shared.runs,
        metrics=metrics,
        children=children,
        logs=SweepLogs(shared),
        forms=shared.forms,
        queue=queue,
    )


def _schedule_stores(
    shared: ExecutorContext, database: Database, experiments: ExperimentStore, pipelines: PipelineStore
) -> Stores:
    return Stores(
        database=database,
        schedules=ScheduleStore(database, read=read_schedule),
        submissions=SubmissionStore(
            database,
            runs=shared.runs,
            experiments=experiments,
            pipelines=pipelines,
            forms=PipelineForms(),
            clock=shared.clock,
            ids=shared.ids,
        ),
        published=PublishedStore(database, shared.clock),
        pipelines=pipelines,
        runs=shared.runs,
        datastores=shared.datastores,
        blobs=shared.blobs,
        forms=PipelineForms(),
        run_forms=shared.forms,
    )


def _waiting(runs: RunStore) -> Waiting:
    """Wakes the requests that wait for the end of a run."""
    waiting = Waiting()
    runs.listen(lambda run: waiting.wake((run.workspace_id, run.run_id)) if run.status.is_terminal else None)
    return waiting


def _starter() -> Starter:
    """Jobs start warm unless AZUREML_WRAPPER_WARM turns it off.

    Without /proc always cold, that is on macOS: a process that has used its frameworks must not fork and go on.
    """
    is_cold = is_off(os.environ.get(WARM_VARIABLE, "")) or not has_proc()
    return ColdStarter() if is_cold else WarmStarter()


def _pipeline_executor(
    shared: ExecutorContext,
    steps: StepJobs,
    pipelines: PipelineStore,
    *,
    results: ResultStore,
    environments: EnvironmentStore,
    queue: WorkQueue,
) -> GraphExecutor:
    step_runs = StepRunRecords(shared.runs, environments, shared.clock, shared.ids)
    return GraphExecutor(
        executor=steps,
        runs=shared.runs,
        pipelines=pipelines,
        plans=Planner(pipelines),
        inputs=StepInputs(shared.datasets, shared.workspaces, shared.forms),
        step_runs=step_runs,
        reuse=Reuse(Recipes(shared, step_runs), results, shared.runs),
        reused_runs=ReusedRuns(shared, step_runs),
        logs=PipelineLogs(shared),
        forms=shared.forms,
        clock=shared.clock,
        ids=shared.ids,
        queue=queue,
    )


def _ensure_default_workspace(workspaces: WorkspaceStore, clock: Clock, ids: Ids) -> None:
    """`local/local/local`: what `azureml_wrapper.local.workspace()` returns by default."""
    if workspaces.find(DEFAULT_NAME, DEFAULT_NAME, DEFAULT_NAME) is None:
        workspaces.add(
            Workspace(
                workspace_id=ids.guid(),
                subscription=DEFAULT_NAME,
                resource_group=DEFAULT_NAME,
                name=DEFAULT_NAME,
                location="local",
                created=clock.now(),
            )
        )


def _refuse_while_jobs_run(workspace: Workspace, runs: RunStore) -> None:
    """Raise `Conflict` if the service runs something in a workspace that is about to be deleted."""
    going_on = [run for run in runs.unfinished() if run.workspace_id == workspace.workspace_id and run.run_type]
    if going_on:
        raise Conflict(
            f"Workspace {workspace.name} has {len(going_on)} unfinished runs, such as {going_on[0].run_id}. "
            "Cancel them first, then delete the workspace."
        )


def _delete_storage(workspace: Workspace, accounts: AccountStore, blobs: BlobStore) -> None:
    """Delete a workspace's own storage account; accounts that users registered stay."""
    for container in blobs.containers(workspace.storage_account):
        blobs.delete_container(workspace.storage_account, container)
    accounts.forget_key(workspace.storage_account)


def build_application(context: Context) -> Application:
    """The application with both of its frontends."""
    storage = blob.frontend(context)
    services = Frontend(
        router=Router(
            service_routes(), [refusal for service in SERVICES for refusal in getattr(service, "REFUSED", ())]
        ),
        authenticate=bearer(context.tokens),
        answer_fault=json_faults(context.clock),
    )
    return Application(
        context,
        port=context.addresses.port,
        incoming=context.home.incoming,
        services=services,
        storage=storage,
        find_workspace=partial(arm.find_workspace, context),
    )
