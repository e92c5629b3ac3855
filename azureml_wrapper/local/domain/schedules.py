"""Schedules: when a published pipeline, or the default one of an endpoint, runs automatically."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from azureml_wrapper.local.domain.published import Submission

JSON = dict[str, Any]

MAX_BATCH_SECONDS = 86_400.0
DEFAULT_POLLING_MINUTES = 5
# Properties of the runs that a schedule starts.
SCHEDULE_ID, SCHEDULE_NAME = "azureml.scheduleid", "azureml_wrapper.schedule_name"
# When a run was due, and the files that have changed.
SCHEDULE_INSTANT, SCHEDULE_FILES = "azureml_wrapper.schedule_instant", "azureml_wrapper.changed_files"


class Recurrence(Protocol):
    """When a recurring schedule fires."""

    def after(self, instant: datetime, /) -> Iterator[datetime]:
        """The times (in UTC) at which the schedule fires, without end, all later than the given one."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A folder whose changed blobs each start a run. With `batch`, all changes within that time start one run."""

    datastore: str
    path: str = ""
    polling: timedelta = timedelta(minutes=DEFAULT_POLLING_MINUTES)
    parameter: str | None = None
    batch: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule. It has either a `recurrence` or a `watch`, and either a `pipeline_id` or an `endpoint_id`.

    Args:
        anchor: The time from which a recurrence without a start time counts (`has_start` is False).
        body: What the client sent last, in its own format.
        next_fire: The next time of a recurrence, or the end of a burst of changes; None if nothing is planned.
        last_fire: The time for which the last run was started.
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
    has_start: bool = False
    watch: Watch | None = None
    next_fire: datetime | None = None
    last_fire: datetime | None = None


class Scheduler(Protocol):
    """Fires schedules."""

    def start(self) -> None:
        """Resume what an earlier process of the service left, and start firing."""

    def add(self, schedule: Schedule) -> Schedule:
        """Store and plan a new schedule."""

    def change(self, schedule: Schedule) -> Schedule:
        """Store a changed schedule, and plan it again."""

    def is_busy(self) -> bool:
        """Whether any schedule is enabled; the service stays up as long as one is."""

    def close(self) -> None:
        """Stop firing, because the service ends."""
