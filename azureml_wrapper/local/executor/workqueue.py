"""Work that is done in the order in which it came, without a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class WorkQueue:
    """Works off what is put into it, one after the other, in the thread that finds nobody else at it.

    A job that ends while it is being submitted puts its end behind, instead of calling ever deeper.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_worked_off = False

    def put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(work)
            if self._is_worked_off:
                return
            self._is_worked_off = True
        done = False
        try:
            while (next_work := self._next()) is not None:
                next_work()
            done = True
        finally:
            if not done:
                # Work that broke must not keep the rest from ever being done.
                self._is_worked_off = False

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if not self._waiting:
                self._is_worked_off = False
                return None
            return self._waiting.popleft()
