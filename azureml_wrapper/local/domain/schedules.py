"""Schedules: when a published pipeline, or the default one of an endpoint, is run by itself."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any, Protocol

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import DISPLAY_NAME_LENGTH, VALUE_LENGTH
from azureml_wrapper.local.domain.published import BATCH_SECONDS, Submission, read_submission
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.storage import check_blob_name
from azureml_wrapper.recurrence import WEEK_DAYS, Frequency, Recurrence, find_zone, localize

JSON = dict[str, Any]

MAX_BATCH_SECONDS = 86_400.0
DEFAULT_POLLING_MINUTES = 5
# Properties of the runs that a schedule begins.
SCHEDULE_ID, SCHEDULE_NAME = "azureml.scheduleid", "azureml_wrapper.schedule_name"
# The instant that a run was due at, and the files that have changed.
SCHEDULE_INSTANT, SCHEDULE_FILES = "azureml_wrapper.schedule_instant", "azureml_wrapper.changed_files"

_zone = functools.lru_cache(maxsize=64)(find_zone)
_RECURRENCE = {
    "Frequency": Needed(str),
    "Interval": Needed(int),
    "StartTime": str,
    "TimeZone": str,
    "Schedule": {"Hours": [int], "Minutes": [int], "WeekDays": [str]},
}
_TRIGGER = {
    "DataStoreName": Needed(str),
    "PollingInterval": int,
    "DataPathParameterName": str,
    "PathOnDataStore": str,
}
_SCHEDULE = {
    "Name": Needed(str),
    "PipelineId": str,
    "PipelineEndpointId": str,
    "PipelineSubmissionInfo": Needed(dict),
    "Recurrence": dict,
    "DataStoreTriggerInfo": dict,
}


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A folder whose changed blobs each begin a run; `batch`: the changes of so much time begin one together."""

    datastore: str
    path: str = ""
    polling: timedelta = timedelta(minutes=DEFAULT_POLLING_MINUTES)
    parameter: str | None = None
    batch: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule; exactly one of `recurrence` and `watch` is there, and of `pipeline_id` and `endpoint_id`.

    `body` is what the client sent last. A recurrence without a start time is counted from `anchor`. `next_fire` is
    the next instant of a recurrence, or that at which a burst of changes ends; None where nothing is planned.
    `last_fire` is the instant for which a run was last made.
    """

    workspace_id: str
    schedule_id: str
    name: str
    created: datetime
    modified: datetime
    anchor: datetime
    submission: Submission
    body: JSON = field(repr=False)
    pipeline_id: str | None = None
    endpoint_id: str | None = None
    is_active: bool = True
    recurrence: Recurrence | None = None
    watch: Watch | None = None
    next_fire: datetime | None = None
    last_fire: datetime | None = None


class Scheduler(Protocol):
    """Lets schedules fire."""

    def start(self) -> None:
        """Take up what an earlier process of the service left, and begin to fire."""

    def add(self, schedule: Schedule) -> Schedule:
        """Store a new schedule, and plan it."""

    def change(self, schedule: Schedule) -> Schedule:
        """Store a changed schedule, and plan it anew."""

    def is_busy(self) -> bool:
        """Whether any schedule is enabled: the service then has to stay."""

    def close(self) -> None:
        """Fire no more, because the service ends."""


def read_schedule(
    body: JSON,
    *,
    workspace_id: str,
    schedule_id: str,
    created: datetime,
    modified: datetime,
    anchor: datetime,
    is_active: bool = True,
    next_fire: datetime | None = None,
    last_fire: datetime | None = None,
) -> Schedule:
    """A schedule from a ScheduleCreationInfo or a PipelineScheduleEntity; `Invalid` where it is none."""
    check_shape(body, _SCHEDULE, "The schedule")
    if bool(body.get("PipelineId")) == bool(body.get("PipelineEndpointId")):
        raise Invalid("A schedule runs either a published pipeline (PipelineId) or an endpoint (PipelineEndpointId).")
    if bool(body.get("Recurrence")) == bool(body.get("DataStoreTriggerInfo")):
        raise Invalid("A schedule has either a Recurrence or a DataStoreTriggerInfo.")
    submission, batch = _read_submission(body["PipelineSubmissionInfo"], body["Name"], schedule_id)
    recurrence, watch = body.get("Recurrence"), body.get("DataStoreTriggerInfo")
    return Schedule(
        workspace_id=workspace_id,
        schedule_id=schedule_id,
        name=body["Name"],
        created=created,
        modified=modified,
        anchor=anchor,
        submission=submission,
        body=body,
        pipeline_id=body.get("PipelineId"),
        endpoint_id=body.get("PipelineEndpointId"),
        is_active=is_active,
        recurrence=read_recurrence(recurrence, anchor) if recurrence else None,
        watch=read_watch(watch, batch) if watch else None,
        next_fire=next_fire,
        last_fire=last_fire,
    )


def _read_submission(body: JSON, name: str, schedule_id: str) -> tuple[Submission, str | None]:
    """What each run is asked for, and the value of `BATCH_SECONDS`, which is none of the pipeline's parameters."""
    asked = read_submission(body)
    parameters = dict(asked.values.parameters)
    batch = parameters.pop(BATCH_SECONDS, None)
    asked = replace(
        asked,
        values=replace(asked.values, parameters=parameters),
        run_source=asked.run_source or "Schedule",
        run_type="Schedule",
        schedule_id=schedule_id,
        display_name=name[:DISPLAY_NAME_LENGTH],
        properties={**asked.properties, SCHEDULE_ID: schedule_id, SCHEDULE_NAME: name[:VALUE_LENGTH]},
    )
    return asked, batch


def has_start(recurrence: JSON) -> bool:
    return bool(recurrence.get("StartTime"))


def read_recurrence(body: JSON, anchor: datetime) -> Recurrence:
    """A Recurrence; without a start time it counts from `anchor`, the time of its creation. Raises `Invalid`."""
    check_shape(body, _RECURRENCE, "Recurrence")
    times = body.get("Schedule") or {}
    try:
        zone = _zone(body.get("TimeZone"))
        start = _wall_clock(body["StartTime"], zone) if has_start(body) else _wall_clock(anchor.isoformat(), zone)
        made = Recurrence(
            frequency=Frequency(body["Frequency"]),
            interval=body["Interval"],
            start=start,
            zone=zone,
            hours=tuple(times.get("Hours") or ()),
            minutes=tuple(times.get("Minutes") or ()),
            week_days=tuple(_week_day(name) for name in times.get("WeekDays") or ()),
        )
        # A span or a start too large to count with: the second instant has to be known when the first one fires.
        list(itertools.islice(made.after(anchor), 2))
    except (ValueError, OverflowError) as error:
        raise Invalid(f"The recurrence cannot be kept: {error}") from error
    return made


def read_watch(body: JSON, batch: object) -> Watch:
    """A DataStoreTriggerInfo; `batch` is the value of the parameter `BATCH_SECONDS`. Raises `Invalid`."""
    check_shape(body, _TRIGGER, "DataStoreTriggerInfo")
    polling = body.get("PollingInterval")
    if polling is not None and not 0 <= polling <= 1_000_000:
        raise Invalid(f"PollingInterval is {polling}; it is a number of minutes from 0 to 1000000.")
    path = (body.get("PathOnDataStore") or "").strip("/")
    if path:
        check_blob_name(path)
    return Watch(
        datastore=body["DataStoreName"],
        path=path,
        polling=timedelta(minutes=DEFAULT_POLLING_MINUTES if polling is None else polling),
        parameter=body.get("DataPathParameterName"),
        batch=_batch(batch),
    )


def _batch(value: object) -> timedelta | None:
    if value in (None, ""):
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_BATCH_SECONDS:
        raise Invalid(f"{BATCH_SECONDS} is {value!r}; it is a number of seconds from 0 to {MAX_BATCH_SECONDS:.0f}.")
    return timedelta(seconds=seconds)


def _week_day(name: str) -> int:
    if name not in WEEK_DAYS:
        raise ValueError(f"{name!r} is no day of the week; allowed are {', '.join(WEEK_DAYS)}.")
    return WEEK_DAYS.index(name)


def _wall_clock(text: str, zone: tzinfo) -> datetime:
    """A start time on the wall clock of its zone; one with an offset is turned to it."""
    # Python 3.10 reads three or six decimals only, .NET writes up to seven.
    text = re.sub(r"\.(\d+)", lambda part: "." + part[1][:6].ljust(6, "0"), text.strip())
    try:
        start = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError as error:
        raise ValueError(f"StartTime {text!r} is no time such as 2026-01-31T08:00:00 ({error}).") from error
    if start.tzinfo:
        start = start.astimezone(zone).replace(tzinfo=None)
    localize(start, timezone.utc)
    return start
