"""Run a pipeline; list, show, cancel and resubmit runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.options import open_pipeline, open_workspace, parse_values
from azureml_wrapper.cli.work import job_folders
from azureml_wrapper.cli.work.output import Record, sdk_silenced, show_json, show_records
from azureml_wrapper.errors import NotRegistered, UnregisteredRun, did_you_mean
from azureml_wrapper.jobs.record import names_jobs, near_folders
from azureml_wrapper.run import CANCELED, RunWrapper
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.runs.http_run import HttpRun
from azureml_wrapper.runs.resubmission import RESUBMITTED_FROM

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper
    from azureml_wrapper.workspace import WorkspaceWrapper

# The local service's property for it.
SCHEDULE = "azureml_wrapper.schedule_name"
# Key of run history's entry -> our name for it.
_FIELDS = {"runId": "run", "status": "status", "createdUtc": "created", "startTimeUtc": "started"}


def run(
    config: Path,
    experiment: str,
    *,
    ws_config: Path | None,
    given: Sequence[str],
    locally: bool,
    no_wait: bool,
    target: str,
    dry_run: bool,
) -> None:
    """Run the pipeline of a config with SDK v1 or v2 (`target`), or only check it."""
    pipeline = open_pipeline(config, locally=locally, ws_config=ws_config)
    values = parse_values(given)
    if target == "v2":
        _run_v2(pipeline, experiment, values, wait=not no_wait, dry_run=dry_run)
    elif dry_run:
        _check(pipeline, values)
    else:
        # Imported where a run is followed, because it brings rich.
        from azureml_wrapper.cli.work.watching import show_steps

        submitted = _submit(pipeline, experiment, values)
        if not no_wait:
            show_steps(submitted, pipeline.retries)


def runs(
    workspace: WorkspaceWrapper, *, experiment: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """List the newest runs of an experiment, or of all."""
    client = HistoryClient(workspace._services(), workspace.scope)
    records = list(itertools.chain.from_iterable(_newest(client, experiment, status, limit)))
    records.sort(key=lambda record: str(record["created"]), reverse=True)
    show_records(records[:limit], ("run", "experiment", "status", "created", "schedule"), as_json=as_json)


def show(workspace: WorkspaceWrapper, run_id: str, *, as_json: bool) -> None:
    """Print a run and its steps."""
    record = _description(HttpRun.find(HistoryClient(workspace._services(), workspace.scope), run_id))
    if as_json:
        show_json(record)
        return
    for name, value in record.items():
        if name not in ("steps", "failure") and value not in (None, {}):
            shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
            click.echo(f"{name:<17}{shown}")
    if record["steps"]:
        show_records(record["steps"], ("step", "status", "seconds", "reused_from"), as_json=False)
    if record["failure"]:
        click.echo(record["failure"])


def cancel(words: Sequence[str], *, config: Path | None, locally: bool, timeout: float, as_json: bool) -> None:
    """Cancel a run, a step or jobs, and wait until they have stopped.

    Raises:
        click.ClickException: The run ended in another way.
    """
    if names_jobs(words[0]):
        job_folders.abort(words, timeout=timeout, as_json=as_json)
        return
    workspace = open_workspace(config, locally)
    run = _find_run_or_step(HistoryClient(workspace._services(), workspace.scope), words)
    if not run.has_ended:
        _cancel(run, workspace)
        run.wait(timeout)
    elif run.status != CANCELED:
        raise click.ClickException(f"Run {run.id} is {run.status} already and cannot be canceled.")
    if run.status != CANCELED:
        raise click.ClickException(f"Run {run.id} was {run.status} before it could be canceled.")
    state = {"run": run.id, "status": run.status, "page": run.portal_url}
    show_json(state) if as_json else click.echo(f"Run {run.id} is canceled.")


def resubmit(
    words: Sequence[str],
    *,
    config: Path | None,
    locally: bool,
    from_failed: bool,
    given: Sequence[str],
    no_wait: bool,
    as_json: bool,
    new_code: bool,
    force: bool,
) -> None:
    """Submit a pipeline's run again and show it, or submit jobs again."""
    values = parse_values(given)
    if names_jobs(words[0]):
        check_folder_options(from_failed=from_failed, no_wait=no_wait)
        job_folders.resubmit(words, values, new_code=new_code, force=force, as_json=as_json)
        return
    workspace = open_workspace(config, locally)
    found = _find_run_or_job(HistoryClient(workspace._services(), workspace.scope), words)
    if new_code or force:
        raise click.UsageError(f"--new-code and --force are for job folders; {found.id} is a run.")
    from azureml_wrapper.cli.work.watching import follow

    run = RunWrapper(workspace.ws.get_run(found.id))
    follow(run.resubmit(from_failed, values), no_wait=no_wait, as_json=as_json)


def check_folder_options(**given: bool) -> None:
    """Raise a usage error for options of `resubmit` that job folders do not take."""
    for name, value in given.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{option} is for runs of pipelines. Jobs of folders are submitted without waiting."
            )


def _check(pipeline: PipelineWrapper, values: Mapping[str, str]) -> None:
    """Build the pipeline, let the SDK validate it, and list its steps."""
    pipeline._assign(values)
    problems = pipeline.pipeline.validate()
    if problems:
        raise click.ClickException("\n".join(str(problem) for problem in problems))
    for step in pipeline.steps:
        # A dataset is an object of the SDK, with a name.
        arguments = (str(getattr(argument, "name", argument)) for argument in step.arguments)
        click.echo(" ".join([f"{step.name}: {step.script_name}", *arguments]))
    click.echo("The pipeline is valid; nothing was run.")


def _submit(pipeline: PipelineWrapper, experiment: str, values: Mapping[str, str]) -> RunWrapper:
    from azureml_wrapper.train_pipeline import show_ids

    with sdk_silenced():
        run = pipeline.run(experiment, wait=False, parameters=values)
    if pipeline.definition.in_sequence:
        click.echo(show_ids(run))
    else:
        click.echo(f"Run {run.id}\n{run.portal_url}")
    return run


def _run_v2(
    pipeline: PipelineWrapper, experiment: str, values: Mapping[str, str], *, wait: bool, dry_run: bool
) -> None:
    """Export the pipeline and submit it with SDK v2."""
    from azureml_wrapper.v2 import client

    if dry_run:
        client.check(pipeline, experiment, values)
        click.echo("azure-ai-ml loads the exported pipeline; nothing was run.")
        return
    job = client.submit(pipeline, experiment, parameters=values)
    click.echo(f"Job {job.name}\n{job.portal_url or ''}".rstrip())
    if wait:
        job.wait()


def _cancel(run: HttpRun, workspace: WorkspaceWrapper) -> None:
    if run.is_canceled_by_sdk:
        workspace.ws.get_run(run.id).cancel()
    else:
        run.cancel()


def _find_run_or_job(client: HistoryClient, words: Sequence[str]) -> HttpRun:
    """The one run that the words name; `UnregisteredRun` suggests job folders with a similar name."""
    run_id, *others = words
    if others:
        raise click.UsageError(
            f"{run_id!r} is not a job folder, and after the id of a run {others[0]!r} is not allowed."
        )
    try:
        return HttpRun.find(client, run_id)
    except UnregisteredRun as error:
        raise UnregisteredRun(f"{error} {near_folders(run_id)}") from error


def _find_run_or_step(client: HistoryClient, words: Sequence[str]) -> HttpRun:
    """The run with the id in the first word, or its step with the name or id in the second."""
    if len(words) != 2:
        return _find_run_or_job(client, words)
    run = _find_run_or_job(client, words[:1])
    return _find_step(run, words[1])


def _find_step(run: HttpRun, word: str) -> HttpRun:
    """The step with that id or name; a usage error lists the steps that share the name."""
    steps = run.steps()
    named = {name: step for name, step in steps.items() if step.name == word}
    if len(named) > 1:
        listed = "".join(f"\n  {step.id}  {name}, {step.status}" for name, step in named.items())
        raise click.UsageError(f"Run {run.id} has {len(named)} steps named {word!r}. Use the id of one:{listed}")
    for name, step in steps.items():
        if word in (name, step.id):
            return step
    known = did_you_mean(word, steps) or f" Steps: {', '.join(map(repr, steps)) or 'none yet'}."
    raise UnregisteredRun(f"Run {run.id} has no step {word!r}.{known}")


def _description(run: HttpRun) -> dict[str, Any]:
    """A run and its steps, as `aml show --json` prints them."""
    properties, steps = run.properties, run.steps()
    failure = run.failure(steps)
    return {
        "run": run.id,
        "experiment": run.experiment,
        "status": run.status,
        "seconds": round(run.duration, 1),
        "page": run.portal_url,
        "parameters": json.loads(properties.get("azureml.parameters") or "{}"),
        "schedule": properties.get(SCHEDULE),
        "resubmitted_from": properties.get(RESUBMITTED_FROM),
        "steps": [_step(name, step) for name, step in steps.items()],
        "failure": str(failure) if failure else None,
    }


def _step(name: str, step: HttpRun) -> Record:
    return {
        "step": name,
        "run": step.id,
        "status": step.status,
        "seconds": round(step.duration, 1),
        "reused_from": step.reused_from,
    }


def _newest(client: HistoryClient, experiment: str | None, status: str | None, limit: int) -> Iterator[list[Record]]:
    """The newest runs of each experiment; `NotRegistered` if the workspace does not have the given one."""
    for name in [experiment] if experiment else client.experiments():
        found = client.newest(name, status, limit)
        if found is None:
            known = sorted(client.experiments())
            hint = did_you_mean(name, known) or f" Experiments: {', '.join(known) or 'none'}."
            raise NotRegistered(f"Workspace {client.workspace.name} has no experiment {name!r}.{hint}")
        yield [_record(name, entry) for entry in found]


def _record(experiment: str, entry: Mapping[str, Any]) -> Record:
    fields = {ours: entry.get(name) for name, ours in _FIELDS.items()}
    properties = entry.get("properties") or {}
    parts = {
        "experiment": experiment,
        "ended": entry.get("endTimeUtc"),
        "schedule": properties.get(SCHEDULE),
        "resubmitted_from": properties.get(RESUBMITTED_FROM),
    }
    return {name: str(value) if value is not None else None for name, value in {**fields, **parts}.items()}
