"""A queue whose work is done in the order of arrival, without a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class WorkQueue:
    """Runs what is put into it, one item after the other, on the thread of the first `put` that finds it idle.

    A job that ends while it is being submitted appends its end to the queue instead of recursing ever deeper.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_running = False

    def put(self, work: Callable[[], None]) -> None:
        """Append `work`, and run the queue until it is empty unless another thread already does."""
        with self._lock:
            self._waiting.append(work)
            if self._is_running:
                return
            self._is_running = True
        done = False
        try:
            while (next_work := self._next()) is not None:
                next_work()
            done = True
        finally:
            if not done:
                # An exception must not block the rest of the queue forever.
                self._is_running = False

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if not self._waiting:
                self._is_running = False
                return None
            return self._waiting.popleft()
