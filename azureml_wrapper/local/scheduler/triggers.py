"""When a schedule fires next, and what it asks for then. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.limits import VALUE_LENGTH
from azureml_wrapper.local.domain.pipelines import (
    SCHEDULE_FILES,
    SCHEDULE_INSTANT,
    PipelineForms,
    Schedule,
    Submission,
    Watch,
)

# A clock that is set back by less is only waited for: one that is corrected, or a server's that differs a little.
SETBACK = timedelta(hours=1)


def first_instant(schedule: Schedule, now: datetime) -> datetime | None:
    """When a new schedule, or one whose recurrence has changed, fires first.

    Azure's rule: without a start time at once, and then by the recurrence (MachineLearningNotebooks #1369).
    """
    if schedule.is_active and schedule.recurrence and not schedule.has_start:
        return now
    return next_instant(schedule, now)


def next_instant(schedule: Schedule, now: datetime) -> datetime | None:
    """The next time after now; None for a disabled schedule, and for one that waits for blobs.

    Missed times are not caught up one by one: after a time without the service, a recurrence fires once, for the time
    that was due first, and then continues from now.
    """
    if not schedule.is_active or schedule.recurrence is None:
        return None
    return next(schedule.recurrence.after(now))


def is_set_back(schedule: Schedule, now: datetime) -> bool:
    """Whether the clock was set back: the schedule has fired, or was made, in the future.

    What was planned then may be years away. A shorter setback only delays the next firing, so that none is repeated.
    """
    return (schedule.last_fire or schedule.anchor) - now > SETBACK


def after_setback(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule, planned again. Without a start time it counts from now."""
    if schedule.watch:
        return replace(schedule, next_fire=schedule.next_fire and now + (schedule.watch.batch or timedelta()))
    return replace(schedule, next_fire=next_instant(schedule, now))


def changed_blobs(seen: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Blobs that are new or have another ETag than before."""
    return {name: etag for name, etag in found.items() if seen.get(name) != etag}


def for_instant(schedule: Schedule, instant: datetime) -> Submission:
    """What a recurrence asks for at a time."""
    return _with(schedule.submission, **{SCHEDULE_INSTANT: offset_time(instant) or ""})


def for_blob(schedule: Schedule, watch: Watch, name: str, forms: PipelineForms) -> Submission:
    """What a changed blob asks for: the parameter is its path."""
    return _with(_at(schedule.submission, watch, name, forms), **{SCHEDULE_FILES: _listed([name])})


def for_batch(schedule: Schedule, watch: Watch, names: Sequence[str], forms: PipelineForms) -> Submission:
    """What a burst of changes asks for when it ends: the parameter is the folder, not one of its files."""
    return _with(_at(schedule.submission, watch, watch.path, forms), **{SCHEDULE_FILES: _listed(names)})


def _at(asked: Submission, watch: Watch, path: str, forms: PipelineForms) -> Submission:
    if watch.parameter is None:
        return asked
    paths = {**asked.values.data_paths, watch.parameter: forms.data_path(watch.datastore, path)}
    return replace(asked, values=replace(asked.values, data_paths=paths))


def _with(asked: Submission, **properties: str) -> Submission:
    return replace(asked, properties={**asked.properties, **properties})


def _listed(names: Sequence[str]) -> str:
    """A JSON list of the names that fit into a property, and the number of the others."""
    for count in range(len(names), 0, -1):
        rest = [f"… and {len(names) - count} more"] if count < len(names) else []
        text = json.dumps([*names[:count], *rest], ensure_ascii=False)
        if len(text) <= VALUE_LENGTH:
            return text
        if count > VALUE_LENGTH:
            return _listed([*names[:VALUE_LENGTH]])
    return json.dumps([f"{len(names)} files"])
