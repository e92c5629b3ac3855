"""Time and ids, handed in from outside so that tests can move and number them."""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, in UTC."""


class Ids(Protocol):
    """Makes names that nobody else has."""

    def guid(self) -> str:
        """A random GUID in its usual form: pipelines, steps, datasets."""

    def short(self) -> str:
        """Eight random hexadecimal digits: node ids, the end of a script run's id."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)


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


def parse_time(text: str | None) -> datetime | None:
    """The instant that a client wrote in ISO form; without an offset it is taken as UTC."""
    if not text:
        return None
    # Python 3.10 reads three or six decimals only, .NET writes up to seven.
    text = re.sub(r"\.(\d+)", lambda part: "." + part[1][:6].ljust(6, "0"), text.replace("Z", "+00:00"))
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
