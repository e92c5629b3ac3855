"""Runs the steps of pipelines: jobs through the executor, and a HyperDriveStep as a sweep below the step's run.

In Azure the step's run has the sweep's run as its only child (Azure/MachineLearningNotebooks #280, #737), and so does
`HyperDriveStepRun` expect it (azureml/pipeline/steps/hyper_drive_step.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import Executor, Job, JobOutput
from azureml_wrapper.local.domain.metrics import Point
from azureml_wrapper.local.domain.runs import JSON, Run, RunError, RunStatus
from azureml_wrapper.local.domain.storage import CONTAINER, of_run
from azureml_wrapper.local.domain.sweeps import SWEEP_RUN_TYPE, Children, Scores, Sweep, Sweeps, Trials
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.outputs import OutputStager, StagedOutput
from azureml_wrapper.local.executor.runlogs import PipelineLogs
from azureml_wrapper.local.executor.sweeps import BEST_RUN, numbers
from azureml_wrapper.local.executor.workqueue import WorkQueue, defect_fault
from azureml_wrapper.local.store.metrics import MetricStore

FILES_SHOWN = 10


@dataclass(frozen=True)
class _Active:
    """A step whose sweep is in progress."""

    job: Job
    task: Trials
    sweep_id: str


class StepJobs:
    """Starts and cancels what steps run (executor/graph.py, Jobs)."""

    def __init__(
        self,
        context: ExecutorContext,
        *,
        executor: Executor,
        sweeps: Sweeps,
        children: Children,
        metrics: MetricStore,
        logs: PipelineLogs,
        queue: WorkQueue,
    ) -> None:
        self._context, self._executor, self._sweeps = context, executor, sweeps
        self._children, self._metrics, self._logs = children, metrics, logs
        self._active: dict[tuple[str, str], _Active] = {}
        self._queue = queue
        context.runs.listen(self._changed)

    def submit(self, job: Job) -> None:
        """Start a job, or a sweep if that is the job's task, and return at once."""
        if isinstance(job.task, Trials):
            self._begin(job, job.task)
        else:
            self._executor.submit(job)

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop the job or the sweep of a step. Returns False if none waits or runs."""
        active = self._active.get((workspace_id, run_id))
        if active is None:
            return self._executor.cancel(workspace_id, run_id)
        try:
            self._context.runs.advance(workspace_id, run_id, RunStatus.CANCEL_REQUESTED)
        except Conflict:
            # It was asked before, or has just ended.
            return True
        return self._sweeps.cancel(workspace_id, active.sweep_id)

    def cancel_waiting(self, workspace_id: str, run_ids: Sequence[str]) -> set[str]:
        """Cancel those jobs that only wait, all at once. Returns their runs."""
        return self._executor.cancel_waiting(workspace_id, run_ids)

    def _begin(self, job: Job, task: Trials) -> None:
        key = (job.workspace_id, job.run_id)
        sweep = replace(task.sweep, step=job)
        stored = self._begun(key) or self._add(key, sweep)
        self._active[key] = _Active(job, task, stored.run_id)
        try:
            self._context.runs.advance(*key, RunStatus.RUNNING)
            self._sweeps.submit(stored, sweep)
        except BaseException:
            del self._active[key]
            raise

    def _begun(self, key: tuple[str, str]) -> Run | None:
        """The sweep's run, if an earlier attempt to begin the step has stored it."""
        return next((run for run in self._context.runs.children(*key) if run.run_type == SWEEP_RUN_TYPE), None)

    def _add(self, key: tuple[str, str], sweep: Sweep) -> Run:
        parent = self._children.parent(self._context.runs.get(*key), sweep)
        # Before anything is stored: the step fails with the reason for which its runs could not start.
        self._children.make(parent, f"{parent.run_id}_0", sweep, {})
        return self._context.runs.add(parent)

    def _changed(self, run: Run) -> None:
        if run.run_type != SWEEP_RUN_TYPE or not run.status.is_terminal or not run.parent_id:
            return
        active = self._active.get((run.workspace_id, run.parent_id))
        if active and active.sweep_id == run.run_id:
            self._queue.put(
                partial(self._end, active, run), partial(self._break, active), partial(self._abandon, active)
            )

    def _break(self, active: _Active, defect: Exception) -> None:
        """Fail the step because of an unforeseen error."""
        self._store(active, RunStatus.FAILED, defect_fault(defect).message)

    def _abandon(self, active: _Active, error: Exception) -> None:
        """Fail the step by the smallest write."""
        key, fault = (active.job.workspace_id, active.job.run_id), defect_fault(error)
        form = RunError(message=fault.message, code=fault.code, component="hyperdrive")
        self._context.runs.abandon(*key, self._context.forms.error(form))
        self._active.pop(key, None)

    def _end(self, active: _Active, sweep: Run) -> None:
        """End the step as its sweep has ended, with the outputs that the service fills."""
        status, error = sweep.status, None
        if status is RunStatus.COMPLETED and (error := self._problem(active, sweep)):
            status = RunStatus.FAILED
        elif status is RunStatus.FAILED:
            error = self._why_failed(sweep)
        self._store(active, status, error)

    def _store(self, active: _Active, status: RunStatus, error: str | None) -> None:
        form = RunError(message=error, code="UserError", component="hyperdrive") if error else None
        key = (active.job.workspace_id, active.job.run_id)
        self._context.runs.advance(*key, status, error=self._context.forms.error(form) if form else None)
        self._active.pop(key, None)

    def _problem(self, active: _Active, sweep: Run) -> str | None:
        """Write the outputs that the service fills. Returns why that failed."""
        try:
            self._publish(active, sweep)
        except (ServiceFault, OSError) as error:
            if is_temporary(error):
                raise
            return error.message if isinstance(error, ServiceFault) else f"An output was not written: {error}"
        return None

    def _why_failed(self, sweep: Run) -> str:
        """The reason of the sweep, and that of its first run that failed."""
        forms = self._context.forms
        runs = reversed(self._context.runs.children(sweep.workspace_id, sweep.run_id))
        failed = next((run for run in runs if run.status is RunStatus.FAILED), None)
        return f"{forms.reason(sweep)} {failed.run_id}: {forms.reason(failed)}" if failed else forms.reason(sweep)

    def _publish(self, active: _Active, sweep: Run) -> None:
        job = active.job
        metrics = self._all_metrics(sweep)
        shown = json.dumps(metrics, separators=(",", ":"))
        # The lines of real steps (Azure/MachineLearningNotebooks #737).
        self._logs.print(job.workspace_id, job.run_id, "Metrics for HyperDrive run:", shown)
        for output in job.outputs:
            if output.training is None:
                continue
            if output.training.is_metrics:
                self._write(job, output, shown)
            else:
                self._copy(job, output, self._model_run(active, output, sweep))
        stager = OutputStager(self._context, job, Path())
        made = [
            stager.describe(StagedOutput(output, Path(), output.path_of(job.run_id)))
            for output in job.outputs
            if output.is_dataset
        ]
        self._context.runs.change(job.workspace_id, job.run_id, output_datasets=made)

    def _all_metrics(self, sweep: Run) -> dict[str, dict[str, list[Any]]]:
        """The values of all metrics, by run and name."""
        runs = reversed(self._context.runs.children(sweep.workspace_id, sweep.run_id))
        found = {run.run_id: dict(self._metrics_of(run)) for run in runs}
        return {run_id: values for run_id, values in found.items() if values}

    def _metrics_of(self, run: Run) -> Iterator[tuple[str, list[Any]]]:
        for series in self._metrics.series(run.workspace_id, run.run_id):
            points, _ = self._metrics.rest(run.workspace_id, run.run_id, series.name)
            yield series.name, list(_cells(points))

    def _model_run(self, active: _Active, output: JobOutput, sweep: Run) -> str:
        """The run whose model an output gets: the best one, or that of an iteration."""
        training = output.training
        if training and training.iteration is not None:
            return f"{sweep.run_id}_{training.iteration}"
        if training and training.metric:
            best = self._best(active, sweep, training.metric)
        else:
            best = sweep.properties.get(BEST_RUN)
        if best is None:
            reasons = " ".join(str(warning.get("message")) for warning in sweep.warnings)
            raise NotFound(f"Output {output.name} got no model. {reasons or 'No run has logged its metric.'}")
        return best

    def _best(self, active: _Active, sweep: Run, metric: str) -> str | None:
        maximized = active.task.sweep.is_maximized
        scores: dict[str, float] = {}
        for run in self._context.runs.children(sweep.workspace_id, sweep.run_id):
            if any(series.name == metric for series in self._metrics.series(run.workspace_id, run.run_id)):
                points, _ = self._metrics.rest(run.workspace_id, run.run_id, metric)
                best = Scores(numbers(points), is_maximized=maximized).best()
                scores |= {} if best is None else {run.run_id: best}
        return max(scores, key=lambda run_id: scores[run_id], default=None)

    def _write(self, job: Job, output: JobOutput, text: str) -> None:
        with self._context.blobs.receive() as file:
            file.write_text(text, encoding="utf-8")
            self._put(job, output, "", file)

    def _copy(self, job: Job, output: JobOutput, run_id: str) -> None:
        """Copy a file of a run, or all files of a folder, to an output's path."""
        blobs, account = self._context.blobs, self._context.workspaces.by_id(job.workspace_id).storage_account
        wanted = ((output.training and output.training.file) or "").strip("/").removeprefix("./")
        root = of_run(run_id).root
        names = [name.removeprefix(root) for name in blobs.names(account, CONTAINER, root)]
        chosen = [name for name in names if name == wanted or name.startswith(f"{wanted}/")]
        if not chosen:
            known = ", ".join([name for name in names if name.startswith("outputs/")][:FILES_SHOWN]) or "none"
            raise Invalid(
                f"Output {output.name}: run {run_id} has no file {wanted!r}, the model_file of the TrainingOutput. "
                f"Its files in outputs/: {known}."
            )
        for name in chosen:
            with blobs.receive() as file:
                shutil.copyfile(blobs.path(account, CONTAINER, f"{root}{name}"), file)
                self._put(job, output, name.removeprefix(wanted), file)

    def _put(self, job: Job, output: JobOutput, below: str, file: Path) -> None:
        store = self._context.datastores.get(job.workspace_id, output.datastore)
        path = f"{output.path_of(job.run_id).strip('/')}{below}"
        self._context.blobs.put_file(store.account, store.container, path, file)


def _cells(points: list[Point]) -> Iterator[JSON | Any]:
    """The values of a metric with one column; the rows of a table."""
    for point in points:
        cells = dict(point.data)
        yield next(iter(cells.values())) if len(cells) == 1 else cells
