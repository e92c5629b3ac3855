"""What the command line shows of runs, and does with them."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper import RunWrapper
from azureml_wrapper.cli.output import Record, show_json, show_records
from azureml_wrapper.cli.pipelines import parse_values, watch
from azureml_wrapper.errors import NotRegistered, UnregisteredRun, did_you_mean
from azureml_wrapper.messages import hushed
from azureml_wrapper.run import CANCELED, ENDS
from azureml_wrapper.runs.resubmission import RESUBMITTED_FROM
from azureml_wrapper.runs.waiting import wait_or_cancel

if TYPE_CHECKING:
    from azureml.core import Workspace

# The local service's name for it.
SCHEDULE = "azureml_wrapper.schedule_name"
# Of a run's record: its own key -> ours.
_FIELDS = {"run_id": "run", "status": "status", "created_utc": "created", "start_time_utc": "started"}


def show_runs(ws: Workspace, *, experiment: str | None, status: str | None, limit: int, as_json: bool) -> None:
    records = list(itertools.chain.from_iterable(_runs(ws, experiment, status, limit)))
    records.sort(key=lambda record: str(record["created"]), reverse=True)
    show_records(records[:limit], ("run", "experiment", "status", "created", "schedule"), as_json=as_json)


def find_run(ws: Workspace, run_id: str) -> RunWrapper:
    """The run; `UnregisteredRun` where the workspace has none of that id."""
    from azureml._restclient.exceptions import ServiceException

    try:
        with hushed():
            return RunWrapper(ws.get_run(run_id))
    except ServiceException as error:
        if error.status_code != 404:
            raise
        raise UnregisteredRun(f"Workspace {ws.name} has no run {run_id!r}; `aml runs` lists them.") from error


def find_run_or_job(ws: Workspace, words: Sequence[str]) -> RunWrapper:
    """The one run that the words name; `UnregisteredRun` tells of job folders with a name like that."""
    from azureml_wrapper.jobs.selection import near_folders

    run_id, *others = words
    if others:
        raise click.UsageError(f"{run_id!r} is no job folder, and of a run only its id is taken, not {others[0]!r}.")
    try:
        return find_run(ws, run_id)
    except UnregisteredRun as error:
        raise UnregisteredRun(f"{error} {near_folders(run_id)}") from error


def find_run_or_step(ws: Workspace, words: Sequence[str]) -> RunWrapper:
    """The run of the id that comes first, or its step of the name or id that comes next."""
    if len(words) != 2:
        return find_run_or_job(ws, words)
    run = find_run_or_job(ws, words[:1])
    steps = run.steps
    for name, step in steps.items():
        if words[1] in (name, step.id):
            return step
    known = did_you_mean(words[1], steps) or f" There are {', '.join(map(repr, steps)) or 'none yet'}."
    raise UnregisteredRun(f"Run {run.id} has no step {words[1]!r}.{known}")


def resubmit(
    run: RunWrapper,
    *,
    from_failed: bool,
    given: Iterable[str],
    no_wait: bool,
    as_json: bool,
    new_code: bool,
    force: bool,
) -> None:
    """Submit the run of a pipeline again, and show it."""
    if new_code or force:
        raise click.UsageError(f"--new-code and --force are for job folders; {run.id} is a run.")
    follow(run.resubmit(from_failed, parse_values(given)), no_wait=no_wait, as_json=as_json)


def show_run(run: RunWrapper, *, as_json: bool) -> None:
    record = describe(run)
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


def describe(run: RunWrapper) -> dict[str, Any]:
    """A run and its steps, as `aml show --json` prints them."""
    raw = run.raw
    properties = raw.get_properties()
    failure = run.failure
    return {
        "run": run.id,
        "experiment": raw.experiment.name,
        "status": run.status,
        "seconds": round(run.duration, 1),
        "page": run.portal_url,
        "parameters": json.loads(properties.get("azureml.parameters") or "{}"),
        "schedule": properties.get(SCHEDULE),
        "resubmitted_from": properties.get(RESUBMITTED_FROM),
        "steps": [_step(name, step) for name, step in run.steps.items()],
        "failure": str(failure) if failure else None,
    }


def cancel(run: RunWrapper, *, timeout: float, as_json: bool) -> None:
    """Cancel a run and wait for that; `ClickException` where it has ended in another way."""
    if run.status not in ENDS:
        run.cancel()
        run.wait(timeout)
    elif run.status != CANCELED:
        raise click.ClickException(f"Run {run.id} is {run.status} already; it cannot be cancelled.")
    if run.status != CANCELED:
        raise click.ClickException(f"Run {run.id} was {run.status} before it could be cancelled.")
    show_json(_state(run)) if as_json else click.echo(f"Run {run.id} is canceled.")


def follow(run: RunWrapper, *, no_wait: bool, as_json: bool) -> None:
    """Show a run that was submitted, until its end unless `no_wait`; `RunFailed` where that is not a good one."""
    if not as_json:
        click.echo(f"Run {run.id}\n{run.portal_url}")
        if not no_wait:
            watch(run)
        return
    if not no_wait:
        try:
            wait_or_cancel(run, RunWrapper.wait)
        finally:
            show_json(_state(run))
    else:
        show_json(_state(run))


def _state(run: RunWrapper) -> Record:
    return {"run": run.id, "status": run.status, "page": run.portal_url}


def _runs(ws: Workspace, experiment: str | None, status: str | None, limit: int) -> Iterator[list[Record]]:
    """The newest of each experiment."""
    from azureml.core import Experiment, Run

    wanted = [Experiment(ws, experiment, _create_in_cloud=False)] if experiment else Experiment.list(ws)
    for each in wanted:
        found = Run.list(each, status=status, _rehydrate_runs=False)
        with _known_experiment(ws, each.name):
            records = [_record(each.name, run._run_dto) for run in itertools.islice(found, limit)]
        yield records


@contextlib.contextmanager
def _known_experiment(ws: Workspace, name: str) -> Iterator[None]:
    """`NotRegistered` with the workspace's experiments where it has none of that name."""
    from azureml._restclient.models.error_response import ErrorResponseException
    from azureml.core import Experiment

    try:
        yield
    except ErrorResponseException as error:
        if error.response.status_code != 404:
            raise
        known = sorted(each.name for each in Experiment.list(ws))
        hint = did_you_mean(name, known) or f" There are: {', '.join(known) or 'none'}."
        raise NotRegistered(f"Workspace {ws.name} has no experiment {name!r}.{hint}") from error


def _record(experiment: str, given: Any) -> Record:
    fields = {ours: given.get(name) for name, ours in _FIELDS.items()}
    properties = given.get("properties") or {}
    parts = {
        "experiment": experiment,
        "ended": given.get("end_time_utc"),
        "schedule": properties.get(SCHEDULE),
        "resubmitted_from": properties.get(RESUBMITTED_FROM),
    }
    return {name: str(value) if value is not None else None for name, value in {**fields, **parts}.items()}


def _step(name: str, step: RunWrapper) -> Record:
    return {
        "step": name,
        "run": step.id,
        "status": step.status,
        "seconds": round(step.duration, 1),
        "reused_from": step.reused_from,
    }
