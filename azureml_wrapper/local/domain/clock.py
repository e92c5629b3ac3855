"""Time and ids. They are passed in, so that tests can control them."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Protocol, overload


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current time, in UTC. It jumps if the machine's clock is set."""

    def steady(self) -> float:
        """Seconds since some time in the past. They do not jump."""


class Ids(Protocol):
    """Makes unique names."""

    def guid(self) -> str:
        """A random GUID in the usual form: for pipelines, steps, datasets."""

    def short(self) -> str:
        """Eight random hexadecimal digits: for node ids, and the end of a script run's id."""


class SystemClock:
    """The machine's clock; `wall_clock` returns the seconds since 1970."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), timezone.utc)

    def steady(self) -> float:
        # Linux has one that goes on while the machine sleeps.
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RandomIds:
    """Ids from the machine's random source."""

    def guid(self) -> str:
        return str(uuid.uuid4())

    def short(self) -> str:
        return secrets.token_hex(4)


def azure_time(instant: datetime | None) -> str | None:
    """`2022-10-05T18:03:07.340605Z`: run history's form, trailing zeros dropped as Azure does."""
    if instant is None:
        return None
    text = instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def offset_time(instant: datetime | None) -> str | None:
    """`2021-06-23T08:59:19.264291+00:00`: the form of Azure's other services."""
    return None if instant is None else instant.astimezone(timezone.utc).isoformat(timespec="microseconds")


@overload
def stored_time(text: str) -> datetime: ...
@overload
def stored_time(text: str | None) -> datetime | None: ...
def stored_time(text: str | None) -> datetime | None:
    """The time that `offset_time` wrote into the database: read by the thousand, so not with `parse_time`."""
    return None if text is None else datetime.fromisoformat(text)


def parse_time(text: str | None) -> datetime | None:
    """The time that a client wrote in ISO 8601, in UTC; UTC is also meant if it has no offset.

    Raises:
        ValueError: The string is not a time, or lies outside the years 1 to 9999 in UTC.
    """
    if not text:
        return None
    # Imported here: only some requests need it, and it would be a tenth of the service's start.
    from dateutil.parser import isoparse

    found = isoparse(text)
    try:
        return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
    except OverflowError as error:
        raise ValueError(f"{text} is outside the years 1 to 9999 in UTC") from error


def parse_http_time(text: str) -> datetime:
    """The time of a header such as `Tue, 01 Dec 2026 08:00:00 GMT`, in UTC; raise `ValueError` if it is none."""
    try:
        found = parsedate_to_datetime(text)
        return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"{text} is not a time of HTTP") from error
