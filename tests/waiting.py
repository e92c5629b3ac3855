"""Waiting for what happens in another process or thread: as long as it takes, and as a busy machine may need."""

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
    """What `look` finds, as soon as that is something; `tell` says on failure how things are instead."""
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while not (found := look()):
        assert time.monotonic() < end, f"after {seconds:.0f} s: {tell()}"
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE)
    return found
