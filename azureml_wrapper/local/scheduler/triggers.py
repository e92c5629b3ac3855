"""When a schedule fires next, and what it then asks for: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.limits import VALUE_LENGTH
from azureml_wrapper.local.domain.published import Submission
from azureml_wrapper.local.domain.schedules import (
    SCHEDULE_FILES,
    SCHEDULE_INSTANT,
    Schedule,
    Watch,
    has_start,
)


def first_instant(schedule: Schedule, now: datetime) -> datetime | None:
    """Of a new schedule, or one whose recurrence has changed.

    Azure's rule: without a start time at once, and then by the recurrence (MachineLearningNotebooks #1369).
    """
    if schedule.is_active and schedule.recurrence and not has_start(schedule.body["Recurrence"]):
        return now
    return next_instant(schedule, now)


def next_instant(schedule: Schedule, now: datetime) -> datetime | None:
    """The first instant after now; None for a disabled schedule, and for one that waits for blobs.

    What has passed meanwhile is not made up for one by one: after a time without the service, a recurrence fires
    once, for the instant that was due first, and then goes on from now.
    """
    if not schedule.is_active or schedule.recurrence is None:
        return None
    return next(schedule.recurrence.after(now))


def changed_blobs(seen: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """What is new, or has another ETag than before."""
    return {name: etag for name, etag in found.items() if seen.get(name) != etag}


def for_instant(schedule: Schedule, instant: datetime) -> Submission:
    """What a recurrence asks for at an instant."""
    return _with(schedule.submission, **{SCHEDULE_INSTANT: offset_time(instant) or ""})


def for_blob(schedule: Schedule, watch: Watch, name: str) -> Submission:
    """What is asked for when one blob has changed: the parameter is its path."""
    return _with(_at(schedule.submission, watch, name), **{SCHEDULE_FILES: _listed([name])})


def for_batch(schedule: Schedule, watch: Watch, names: Sequence[str]) -> Submission:
    """What is asked for when a burst of changes has ended: the parameter is the folder, not one of its files."""
    return _with(_at(schedule.submission, watch, watch.path), **{SCHEDULE_FILES: _listed(names)})


def _at(asked: Submission, watch: Watch, path: str) -> Submission:
    if watch.parameter is None:
        return asked
    place = {"DataStoreName": watch.datastore, "RelativePath": path}
    return replace(
        asked, values=replace(asked.values, data_paths={**asked.values.data_paths, watch.parameter: place})
    )


def _with(asked: Submission, **properties: str) -> Submission:
    return replace(asked, properties={**asked.properties, **properties})


def _listed(names: Sequence[str]) -> str:
    """A JSON list of as many names as a property may hold, and of how many there are more."""
    for count in range(len(names), 0, -1):
        rest = [f"… and {len(names) - count} more"] if count < len(names) else []
        text = json.dumps([*names[:count], *rest], ensure_ascii=False)
        if len(text) <= VALUE_LENGTH:
            return text
        if count > VALUE_LENGTH:
            return _listed([*names[:VALUE_LENGTH]])
    return json.dumps([f"{len(names)} files"])
