"""Work in the background. An error in it is logged, and ends neither the thread nor the next attempt.

A thread or task that ends unheard takes its part of the service with it: no schedule fires, no idle service stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from azureml_wrapper.local.domain.errors import is_temporary

log = logging.getLogger("azureml_wrapper.local")


class Attempts:
    """One piece of work that is tried again and again. `name` is what service.log calls it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._complaint = ""

    def attempt(self, work: Callable[[], object]) -> Exception | None:
        """Do the work. Returns its error; the same error several times in a row is logged once."""
        try:
            work()
        except Exception as error:  # a full disk, a locked database, a defect: the next attempt may succeed
            complaint = f"{type(error).__name__}: {error}"
            if complaint != self._complaint and is_temporary(error):
                log.warning("%s failed: %s", self._name, error)
            elif complaint != self._complaint:
                log.exception("%s failed", self._name)
            self._complaint = complaint
            return error
        self._complaint = ""
        return None

    def repeat(self, work: Callable[[], object], times: int, is_over: Callable[[], bool]) -> None:
        """Do the work until it succeeds, or meets an error that will not pass, or that often. `is_over` pauses."""
        for left in reversed(range(times)):
            error = self.attempt(work)
            if error is None or not is_temporary(error) or not left or is_over():
                return


async def every(seconds: float, name: str, work: Callable[[], None]) -> None:
    """Do work in a thread again and again, with a pause before each time, until the task is cancelled."""
    attempts = Attempts(name)
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(attempts.attempt, work)
