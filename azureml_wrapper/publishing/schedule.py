"""When a registered pipeline runs by itself: checked before anything is sent, and the times at which it runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import BadSchedule, did_you_mean
from azureml_wrapper.recurrence import WEEK_DAYS, Frequency, Recurrence, find_zone, windows_zones

if TYPE_CHECKING:
    from azureml.pipeline.core.schedule import Schedule as SdkSchedule
    from azureml.pipeline.core.schedule import ScheduleRecurrence

    from azureml_wrapper.publishing.listing import ListedSchedule

ON_BLOB_CHANGE = "On_blob_change"
FREQUENCIES = tuple(frequency.value for frequency in Frequency)
KINDS = (*FREQUENCIES, ON_BLOB_CHANGE)
DEFAULT_POLLING_MINUTES = 5
MAX_POLLING_MINUTES = 1_000_000
MAX_PATH_LENGTH = 1024
MAX_BATCH_SECONDS = 86_400
# The local service's name for a setting that Azure ML does not have, among a schedule's parameters.
BATCH_SECONDS = "azureml_wrapper.batch_seconds"

_SPANS = {
    Frequency.MINUTE: timedelta(minutes=1),
    Frequency.HOUR: timedelta(hours=1),
    Frequency.DAY: timedelta(days=1),
    Frequency.WEEK: timedelta(weeks=1),
}
_RECURRING = ("interval", "start_time", "time_zone", "hours", "minutes", "week_days", "start_now")
_WATCHING = ("datastore_name", "path_on_datastore", "polling_interval", "data_path_parameter", "batch_seconds")


@dataclass(frozen=True)
class Schedule:
    """When a registered pipeline runs by itself; `PipelineWrapper.register` takes one.

        Schedule("Week", interval=2, week_days="Monday", hours=8, time_zone="Europe/Paris")
        Schedule("On_blob_change", datastore_name="uploads", path_on_datastore="incoming")

    A recurring schedule first runs one interval from now; at `start_time` if that is given; at once with `start_now`.

    Args:
        frequency: "Minute", "Hour", "Day", "Week" or "Month"; or "On_blob_change", to run when blobs change.
        interval: Number of minutes, hours, days, weeks or months from one run to the next, an integer ≥ 1. Required,
            except for "On_blob_change".
        start_time: First run, as a datetime without offset or as "2030-12-31T08:30:00", in `time_zone`.
        time_zone: IANA name ("Europe/Paris") or Windows name ("Romance Standard Time"). Default: UTC.
        hours: Hours of the day to run at, 0 to 23; one or several. Only for "Day" and "Week".
        minutes: Minutes of the hour to run at, 0 to 59; one or several. Only for "Day" and "Week".
        week_days: Names of the days to run on, "Monday" to "Sunday"; one or several. Only for "Week".
        start_now: Also run once as soon as the schedule exists.
        datastore_name: Blob datastore to watch. Required for "On_blob_change".
        path_on_datastore: Folder of the datastore to watch. Default: the whole container.
        polling_interval: Minutes between two checks for changed blobs, 1 to 1,000,000. Default: 5.
        data_path_parameter: Pipeline parameter that receives the path of the changed blob; the `parameter` of one of
            the steps' `input_paths`.
        batch_seconds: Start one run for all blobs that change within this many seconds, up to 86,400. Only on the
            local Azure ML; Azure starts one run per blob.

    Raises:
        BadSchedule: A value is invalid, or does not apply to the frequency. The message lists what is allowed.
    """

    frequency: str
    _: KW_ONLY
    interval: int | None = None
    start_time: datetime | str | None = None
    time_zone: str | None = None
    hours: int | Sequence[int] | None = None
    minutes: int | Sequence[int] | None = None
    week_days: str | Sequence[str] | None = None
    start_now: bool = False
    datastore_name: str | None = None
    path_on_datastore: str | None = None
    polling_interval: int = DEFAULT_POLLING_MINUTES
    data_path_parameter: str | None = None
    batch_seconds: float | None = None

    @classmethod
    def of(cls, schedule: str | Schedule | None, **details: Any) -> Schedule | None:
        """Return the schedule that `PipelineWrapper.register` was given, as an object or as its parts.

        Args:
            schedule: A frequency, a `Schedule`, or None for no schedule.
            details: The keywords of `Schedule`. Only a frequency takes any; those with their default value are
                ignored.

        Raises:
            BadSchedule: The schedule is invalid, or there are details without a frequency.
        """
        given = {name: value for name, value in details.items() if value != _DEFAULTS.get(name, _UNKNOWN)}
        if isinstance(schedule, str):
            return cls(schedule, **given)
        if schedule is not None and not isinstance(schedule, Schedule):
            raise BadSchedule(f"schedule must be a Schedule or one of {', '.join(KINDS)}; got {schedule!r}.")
        if given and schedule is None:
            raise BadSchedule(f"{next(iter(given))} requires schedule=…, one of {', '.join(KINDS)}.")
        if given:
            raise BadSchedule(f"{next(iter(given))} conflicts with schedule={schedule!r}. Set it in the Schedule.")
        return schedule

    def __post_init__(self) -> None:
        if self.frequency not in KINDS:
            hint = did_you_mean(str(self.frequency), KINDS)
            raise BadSchedule(f"Unknown schedule {self.frequency!r}; expected one of {', '.join(KINDS)}.{hint}")
        if self.frequency == ON_BLOB_CHANGE:
            self._refuse(_RECURRING, f"one of {', '.join(FREQUENCIES)}")
            self._check_watching()
        else:
            self._refuse(_WATCHING, ON_BLOB_CHANGE)
            self._check_recurring()

    def plan(self, now: datetime) -> Recurring | OnBlobChange:
        """Return what Azure ML is asked for.

        Args:
            now: The current time, with an offset.

        Raises:
            BadSchedule: The first two runs are not before the year 10000.
        """
        if self.frequency != ON_BLOB_CHANGE:
            return self._recurring(now)
        return OnBlobChange(
            datastore_name=str(self.datastore_name),
            path_on_datastore=_folder(self.path_on_datastore),
            polling_interval=self.polling_interval,
            data_path_parameter=self.data_path_parameter,
            parameters={} if self.batch_seconds is None else {BATCH_SECONDS: f"{self.batch_seconds:g}"},
        )

    def _refuse(self, names: Iterable[str], frequency: str) -> None:
        for name in names:
            if self._has(name):
                raise BadSchedule(f"{name} requires {frequency}; the schedule is {self.frequency!r}.")

    def _has(self, name: str) -> bool:
        return bool(getattr(self, name) != _DEFAULTS[name])

    def _check_watching(self) -> None:
        if not self.datastore_name:
            raise BadSchedule(f"{ON_BLOB_CHANGE} requires datastore_name, the blob datastore to watch.")
        _check_integer("polling_interval", self.polling_interval)
        if self.polling_interval > MAX_POLLING_MINUTES:
            raise BadSchedule(f"polling_interval must be at most {MAX_POLLING_MINUTES}; got {self.polling_interval}.")
        _folder(self.path_on_datastore)
        batch = self.batch_seconds
        is_number = isinstance(batch, (int, float)) and not isinstance(batch, bool)
        if batch is not None and not (is_number and 0 < batch <= MAX_BATCH_SECONDS):
            raise BadSchedule(f"batch_seconds must be a number > 0, at most {MAX_BATCH_SECONDS}; got {batch!r}.")

    def _check_recurring(self) -> None:
        if self.interval is None:
            raise BadSchedule(f"{self.frequency} requires interval: run every how many {self.frequency.lower()}s.")
        _check_integer("interval", self.interval)
        if not isinstance(self.start_now, bool):
            raise BadSchedule(f"start_now must be True or False; got {self.start_now!r}.")
        if self.start_now and self.start_time is not None:
            raise BadSchedule("start_now conflicts with start_time. Use one of them.")
        windows_name(self.time_zone)
        # Any time will do: the rest does not depend on when it is now.
        self._recurrence(datetime(2000, 1, 1) if self.start_time is None else parse_start(self.start_time))

    def _recurring(self, now: datetime) -> Recurring:
        local = now.astimezone(find_zone(self.time_zone)).replace(tzinfo=None)
        recurrence = self._recurrence(self._start(local))
        try:
            # The second run has to be known when the first one starts.
            next_times(recurrence, 2, now)
        except (ValueError, OverflowError) as error:
            start = recurrence.start.isoformat()
            raise BadSchedule(
                f"interval {recurrence.interval} from {start} exceeds the year 9999. Use a smaller interval or an "
                "earlier start_time."
            ) from error
        zone_name = windows_name(self.time_zone)
        return Recurring(recurrence=recurrence, zone_name=zone_name, starts_now=self.start_now)

    def _recurrence(self, start: datetime) -> Recurrence:
        try:
            return Recurrence(
                frequency=Frequency(self.frequency),
                interval=int(self.interval or 1),
                start=start,
                zone=find_zone(self.time_zone),
                hours=_integers("hours", self.hours),
                minutes=_integers("minutes", self.minutes),
                week_days=_days(self.week_days),
            )
        except ValueError as error:
            raise BadSchedule(str(error)) from error

    def _start(self, now: datetime) -> datetime:
        """The start; if none is given, one that makes the first run fall where a second one would.

        Without a start, Azure ML runs at once (Azure/MachineLearningNotebooks #1369); from a start in the past, it
        counts. A start one month from now cannot be given: from the 31st on, it would remain the 30th.
        """
        if self.start_time is not None:
            return parse_start(self.start_time)
        now = now.replace(microsecond=0)
        span = _SPANS.get(Frequency(self.frequency))
        is_pinned = any(map(self._has, ("hours", "minutes", "week_days")))
        if self.start_now or is_pinned or span is None or self.interval is None:
            return now
        try:
            return now + self.interval * span
        except OverflowError:
            raise BadSchedule(f"interval {self.interval} puts the first run beyond the year 9999.") from None


_UNKNOWN = object()
_DEFAULTS = {each.name: each.default for each in fields(Schedule) if each.name != "frequency"}
# The keywords of a Schedule, which `register` takes one by one as well.
DETAILS = tuple(_DEFAULTS)


@dataclass(frozen=True, kw_only=True)
class Recurring:
    """A schedule that runs again and again; with `starts_now`, also at once, because Azure ML gets no start."""

    recurrence: Recurrence
    zone_name: str
    starts_now: bool = False

    def to_sdk(self) -> ScheduleRecurrence:
        """The SDK's recurrence."""
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
    """A schedule that runs when a blob of a container is new or changed; checks every `polling_interval` minutes."""

    datastore_name: str
    path_on_datastore: str | None = None
    polling_interval: int = DEFAULT_POLLING_MINUTES
    data_path_parameter: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def next_times(recurrence: Recurrence, count: int, now: datetime) -> list[datetime]:
    """The next times after `now`, in the schedule's own zone."""
    return [time.astimezone(recurrence.zone) for time in itertools.islice(recurrence.after(now), count)]


def recurrence_of(schedule: SdkSchedule | ListedSchedule, now: datetime) -> Recurrence | None:
    """The recurrence of a schedule of the SDK; None if it watches blobs.

    Without a start time, it counts from its creation, which takes a request to find out.
    """
    given = schedule.recurrence
    if given is None:
        return None
    zone = find_zone(given.time_zone.value if given.time_zone else None)
    start = parse_start(given.start_time) if given.start_time else _created(schedule) or now
    return Recurrence(
        frequency=Frequency(given.frequency),
        interval=int(given.interval),
        start=start.astimezone(zone).replace(tzinfo=None) if start.tzinfo else start,
        zone=zone,
        hours=tuple(given.hours or ()),
        minutes=tuple(given.minutes or ()),
        week_days=tuple(WEEK_DAYS.index(day) for day in given.week_days or ()),
    )


def _created(schedule: SdkSchedule | ListedSchedule) -> datetime | None:
    """When it was created; the SDK reads the date, but does not show it."""
    provider = getattr(schedule, "_schedule_provider", None)
    known = provider._service_caller.get_schedule_async(schedule.id) if provider else schedule
    created = known.created_date
    return parse_start(created) if created else None


def describe(schedule: SdkSchedule | ListedSchedule) -> str:
    """When a schedule runs, in words."""
    given = schedule.recurrence
    if given is None:
        place = "/".join(part for part in (schedule.datastore_name, schedule.path_on_datastore) if part)
        return f"when blobs of {place} change, checked every {schedule.polling_interval} min"
    number = int(given.interval)
    pace = f"every {given.frequency.lower()}" if number == 1 else f"every {number} {given.frequency.lower()}s"
    days = f" on {', '.join(given.week_days)}" if given.week_days else ""
    hours = "" if given.hours is None else ", ".join(map(str, given.hours)) + " h"
    minutes = "" if given.minutes is None else ", ".join(map(str, given.minutes)) + " min"
    clock = f" at {' '.join(filter(None, (hours, minutes)))}" if hours or minutes else ""
    return f"{pace}{days}{clock} ({given.time_zone.value if given.time_zone else 'UTC'})"


def windows_name(zone: str | None) -> str:
    """Azure ML's name for a time zone; `BadSchedule` with similar names if it has none."""
    from tzlocal.windows_tz import tz_win

    known = windows_zones()
    if zone is None:
        return "UTC"
    if not isinstance(zone, str):
        raise BadSchedule(f"time_zone must be an IANA name (Europe/Paris) or a Windows name; got {zone!r}.")
    if zone in known:
        return zone
    if zone.upper() in ("UTC", "GMT"):
        # Windows' "GMT Standard Time" is London's, with summer time.
        return "UTC"
    try:
        find_zone(zone)
    except ValueError as error:
        raise BadSchedule(f"{error} Use an IANA name (Europe/Paris) or a Windows name.") from error
    name = tz_win.get(zone)
    if name not in known:
        raise BadSchedule(f"Azure ML does not know the time_zone {zone!r}. Use one with the same clock, or 'UTC'.")
    return str(name)


def _folder(path: object) -> str | None:
    """The folder, as Azure's storage names it: without a "/" at either end; None for the container itself."""
    if path is None:
        return None
    if not isinstance(path, str):
        raise BadSchedule(f"path_on_datastore must be a string, the folder to watch; got {path!r}.")
    inside = path.strip("/")
    if inside and {"", ".", ".."} & set(inside.split("/")):
        raise BadSchedule(f"Invalid path_on_datastore {path!r}: its parts must be folder names, not '', '.' or '..'.")
    if len(inside) > MAX_PATH_LENGTH:
        raise BadSchedule(f"path_on_datastore has {len(inside)} characters; at most {MAX_PATH_LENGTH} are allowed.")
    return inside or None


def parse_start(given: Any) -> datetime:
    """A datetime, or a string in ISO 8601, to the second; .NET writes seven decimals."""
    if isinstance(given, datetime):
        return given
    from dateutil.parser import isoparse

    try:
        return isoparse(str(given).strip()).replace(microsecond=0)
    except ValueError:
        raise BadSchedule(
            f"Invalid start_time {given!r}. Use a datetime, or a string such as 2030-12-31T08:30:00."
        ) from None


def _check_integer(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadSchedule(f"{name} must be an integer ≥ 1; got {value!r}.")


def _integers(name: str, given: int | Sequence[int] | None) -> tuple[int, ...]:
    numbers = () if given is None else tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [number for number in numbers if not isinstance(number, int) or isinstance(number, bool)]
    if wrong:
        raise BadSchedule(f"{name} must be integers; got {wrong[0]!r}.")
    return numbers


def _days(given: str | Sequence[str] | None) -> tuple[int, ...]:
    names: list[Any] = [] if given is None else [given]
    if isinstance(given, Iterable) and not isinstance(given, str):
        names = list(given)
    known = {day.lower(): number for number, day in enumerate(WEEK_DAYS)}
    wrong = [name for name in names if str(name).lower() not in known]
    if wrong:
        raise BadSchedule(f"Unknown week day {wrong[0]!r} in week_days; expected {', '.join(WEEK_DAYS)}.")
    return tuple(known[name.lower()] for name in names)


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(timezone.utc)


def show_time(time: datetime) -> str:
    """A time for people to read, with the day of the week and the offset from UTC."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S %z")
