"""What the command line shows of published pipelines and of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.output import Record, show_json, show_records
from azureml_wrapper.errors import BadSchedule, UnregisteredSchedule, did_you_mean
from azureml_wrapper.publishing.publication import ACTIVE, RegisteredPipeline, list_registered
from azureml_wrapper.publishing.schedule import describe, next_times, recurrence_of, show_time, utc_now

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
        click.echo(f"  {show_time(instant)}")


def show_all(ws: Workspace, *, everything: bool, as_json: bool) -> None:
    records = [_pipeline(each) for each in list_registered(ws, active_only=not everything)]
    show_records(records, ("name", "version", "status", "schedule", "description"), as_json=as_json)


def show_schedules(ws: Workspace, *, count: int, everything: bool, as_json: bool) -> None:
    records = [_schedule(each, count, as_json) for each in _schedules(ws, active_only=not everything)]
    columns = ("name", "status", "when", "next") if everything else ("name", "when", "next")
    show_records(records, columns, as_json=as_json)


def disable_schedules(ws: Workspace, name: str) -> list[Schedule]:
    """Disable the schedules of that name; `UnregisteredSchedule` where none is active."""
    found = _named(ws, name, active_only=True)
    for schedule in found:
        schedule.disable()
    return found


def enable_schedule(ws: Workspace, name: str) -> Schedule:
    """Enable the schedule of that name, and no second one beside it.

    Registering a name again leaves the schedules of earlier versions behind, disabled: the one of the newest version
    is meant. Raises `UnregisteredSchedule` where there is none, `BadSchedule` where its pipeline is disabled.
    """
    found = _named(ws, name, active_only=False)
    active = [schedule for schedule in found if schedule.status == ACTIVE]
    if active:
        return active[0]
    of_pipelines = {schedule.pipeline_id: schedule for schedule in reversed(found)}
    versions = [each for each in list_registered(ws) if each.pipeline.id in of_pipelines]
    if not versions and not (endpoints := [each for each in found if each.pipeline_endpoint_id]):
        raise BadSchedule(f"The pipeline of the schedule {name} is disabled; enable or publish that one first.")
    meant = of_pipelines[versions[-1].pipeline.id] if versions else endpoints[0]
    meant.enable()
    return meant


def show_states(found: list[Schedule], sentence: str, *, as_json: bool) -> None:
    if as_json:
        show_json([{"name": each.name, "id": each.id, "status": each.status} for each in found])
    else:
        click.echo(sentence)


def _named(ws: Workspace, name: str, *, active_only: bool) -> list[Schedule]:
    """The schedules of that name; `UnregisteredSchedule` where there is none."""
    every = _schedules(ws, active_only=active_only)
    found = [schedule for schedule in every if schedule.name == name]
    if not found:
        known = sorted({schedule.name for schedule in every})
        hint = did_you_mean(name, known) or f" There are: {', '.join(known) or 'none'}."
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


def _schedule(schedule: Schedule, count: int, as_json: bool) -> Record:
    now = utc_now()
    recurrence = recurrence_of(schedule, now)
    instants = next_times(recurrence, count, now) if recurrence and schedule.status == ACTIVE else []
    following: list[Any] = [instant.isoformat() if as_json else show_time(instant) for instant in instants]
    return {
        "name": schedule.name,
        "when": describe(schedule),
        "next": following,
        "id": schedule.id,
        "pipeline": schedule.pipeline_id,
        "status": schedule.status,
    }
