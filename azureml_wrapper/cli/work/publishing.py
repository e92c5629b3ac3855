"""Publish pipelines, list and trigger them; list, disable and enable their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.options import open_pipeline, parse_values
from azureml_wrapper.cli.work.output import Record, sdk_silenced, show_json, show_records
from azureml_wrapper.errors import BadSchedule, UnregisteredSchedule, did_you_mean
from azureml_wrapper.publishing.listing import ListedPipeline, ListedSchedule, listed_pipelines, listed_schedules
from azureml_wrapper.publishing.publication import (
    ACTIVE,
    RegisteredPipeline,
    disable_all,
    find_registered,
    list_registered,
)
from azureml_wrapper.publishing.schedule import describe, next_times, recurrence_of, show_time, utc_now
from azureml_wrapper.runs.history_client import HistoryClient

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.pipeline.core import Schedule

    from azureml_wrapper.workspace import WorkspaceWrapper


def publish(
    config: Path,
    name: str,
    *,
    given: Sequence[str],
    locally: bool,
    experiment: str | None,
    as_json: bool,
    **when: Any,
) -> None:
    """Publish the pipeline of a config; `when` has the schedule's arguments of `PipelineWrapper.register`."""
    asked = {key: value for key, value in when.items() if value != ()}
    pipeline = open_pipeline(config, locally=locally)
    with sdk_silenced():
        made = pipeline.register(name, parameters=parse_values(given), experiment_name=experiment, **asked)
    record = _pipeline(made)
    if as_json:
        show_json({**record, "next": [time.isoformat() for time in made.next_runs()]})
        return
    click.echo(f"{made.name}, version {made.version}\n{made.endpoint}")
    if record["schedule"]:
        click.echo(f"Runs {record['schedule']}")
    for time in made.next_runs(3):
        click.echo(f"  {show_time(time)}")


def pipelines(workspace: WorkspaceWrapper, *, everything: bool, as_json: bool) -> None:
    """List published pipelines, with `everything` disabled ones, too."""
    client = HistoryClient(workspace._services(), workspace.scope)
    records = [_listed(each) for each in listed_pipelines(client, active_only=not everything)]
    show_records(records, ("name", "version", "status", "schedule", "description"), as_json=as_json)


def trigger(ws: Workspace, name: str, *, given: Sequence[str], experiment: str | None, **how: bool) -> None:
    """Run a published pipeline, and show its run."""
    # Imported here, because it brings rich, which lists as JSON do without.
    from azureml_wrapper.cli.work.watching import follow

    found = find_registered(ws, name)
    with sdk_silenced():
        run = found.trigger(parse_values(given), experiment=experiment)
    follow(run, **how)


def schedules(workspace: WorkspaceWrapper, *, count: int, everything: bool, as_json: bool) -> None:
    """List schedules with their next `count` runs, with `everything` disabled ones, too."""
    client = HistoryClient(workspace._services(), workspace.scope)
    found = listed_schedules(client, active_only=not everything)
    records = [_schedule(each, count, as_json) for each in found]
    columns = ("name", "status", "when", "next") if everything else ("name", "when", "next")
    show_records(records, columns, as_json=as_json)


def disable(ws: Workspace, name: str, *, as_json: bool) -> None:
    """Disable the active schedules with that name; raise `UnregisteredSchedule` if none is found."""
    found = _named(ws, name, active_only=True)
    disable_all(found)
    _show_states(found, f"The schedule {name} is disabled.", as_json=as_json)


def enable(ws: Workspace, name: str, *, as_json: bool) -> None:
    """Enable one schedule with that name.

    Publishing a name again leaves the disabled schedules of earlier versions behind; the newest version's is enabled.

    Raises:
        UnregisteredSchedule: No schedule has that name.
        BadSchedule: The pipeline of the schedule is disabled.
    """
    schedule = _to_enable(ws, name)
    if schedule.status != ACTIVE:
        schedule.enable()
    _show_states([schedule], f"The schedule {name} is enabled.", as_json=as_json)


def _to_enable(ws: Workspace, name: str) -> Schedule:
    """The active schedule with that name, so that no second one runs beside it; else the newest version's."""
    found = _named(ws, name, active_only=False)
    active = [schedule for schedule in found if schedule.status == ACTIVE]
    if active:
        return active[0]
    of_pipelines = {schedule.pipeline_id: schedule for schedule in reversed(found)}
    versions = [each for each in list_registered(ws) if each.pipeline.id in of_pipelines]
    if versions:
        return of_pipelines[versions[-1].pipeline.id]
    endpoints = [each for each in found if each.pipeline_endpoint_id]
    if not endpoints:
        raise BadSchedule(f"The pipeline of the schedule {name} is disabled; enable or publish it first.")
    return endpoints[0]


def _show_states(found: list[Schedule], sentence: str, *, as_json: bool) -> None:
    if as_json:
        show_json([{"name": each.name, "id": each.id, "status": each.status} for each in found])
    else:
        click.echo(sentence)


def _named(ws: Workspace, name: str, *, active_only: bool) -> list[Schedule]:
    """The schedules with that name; raise `UnregisteredSchedule` if none is found."""
    every = _schedules(ws, active_only=active_only)
    found = [schedule for schedule in every if schedule.name == name]
    if not found:
        known = sorted({schedule.name for schedule in every})
        hint = did_you_mean(name, known) or f" Schedules: {', '.join(known) or 'none'}."
        kind = "active schedule" if active_only else "schedule"
        raise UnregisteredSchedule(f"Workspace {ws.name} has no {kind} {name!r}.{hint}")
    return found


def _schedules(ws: Workspace, *, active_only: bool = True) -> list[Schedule]:
    from azureml.pipeline.core import Schedule

    return sorted(Schedule.list(ws, active_only=active_only), key=lambda schedule: str(schedule.name))


def _pipeline(each: RegisteredPipeline) -> Record:
    return {
        "name": each.name,
        "version": each.version,
        "status": each.pipeline.status,
        "schedule": describe(each.schedule) if each.schedule else None,
        "description": each.pipeline.description,
        "id": each.pipeline.id,
        "endpoint": each.endpoint,
    }


def _listed(each: ListedPipeline) -> Record:
    return {
        "name": each.name,
        "version": each.version,
        "status": each.status,
        "schedule": describe(each.schedule) if each.schedule else None,
        "description": each.description,
        "id": each.id,
        "endpoint": each.endpoint,
    }


def _schedule(schedule: ListedSchedule, count: int, as_json: bool) -> Record:
    now = utc_now()
    recurrence = recurrence_of(schedule, now)
    times = next_times(recurrence, count, now) if recurrence and schedule.status == ACTIVE else []
    following: list[Any] = [time.isoformat() if as_json else show_time(time) for time in times]
    return {
        "name": schedule.name,
        "when": describe(schedule),
        "next": following,
        "id": schedule.id,
        "pipeline": schedule.pipeline_id,
        "status": schedule.status,
    }
