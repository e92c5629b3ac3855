"""Reuse: decides whether a step has to run, and completes the runs of steps that do not."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.datasets import Source
from azureml_wrapper.local.domain.errors import NotFound, ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput, Script
from azureml_wrapper.local.domain.pipelines import LOGS
from azureml_wrapper.local.domain.plans import Step, StepRuns
from azureml_wrapper.local.domain.reuse import (
    ALLOW_REUSE_OFF,
    FIRST_RUN,
    JSON,
    REGENERATE,
    Recipe,
    changes,
    files_of,
    outputs_problem,
)
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.storage import CONTAINER, of_run
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.inputs import glob_expression, split_pattern
from azureml_wrapper.local.executor.session import DRIVER_LOG
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobfiles import link_file
from azureml_wrapper.local.store.results import Result, ResultStore
from azureml_wrapper.local.store.runs import RunStore

log = logging.getLogger("azureml_wrapper.local")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A step that is about to run: `origin` is the run whose outputs it reuses, else `reason` says why it runs."""

    step: Step
    job: Job
    made_by: Mapping[str, str]
    recipe: Recipe | None = None
    origin: Run | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        return f"Reused from run {self.origin.run_id}" if self.origin else f"Not reused: {self.reason}"


class Reuse:
    """Finds completed runs whose outputs a step can reuse."""

    def __init__(self, recipes: Recipes, results: ResultStore, runs: RunStore) -> None:
        self._recipes, self._results, self._runs = recipes, results, runs

    def decide(self, step: Step, job: Job, made_by: Mapping[str, str]) -> Attempt:
        """Whether an earlier run can be reused; `made_by` has the runs that made the job's inputs."""
        if not step.allow_reuse:
            return Attempt(step=step, job=job, made_by=made_by, reason=ALLOW_REUSE_OFF)
        try:
            recipe = self._recipes.of(step, job, made_by)
        except NotFound as fault:
            # The job fails for the same reason, and says so itself.
            return Attempt(step=step, job=job, made_by=made_by, reason=fault.message)
        origin, reason = (None, REGENERATE) if step.regenerate else self._find(job, recipe)
        return Attempt(step=step, job=job, made_by=made_by, recipe=recipe, origin=origin, reason=reason)

    def remember(self, attempt: Attempt) -> None:
        """Record that the attempt's run has completed."""
        job, recipe = attempt.job, attempt.recipe
        try:
            outputs = self._recipes.outputs(job, job.run_id) if recipe else {}
            # If data has changed in the meantime, it is unknown which version the script has read.
            same = recipe is not None and self._recipes.inputs(job, attempt.made_by) == recipe.inputs
            result = Result(run_id=job.run_id, step=attempt.step.name, recipe=recipe, outputs=outputs)
            self._results.add(job.workspace_id, result, is_reusable=same)
        except (ServiceFault, OSError) as fault:
            # The step will run again: no reason to fail this run.
            log.warning("run %s cannot be reused: %s", job.run_id, fault)

    def _find(self, job: Job, recipe: Recipe) -> tuple[Run | None, str]:
        reason = None
        for result in self._results.by_key(job.workspace_id, recipe.key):
            run = self._runs.find(job.workspace_id, result.run_id)
            if run is None or run.status is not RunStatus.COMPLETED:
                continue
            problem = outputs_problem(run.run_id, result.outputs, self._recipes.outputs(job, run.run_id))
            if problem is None:
                return run, ""
            reason = reason or problem
        return None, reason or self._explain(job, recipe)

    def _explain(self, job: Job, recipe: Recipe) -> str:
        last = self._results.latest(job.workspace_id, recipe.step)
        if last is None:
            return FIRST_RUN
        if last.recipe is None:
            return f"allow_reuse was off in run {last.run_id}"
        code: tuple[dict[str, str], dict[str, str]] = ({}, {})
        if last.recipe.code != recipe.code:
            code = self._recipes.code(job.workspace_id, last.recipe), self._recipes.code(job.workspace_id, recipe)
        found = changes(last.recipe, recipe, code)
        return "; ".join(found) or f"data changed while run {last.run_id} was reading it"


class Recipes:
    """Makes the recipes of steps (domain/reuse.py) from their jobs and the files that they read, as they are now."""

    def __init__(self, context: ExecutorContext, step_runs: StepRuns) -> None:
        self._context, self._step_runs = context, step_runs

    def of(self, step: Step, job: Job, made_by: Mapping[str, str]) -> Recipe:
        """The recipe of a job; `made_by` has the runs that made its inputs. `NotFound` if something is missing."""
        facts = self._step_runs.facts(step)
        return Recipe(
            step=step.name,
            snapshot_id=job.snapshot_id,
            code=self._code_hash(job),
            script=job.task.path if isinstance(job.task, Script) else "",
            arguments=list(job.task.arguments),
            parameters=dict(facts.parameters),
            environment=job.environment.content,
            variables=dict(facts.variables),
            settings=facts.settings,
            inputs=self.inputs(job, made_by),
            outputs={item.name: _output(item) for item in job.outputs},
        )

    def inputs(self, job: Job, made_by: Mapping[str, str]) -> JSON:
        """The part of a recipe that may change while the job runs: the files that it reads."""
        return {item.name: self._input(job, item, made_by.get(item.name)) for item in job.inputs}

    def code(self, workspace_id: str, recipe: Recipe) -> dict[str, str]:
        """The script folder's files: path and hash."""
        if recipe.snapshot_id is None:
            return {}
        files = self._context.snapshots.get(workspace_id, recipe.snapshot_id).files
        return {path: file.sha256 for path, file in files.items()}

    def outputs(self, job: Job, run_id: str) -> JSON:
        """The files in the outputs that a run of this job has made."""
        return {
            item.name: files_of(self._files(job.workspace_id, Source(item.datastore, item.path_of(run_id))))
            for item in job.outputs
        }

    def _code_hash(self, job: Job) -> str:
        return self._context.snapshots.get(job.workspace_id, job.snapshot_id).content_hash if job.snapshot_id else ""

    def _input(self, job: Job, item: JobInput, made_by: str | None) -> JSON:
        return {
            "mode": item.mode.value,
            "path_on_compute": item.path_on_compute,
            "variable": item.variable,
            "dataset": item.dataset_id,
            "datastore": item.datastore,
            "path": item.path,
            "made_by": made_by,
            "files": files_of(
                entry for source in self._sources(job, item) for entry in self._files(job.workspace_id, source)
            ),
        }

    def _sources(self, job: Job, item: JobInput) -> list[Source]:
        if item.dataset_id is None:
            return [Source(item.datastore, item.path)]
        return self._context.datasets.saved(job.workspace_id, item.dataset_id).sources

    def _files(self, workspace_id: str, source: Source) -> Iterator[tuple[str, str]]:
        """Name and ETag of each file. Files outside of the datastores are ignored."""
        if source.datastore is None:
            return
        found = self._context.datastores.get(workspace_id, source.datastore)
        container = self._context.blobs.container(found.account, found.container)
        fixed, pattern = split_pattern(source.path)
        if fixed and not pattern and (own := container.etag(fixed)):
            yield fixed, own
            return
        start = f"{fixed}/" if fixed else ""
        matches = glob_expression(pattern) if pattern else None
        for name, etag in container.etags(start):
            relative = name.removeprefix(start)
            if matches is None or matches.fullmatch(relative):
                yield relative, etag


def _output(item: JobOutput) -> JSON:
    settings = {**vars(item), "register_as": item.register_as.sent if item.register_as else None}
    # Recipes of other outputs stay as they were before there was this one.
    training = settings.pop("training")
    return {**settings, "training": training._asdict()} if training else settings


class ReusedRuns:
    """Completes the runs of steps that did not have to run, with the results of earlier runs."""

    def __init__(self, context: ExecutorContext, step_runs: StepRuns) -> None:
        self._context, self._step_runs = context, step_runs

    def complete(self, run: Run, origin: Run) -> None:
        """Give the run the properties, files and datasets of `origin`, and end it. Metrics are read from `origin`."""
        self._context.runs.change(
            run.workspace_id,
            run.run_id,
            started=run.created,
            properties=self._step_runs.reused(origin),
            input_datasets=origin.input_datasets,
            output_datasets=origin.output_datasets,
        )
        fault_point("reuse.described")
        try:
            self._link_files(run, origin)
            fault_point("reuse.linked")
            self._write_log(run, origin)
        except OSError as error:
            if is_temporary(error):
                raise
            raise ServiceFault(f"The files of run {origin.run_id} cannot be taken over: {error}.") from error
        self._context.runs.advance(run.workspace_id, run.run_id, RunStatus.COMPLETED)

    def _link_files(self, run: Run, origin: Run) -> None:
        """Link the files of the earlier run, except for the logs that each run has itself."""
        account = self._context.workspaces.by_id(run.workspace_id).storage_account
        root, own = of_run(origin.run_id).root, {*LOGS, endings.LOG, DRIVER_LOG}
        for name in self._context.blobs.names(account, CONTAINER, root):
            path = name.removeprefix(root)
            if path not in own:
                _link(self._context.blobs.path(account, CONTAINER, name), self._file(run, path))

    def _write_log(self, run: Run, origin: Run) -> None:
        before, log = self._file(origin, DRIVER_LOG), self._file(run, endings.LOG)
        with log.open("wb") as file:
            file.write(f"{endings.OWN_LINE}Reused from run {origin.run_id}: nothing ran. Its log:\n".encode())
            if before.exists():
                with before.open("rb") as source:
                    shutil.copyfileobj(source, file)
        _link(log, self._file(run, DRIVER_LOG))

    def _file(self, run: Run, path: str) -> Path:
        return self._context.artifact(run.workspace_id, run.run_id, path)


def _link(source: Path, target: Path) -> None:
    """Link a file, unless that was done before a full disk stopped the rest."""
    with contextlib.suppress(FileExistsError):
        link_file(source, target)
