"""The run of a script that a client or a sweep is about to submit."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Protocol

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.jobs import SCRIPT_RUN_TYPE, Job, NewJob
from azureml_wrapper.local.domain.runs import Experiment, Run
from azureml_wrapper.local.domain.sweeps import Sweep, Values, arguments_of
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.services import sweeps
from azureml_wrapper.local.services.execution import wire
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.snapshots import SnapshotStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore


class Stores(Protocol):
    """What a new run needs: part of an ExecutorContext."""

    @property
    def addresses(self) -> Addresses: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def ids(self) -> Ids: ...
    @property
    def snapshots(self) -> SnapshotStore: ...
    @property
    def workspaces(self) -> WorkspaceStore: ...


def new_job(
    stores: Stores,
    environments: EnvironmentStore,
    *,
    workspace: Workspace,
    experiment: Experiment,
    run_id: str,
    submission: wire.Submission,
) -> NewJob:
    """The run of a submission, not stored yet, with its definition and its job."""
    workspace_id = workspace.workspace_id
    version = environments.used(workspace_id, submission.config.get("environment") or {})
    run = Run(
        workspace_id=workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=stores.clock.now(),
        parent_id=submission.parent_id,
        run_type=SCRIPT_RUN_TYPE,
        target=submission.target,
        script=submission.config.get("script"),
        uuid=stores.ids.guid(),
        cancel_uri=f"{address(stores, workspace, experiment.name, run_id)}/cancel",
        properties=wire.properties(submission, _snapshot_properties(stores, workspace_id, submission)),
    )
    definition = wire.definition(submission.config, workspace, version)
    return NewJob(run=run, definition=definition, job=wire.job(submission, workspace_id, run_id))


def address(stores: Stores, workspace: Workspace, experiment: str, run_id: str) -> str:
    service = stores.addresses.service("/execution/v1.0", workspace)
    return f"{service}/experiments/{experiment}/runs/{run_id}"


class ScriptRuns:
    """Makes the runs of a sweep (domain/sweeps.py, Children)."""

    def __init__(self, stores: Stores, environments: EnvironmentStore) -> None:
        self._stores, self._environments = stores, environments

    def parent(self, step: Run, sweep: Sweep) -> Run:
        """The run of a sweep that a pipeline's step starts, not stored yet."""
        return sweeps.new_run(
            sweep,
            workspace_id=step.workspace_id,
            run_id=f"HD_{self._stores.ids.guid()}",
            experiment=_experiment(step),
            created=self._stores.clock.now(),
            uuid=self._stores.ids.guid(),
            parent_id=step.run_id,
            submitted_by=step.submitted_by,
        )

    def make(self, parent: Run, run_id: str, sweep: Sweep, values: Values) -> NewJob:
        """The job of a sweep's run with these values; a fault if the local service cannot run it."""
        words = arguments_of(values)
        if sweep.config.get("command"):
            # A shell reads them at the end of the command.
            words = [shlex.quote(word) for word in words]
        config = {**sweep.config, "arguments": [*(sweep.config.get("arguments") or ()), *words]}
        workspace = self._stores.workspaces.by_id(parent.workspace_id)
        submission = wire.read_submission(
            {"configuration": config, "snapshotId": sweep.snapshot_id, "parentRunId": parent.run_id}
        )
        made = new_job(
            self._stores,
            self._environments,
            workspace=workspace,
            experiment=_experiment(parent),
            run_id=run_id,
            submission=submission,
        )
        return replace(made, job=_with_step(made.job, sweep.step)) if sweep.step else made


def _experiment(run: Run) -> Experiment:
    return Experiment(experiment_id=run.experiment_id, name=run.experiment, created=run.created)


def _with_step(job: Job, step: Job) -> Job:
    """The job with the data and variables of the pipeline's step that it is part of. Its outputs are the step's."""
    outputs = [
        # The step's dataset is saved and registered once, when all runs have ended.
        replace(output, path=output.path_of(step.run_id), register_as=None)
        for output in step.outputs
        if output.training is None
    ]
    return replace(
        job,
        inputs=(*job.inputs, *step.inputs),
        outputs=(*job.outputs, *outputs),
        environment_variables={**job.environment_variables, **step.environment_variables},
    )


def _snapshot_properties(stores: Stores, workspace_id: str, submission: wire.Submission) -> dict[str, str]:
    if not submission.snapshot_id:
        return {}
    return dict(stores.snapshots.get(workspace_id, submission.snapshot_id).properties)
