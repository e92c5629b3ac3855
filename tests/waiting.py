"""Waits for events in other processes or threads, long enough for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.05


def until(
    look: Callable[[], Found | None],
    *,
    seconds: float = SECONDS,
    tell: Callable[[], Any] = lambda: "It did not happen",
) -> Found:
    """Return what `look` returns as soon as it is true; on failure, report what `tell` returns."""
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while not (found := look()):
        assert time.monotonic() < end, f"after {seconds:.0f} s: {tell()}"
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE)
    return found
