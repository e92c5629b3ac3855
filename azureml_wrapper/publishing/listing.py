"""Published pipelines and their schedules as the service lists them, for commands that do without the SDK.

A `ListedSchedule` has the attributes of the SDK's Schedule that `schedule.py` describes, read in the same way
(azureml/pipeline/core/_aeva_provider.py, from_schedule_entity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azureml_wrapper.recurrence import WEEK_DAYS
from azureml_wrapper.runs.history_client import JSON, HistoryClient

# Numbers that the service used for words (azureml/pipeline/core/_restclients/aeva/service_caller_base.py).
_STATUSES = dict(zip("012", ("Active", "Deprecated", "Disabled"), strict=True))
_FREQUENCIES = dict(zip("01234", ("Month", "Week", "Day", "Hour", "Minute"), strict=True))
_DAYS = dict(zip("0123456", WEEK_DAYS, strict=True))
_RECURRENCE = ("0", "Recurrence")


@dataclass(frozen=True, kw_only=True)
class ListedZone:
    """A time zone; `value` is Azure ML's name for it."""

    value: str


@dataclass(frozen=True, kw_only=True)
class ListedRecurrence:
    """When a schedule runs again and again."""

    frequency: str
    interval: int
    start_time: str | None
    time_zone: ListedZone | None
    hours: Sequence[int] | None
    minutes: Sequence[int] | None
    week_days: Sequence[str] | None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> ListedRecurrence:
        """Read the service's JSON."""
        when, zone = entry.get("Schedule") or {}, entry.get("TimeZone")
        days = when.get("WeekDays")
        return cls(
            frequency=_word(_FREQUENCIES, entry["Frequency"]),
            interval=int(entry["Interval"]),
            start_time=entry.get("StartTime"),
            time_zone=ListedZone(value=zone) if zone else None,
            hours=when.get("Hours"),
            minutes=when.get("Minutes"),
            week_days=None if days is None else [_word(_DAYS, day) for day in days],
        )


@dataclass(frozen=True, kw_only=True)
class ListedSchedule:
    """A schedule; `recurrence` is None if it watches a datastore."""

    id: str
    name: str
    status: str
    pipeline_id: str | None
    created_date: str | None
    recurrence: ListedRecurrence | None
    datastore_name: str | None
    path_on_datastore: str | None
    polling_interval: int | None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> ListedSchedule:
        """Read the service's JSON."""
        recurs = str(entry.get("ScheduleType")) in _RECURRENCE
        watched = {} if recurs else entry.get("DataStoreTriggerInfo") or {}
        return cls(
            id=entry["Id"],
            name=entry["Name"],
            status=_word(_STATUSES, entry["EntityStatus"]),
            pipeline_id=entry.get("PipelineId"),
            created_date=entry.get("CreatedDate"),
            recurrence=ListedRecurrence.read(entry["Recurrence"]) if recurs else None,
            datastore_name=watched.get("DataStoreName"),
            path_on_datastore=watched.get("PathOnDataStore"),
            polling_interval=watched.get("PollingInterval"),
        )


@dataclass(frozen=True, kw_only=True)
class ListedPipeline:
    """A published pipeline, with its active schedule."""

    id: str
    name: str
    version: str
    status: str
    description: str | None
    endpoint: str
    schedule: ListedSchedule | None

    @classmethod
    def read(cls, entry: Mapping[str, Any], schedule: ListedSchedule | None) -> ListedPipeline:
        """Read the service's JSON."""
        return cls(
            id=entry["Id"],
            name=entry["Name"],
            version=str(entry.get("Version")),
            status=_word(_STATUSES, entry["EntityStatus"]),
            description=entry.get("Description"),
            endpoint=str(entry.get("Url")),
            schedule=schedule,
        )


def listed_schedules(client: HistoryClient, *, active_only: bool = True) -> list[ListedSchedule]:
    """The schedules of a workspace, by name."""
    found = map(ListedSchedule.read, client.schedules(active_only=active_only))
    return sorted(found, key=lambda schedule: str(schedule.name))


def listed_pipelines(client: HistoryClient, *, active_only: bool = True) -> list[ListedPipeline]:
    """The published pipelines of a workspace, by name, then by version."""
    schedules = {each.pipeline_id: each for each in map(ListedSchedule.read, client.schedules(active_only=True))}
    entries: list[JSON] = client.published(active_only=active_only)
    found = [ListedPipeline.read(entry, schedules.get(entry["Id"])) for entry in entries]
    return sorted(found, key=lambda each: (each.name, rank(each.version)))


def rank(version: str) -> tuple[int, str]:
    """What versions are sorted by: numbers as numbers, after all others."""
    return (int(version) if version.isdecimal() else -1, version)


def _word(words: Mapping[str, str], given: Any) -> str:
    return words.get(str(given), str(given))
