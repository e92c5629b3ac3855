"""Schedules: what may be asked for, checked before anything is sent, and when it fires."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import BadSchedule, did_you_mean
from azureml_wrapper.recurrence import WEEK_DAYS, Frequency, Recurrence, find_zone, windows_zones

if TYPE_CHECKING:
    from azureml.pipeline.core.schedule import Schedule, ScheduleRecurrence

ON_BLOB_CHANGE = "On_blob_change"
FREQUENCIES = tuple(frequency.value for frequency in Frequency)
KINDS = (*FREQUENCIES, ON_BLOB_CHANGE)
DEFAULT_POLLING_MINUTES = 5
MAX_POLLING_MINUTES = 1_000_000
MAX_PATH_LENGTH = 1024
# The local service's name for a setting that Azure ML does not have, among a schedule's parameters.
BATCH_SECONDS = "azureml_wrapper.batch_seconds"

_SPANS = {
    Frequency.MINUTE: timedelta(minutes=1),
    Frequency.HOUR: timedelta(hours=1),
    Frequency.DAY: timedelta(days=1),
    Frequency.WEEK: timedelta(weeks=1),
}
_RECURRING = ("start_time", "time_zone", "hours", "minutes", "week_days", "start_now")
_WATCHING = ("datastore_name", "path_on_datastore", "polling_interval", "data_path_parameter", "batch_seconds")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The arguments of `PipelineWrapper.register` that say when the pipeline is to run."""

    schedule: str | None = None
    interval: int | None = None
    datastore_name: str | None = None
    path_on_datastore: str | None = None
    polling_interval: int = DEFAULT_POLLING_MINUTES
    data_path_parameter: str | None = None
    batch_seconds: float | None = None
    start_time: datetime | str | None = None
    time_zone: str | None = None
    hours: int | Sequence[int] | None = None
    minutes: int | Sequence[int] | None = None
    week_days: str | Sequence[str] | None = None
    start_now: bool = False

    def is_given(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).__dataclass_fields__[name].default)


@dataclass(frozen=True, kw_only=True)
class Recurring:
    """Runs again and again. With `starts_now`, Azure ML is told no start, and so begins at once."""

    recurrence: Recurrence
    zone_name: str
    starts_now: bool = False

    def to_sdk(self) -> ScheduleRecurrence:
        from azureml.pipeline.core.schedule import ScheduleRecurrence, TimeZone

        wanted = self.recurrence
        return ScheduleRecurrence(
            frequency=wanted.frequency.value,
            interval=wanted.interval,
            start_time=None if self.starts_now else wanted.start,
            time_zone=TimeZone(self.zone_name),
            hours=list(wanted.hours) or None,
            minutes=list(wanted.minutes) or None,
            week_days=[WEEK_DAYS[day] for day in wanted.week_days] or None,
        )


@dataclass(frozen=True, kw_only=True)
class OnBlobChange:
    """Runs where a blob of a container is new or changed; looks every `polling_interval` minutes."""

    datastore_name: str
    path_on_datastore: str | None = None
    polling_interval: int = DEFAULT_POLLING_MINUTES
    data_path_parameter: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def plan(wanted: Wanted, now: datetime) -> Recurring | OnBlobChange | None:
    """What to tell Azure ML; None for no schedule. `BadSchedule`, a ValueError, lists what is allowed."""
    if wanted.schedule is None:
        _refuse(wanted, ("interval", *_RECURRING, *_WATCHING), f"a schedule, one of {', '.join(KINDS)}")
        return None
    if wanted.schedule not in KINDS:
        hint = did_you_mean(str(wanted.schedule), KINDS)
        raise BadSchedule(f"schedule is {wanted.schedule!r}; allowed are {', '.join(KINDS)}.{hint}")
    if wanted.schedule == ON_BLOB_CHANGE:
        _refuse(wanted, ("interval", *_RECURRING), f"one of {', '.join(FREQUENCIES)}")
        return _watching(wanted)
    _refuse(wanted, _WATCHING, ON_BLOB_CHANGE)
    return _recurring(wanted, now)


def next_instants(recurrence: Recurrence, count: int, now: datetime) -> list[datetime]:
    """The next instants after `now`, in the schedule's own zone."""
    return [instant.astimezone(recurrence.zone) for instant in itertools.islice(recurrence.after(now), count)]


def recurrence_of(schedule: Schedule, now: datetime) -> Recurrence | None:
    """The recurrence of a schedule of the SDK; None for one that waits for blobs.

    One without a start time counts from its making, which takes a request to find out.
    """
    given = schedule.recurrence
    if given is None:
        return None
    zone = find_zone(given.time_zone.value if given.time_zone else None)
    start = _parse_start(given.start_time) if given.start_time else _made_at(schedule) or now
    return Recurrence(
        frequency=Frequency(given.frequency),
        interval=int(given.interval),
        start=start.astimezone(zone).replace(tzinfo=None) if start.tzinfo else start,
        zone=zone,
        hours=tuple(given.hours or ()),
        minutes=tuple(given.minutes or ()),
        week_days=tuple(WEEK_DAYS.index(day) for day in given.week_days or ()),
    )


def _made_at(schedule: Schedule) -> datetime | None:
    """The SDK reads it, and keeps it to itself."""
    made = schedule._schedule_provider._service_caller.get_schedule_async(schedule.id).created_date
    return _parse_start(made) if made else None


def describe(schedule: Schedule) -> str:
    """When a schedule of the SDK fires, in words."""
    given = schedule.recurrence
    if given is None:
        place = "/".join(part for part in (schedule.datastore_name, schedule.path_on_datastore) if part)
        return f"when blobs of {place} change, looking every {schedule.polling_interval} min"
    number = int(given.interval)
    pace = f"every {given.frequency.lower()}" if number == 1 else f"every {number} {given.frequency.lower()}s"
    days = f" on {', '.join(given.week_days)}" if given.week_days else ""
    hours = "" if given.hours is None else ", ".join(map(str, given.hours)) + " h"
    minutes = "" if given.minutes is None else ", ".join(map(str, given.minutes)) + " min"
    clock = f" at {' '.join(filter(None, (hours, minutes)))}" if hours or minutes else ""
    return f"{pace}{days}{clock} ({given.time_zone.value if given.time_zone else 'UTC'})"


def windows_name(zone: str | None) -> str:
    """The name that Azure ML has for a time zone; `BadSchedule` where there is none, with near names."""
    from tzlocal.windows_tz import tz_win

    known = windows_zones()
    if zone is None:
        return "UTC"
    if not isinstance(zone, str):
        raise BadSchedule(f"time_zone is {zone!r}; allowed are IANA names (Europe/Paris) and Windows names.")
    if zone in known:
        return zone
    if zone.upper() in ("UTC", "GMT"):
        # Windows' "GMT Standard Time" is London's, with summer time.
        return "UTC"
    try:
        find_zone(zone)
    except ValueError as error:
        raise BadSchedule(f"{error} Allowed are IANA names (Europe/Paris) and Windows names.") from error
    name = tz_win.get(zone)
    if name not in known:
        raise BadSchedule(f"Azure ML has no name for the time_zone {zone!r}. Use one with the same clock, or 'UTC'.")
    return str(name)


def _refuse(wanted: Wanted, names: Iterable[str], partner: str) -> None:
    given = [name for name in names if wanted.is_given(name)]
    if given:
        raise BadSchedule(f"{given[0]} goes with {partner}; schedule is {wanted.schedule!r}.")


def _watching(wanted: Wanted) -> OnBlobChange:
    if not wanted.datastore_name:
        raise BadSchedule(f"{ON_BLOB_CHANGE} needs a datastore_name: the blob container to watch.")
    _whole("polling_interval", wanted.polling_interval, "minutes")
    if wanted.polling_interval > MAX_POLLING_MINUTES:
        raise BadSchedule(f"polling_interval is {wanted.polling_interval}; at most {MAX_POLLING_MINUTES} minutes.")
    batch = wanted.batch_seconds
    is_number = isinstance(batch, (int, float)) and not isinstance(batch, bool)
    if batch is not None and not (is_number and 0 < batch <= 86_400):
        raise BadSchedule(f"batch_seconds is {batch!r}; allowed are numbers over 0, up to 86400.")
    return OnBlobChange(
        datastore_name=wanted.datastore_name,
        path_on_datastore=_path(wanted.path_on_datastore),
        polling_interval=wanted.polling_interval,
        data_path_parameter=wanted.data_path_parameter,
        parameters={} if batch is None else {BATCH_SECONDS: f"{batch:g}"},
    )


def _recurring(wanted: Wanted, now: datetime) -> Recurring:
    if wanted.interval is None:
        raise BadSchedule(f"{wanted.schedule} needs an interval: every how many of them, from 1 on.")
    _whole("interval", wanted.interval, "from 1 on")
    if not isinstance(wanted.start_now, bool):
        raise BadSchedule(f"start_now is {wanted.start_now!r}; allowed are True and False.")
    if wanted.start_now and wanted.start_time is not None:
        raise BadSchedule("start_now begins at once, so that there can be no start_time.")
    zone_name = windows_name(wanted.time_zone)
    zone = find_zone(wanted.time_zone)
    try:
        recurrence = Recurrence(
            frequency=Frequency(wanted.schedule),
            interval=wanted.interval,
            start=_start(wanted, now.astimezone(zone).replace(tzinfo=None)),
            zone=zone,
            hours=_numbers("hours", wanted.hours),
            minutes=_numbers("minutes", wanted.minutes),
            week_days=_days(wanted.week_days),
        )
    except ValueError as error:
        raise BadSchedule(str(error)) from error
    _check_countable(recurrence, now)
    return Recurring(recurrence=recurrence, zone_name=zone_name, starts_now=wanted.start_now)


def _check_countable(recurrence: Recurrence, now: datetime) -> None:
    """The second instant has to be known when the first one fires."""
    try:
        next_instants(recurrence, 2, now)
    except (ValueError, OverflowError) as error:
        raise BadSchedule(
            f"interval {recurrence.interval} from {recurrence.start.isoformat()} on goes beyond the year 9999: "
            "use a smaller interval or an earlier start_time."
        ) from error


def _path(path: object) -> str | None:
    """The folder, as Azure's storage names it: without a "/" before or behind; None for the container itself."""
    if path is None:
        return None
    if not isinstance(path, str):
        raise BadSchedule(f"path_on_datastore is {path!r}; give a text, the folder to watch.")
    inside = path.strip("/")
    if inside and {"", ".", ".."} & set(inside.split("/")):
        raise BadSchedule(f"path_on_datastore is {path!r}; its parts must be names of folders, not '', '.' or '..'.")
    if len(inside) > MAX_PATH_LENGTH:
        raise BadSchedule(f"path_on_datastore has {len(inside)} characters; allowed are at most {MAX_PATH_LENGTH}.")
    return inside or None


def _start(wanted: Wanted, now: datetime) -> datetime:
    """The start; where none is given, one that makes the first run fall where a second one would.

    Azure ML fires at once where it is told none (Azure/MachineLearningNotebooks #1369), and counts from a start that
    is past. A month from now cannot be told as a start: from the 31st on it would be the 30th for ever.
    """
    if wanted.start_time is not None:
        return _parse_start(wanted.start_time)
    now = now.replace(microsecond=0)
    span = _SPANS.get(Frequency(wanted.schedule))
    pinned = any(wanted.is_given(name) for name in ("hours", "minutes", "week_days"))
    if wanted.start_now or pinned or span is None or wanted.interval is None:
        return now
    try:
        return now + wanted.interval * span
    except OverflowError:
        raise BadSchedule(f"interval is {wanted.interval}; the first run would be beyond the year 9999.") from None


def _parse_start(given: Any) -> datetime:
    if isinstance(given, datetime):
        return given
    try:
        # Python 3.10 reads neither "Z" nor seven decimals, which .NET writes.
        return datetime.fromisoformat(re.sub(r"\.\d+", "", str(given).strip()).replace("Z", "+00:00"))
    except ValueError:
        raise BadSchedule(f"start_time is {given!r}; write it as 2030-12-31T08:30:00, or give a datetime.") from None


def _whole(name: str, value: object, unit: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadSchedule(f"{name} is {value!r}; allowed are whole numbers ({unit}), 1 at the least.")


def _numbers(name: str, given: int | Sequence[int] | None) -> tuple[int, ...]:
    numbers = () if given is None else tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [number for number in numbers if not isinstance(number, int) or isinstance(number, bool)]
    if wrong:
        raise BadSchedule(f"{name} holds {wrong[0]!r}; allowed are whole numbers.")
    return numbers


def _days(given: str | Sequence[str] | None) -> tuple[int, ...]:
    names: list[Any] = [] if given is None else [given]
    if isinstance(given, Iterable) and not isinstance(given, str):
        names = list(given)
    known = {day.lower(): number for number, day in enumerate(WEEK_DAYS)}
    wrong = [name for name in names if str(name).lower() not in known]
    if wrong:
        raise BadSchedule(f"week_days holds {wrong[0]!r}; allowed are {', '.join(WEEK_DAYS)}.")
    return tuple(known[name.lower()] for name in names)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def show_instant(instant: datetime) -> str:
    """For people: the day of the week, the time, and how far it is from UTC."""
    return instant.strftime("%a %Y-%m-%d %H:%M:%S %z")
