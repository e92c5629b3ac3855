"""When a recurring schedule runs: pure, for the wrapper's preview and for the local service's scheduler alike.

The rules are those of azureml.pipeline.core.schedule.ScheduleRecurrence; what its documentation leaves open is
written down in docs/assumptions.md ("Schedules").
"""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from enum import Enum
from zoneinfo import ZoneInfo, available_timezones

WEEK_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# In the SDK's enum, but no longer in Unicode's table of Windows zones.
_RETIRED_WINDOWS_ZONES = {
    "Kamchatka Standard Time": "Asia/Kamchatka",
    "Mid-Atlantic Standard Time": "Etc/GMT+2",
}


class Frequency(str, Enum):
    """The SDK's five frequencies."""

    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


_ELAPSED = {Frequency.MINUTE: timedelta(minutes=1), Frequency.HOUR: timedelta(hours=1)}


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """A recurring schedule.

    `start` is a wall-clock time in `zone`, without an offset. `hours` and `minutes` are for Day and Week, `week_days`
    (Monday is 0) for Week only; if they are empty, those of `start` apply. Raises `ValueError` for what the SDK
    refuses.
    """

    frequency: Frequency
    interval: int
    start: datetime
    zone: tzinfo = timezone.utc
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    week_days: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"interval must be an integer ≥ 1; got {self.interval}.")
        if self.start.tzinfo is not None:
            raise ValueError(f"start_time {self.start.isoformat()} has an offset; give it in time_zone instead.")
        by_day = self.frequency in (Frequency.DAY, Frequency.WEEK)
        if (self.hours or self.minutes) and not by_day:
            raise ValueError(f"hours and minutes require Day or Week; got {self.frequency.value}.")
        if self.week_days and self.frequency is not Frequency.WEEK:
            raise ValueError(f"week_days require Week; got {self.frequency.value}.")
        _check_range("hours", self.hours, 23)
        _check_range("minutes", self.minutes, 59)
        _check_range("week_days", self.week_days, 6)

    @property
    def is_pinned(self) -> bool:
        """Whether times of the day or days of the week are given; then `start` itself is not a run."""
        return bool(self.hours or self.minutes or self.week_days)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times (in UTC) at which the schedule runs, without end, strictly after `moment`."""
        if self.frequency in _ELAPSED:
            yield from self._elapsed(moment)
            return
        last = moment
        for wall in self._walls(moment):
            fires = localize(wall, self.zone)
            # Two wall-clock times that a change to summer time skips can mean the same time.
            if fires > last:
                yield fires
                last = fires

    def _elapsed(self, moment: datetime) -> Iterator[datetime]:
        """Minutes and hours count real time: a change to summer time neither skips nor doubles one."""
        step = self.interval * _ELAPSED[self.frequency]
        start = localize(self.start, self.zone)
        passed = max(0, (moment - start) // step + 1)
        for count in itertools.count(passed):
            yield start + count * step

    def _walls(self, moment: datetime) -> Iterator[datetime]:
        """Wall-clock times in order, from shortly before `moment`."""
        first = max(self.start, moment.astimezone(self.zone).replace(tzinfo=None) - timedelta(days=1))
        for day in self._days(first.date()):
            for time_of_day in self._times():
                wall = datetime.combine(day, time_of_day)
                if wall > self.start or (wall == self.start and not self.is_pinned):
                    yield wall

    def _days(self, first: date) -> Iterator[date]:
        if self.frequency is Frequency.DAY:
            return self._each_day(first)
        if self.frequency is Frequency.WEEK:
            return self._each_week(first)
        return self._each_month(first)

    def _each_day(self, first: date) -> Iterator[date]:
        begin = self.start.date()
        passed = max(0, (first - begin).days // self.interval)
        for count in itertools.count(passed):
            yield begin + timedelta(days=count * self.interval)

    def _each_week(self, first: date) -> Iterator[date]:
        """Weeks begin on Monday and are counted from that of `start`."""
        monday = self.start.date() - timedelta(days=self.start.weekday())
        passed = max(0, (first - monday).days // (7 * self.interval))
        for count in itertools.count(passed):
            begin = monday + timedelta(weeks=count * self.interval)
            for day in sorted(self.week_days or {self.start.weekday()}):
                yield begin + timedelta(days=day)

    def _each_month(self, first: date) -> Iterator[date]:
        """The day of `start`, or the last of a shorter month; never drifting towards shorter months."""
        begin = self.start.year * 12 + self.start.month - 1
        passed = max(0, (first.year * 12 + first.month - 1 - begin) // self.interval)
        for count in itertools.count(passed):
            year, month = divmod(begin + count * self.interval, 12)
            last = calendar.monthrange(year, month + 1)[1]
            yield date(year, month + 1, min(self.start.day, last))

    def _times(self) -> list[time]:
        if not (self.hours or self.minutes):
            return [self.start.time()]
        hours = self.hours or (self.start.hour,)
        # As in Logic Apps, whose recurrence this is: hours without minutes mean the full hour.
        minutes = self.minutes or (0,)
        return [time(hour, minute) for hour, minute in sorted(itertools.product(set(hours), set(minutes)))]


def localize(wall: datetime, zone: tzinfo) -> datetime:
    """The time in UTC of a wall-clock time.

    A time that summer time skips moves by the length of the gap (02:30 → 03:30); of a time that occurs twice, the
    first counts.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)


def find_zone(name: str | None) -> tzinfo:
    """The zone of an IANA name ("Europe/Paris") or of a Windows name ("Romance Standard Time"); None is UTC.

    Raises `ValueError` with similar names for an unknown zone.
    """
    if name is None or name.upper() == "UTC":
        return timezone.utc
    windows = windows_zones()
    known = windows.get(name, name)
    if known not in available_timezones():
        raise ValueError(f"Unknown time_zone {name!r}.{_near(name, {*windows, *available_timezones()})}")
    return ZoneInfo(known)


def windows_zones() -> dict[str, str]:
    """Windows name → IANA name, for every name of the SDK's `TimeZone`."""
    from tzlocal.windows_tz import win_tz

    return {**_RETIRED_WINDOWS_ZONES, **win_tz}


def _check_range(name: str, values: tuple[int, ...], highest: int) -> None:
    wrong = [value for value in values if not 0 <= value <= highest]
    if wrong:
        raise ValueError(f"{name} must be 0 to {highest}; got {wrong[0]}.")


def _near(name: str, known: set[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=3)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else " Use an IANA name or a Windows name."
