"""What the command line shows of published pipelines and of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.output import Record, show_json, show_records
from azureml_wrapper.errors import UnregisteredSchedule, did_you_mean
from azureml_wrapper.publication import RegisteredPipeline, list_registered
from azureml_wrapper.schedule import describe, next_instants, recurrence_of, show_instant, utc_now

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.pipeline.core import Schedule


def show_one(made: RegisteredPipeline, *, as_json: bool) -> None:
    record = _pipeline(made)
    if as_json:
        show_json({**record, "next": [instant.isoformat() for instant in made.next_runs()]})
        return
    click.echo(f"{made.name}, version {made.version}\n{made.endpoint}")
    if record["schedule"]:
        click.echo(f"Runs {record['schedule']}")
    for instant in made.next_runs(3):
        click.echo(f"  {show_instant(instant)}")


def show_all(ws: Workspace, *, everything: bool, as_json: bool) -> None:
    records = [_pipeline(each) for each in list_registered(ws, active_only=not everything)]
    show_records(records, ("name", "version", "status", "schedule", "description"), as_json=as_json)


def show_schedules(ws: Workspace, *, count: int, as_json: bool) -> None:
    records = [_schedule(each, count, as_json) for each in _active(ws)]
    show_records(records, ("name", "when", "next"), as_json=as_json)


def disable_schedules(ws: Workspace, name: str) -> list[Schedule]:
    """Disable the schedules of that name; `UnregisteredSchedule` where none is active."""
    active = _active(ws)
    found = [schedule for schedule in active if schedule.name == name]
    if not found:
        known = sorted({schedule.name for schedule in active})
        hint = did_you_mean(name, known) or f" There are: {', '.join(known) or 'none'}."
        raise UnregisteredSchedule(f"Workspace {ws.name} has no active schedule {name!r}.{hint}")
    for schedule in found:
        schedule.disable()
    return found


def _active(ws: Workspace) -> list[Schedule]:
    from azureml.pipeline.core import Schedule

    return sorted(Schedule.list(ws), key=lambda schedule: str(schedule.name))


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


def _schedule(schedule: Schedule, count: int, as_json: bool) -> Record:
    now = utc_now()
    recurrence = recurrence_of(schedule, now)
    instants = next_instants(recurrence, count, now) if recurrence else []
    following: list[Any] = [instant.isoformat() if as_json else show_instant(instant) for instant in instants]
    return {
        "name": schedule.name,
        "when": describe(schedule),
        "next": following,
        "id": schedule.id,
        "pipeline": schedule.pipeline_id,
        "status": schedule.status,
    }
