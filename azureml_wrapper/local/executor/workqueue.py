"""The queue of what follows from changes of runs: steps to start, sweeps to continue, children to cancel.

One thread owns the work, in the order of arrival, so what it does needs no locks. Work must be repeatable up to the
point where it failed, because work that meets a full disk or a locked database is done again until it succeeds.
Work that meets another error is given up; if that meets one as well, abandoning the run is the last resort, which is
repeated until it succeeds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.errors import ServiceFault, is_temporary

DEFECT = "The local service failed; service.log in its home folder has the details."
RETRY_SECONDS = 1.0
# Longer than the jobs' own stop: what follows from their ends comes after it.
CLOSE_SECONDS = 5.0


# What is done about work that failed, with its error.
Resort = Callable[[Exception], None]


def _attempts() -> Attempts:
    return Attempts("work that follows from the change of a run")


@dataclass(frozen=True)
class _Item:
    work: Callable[[], None]
    give_up: Resort | None = None
    abandon: Resort | None = None
    is_last_resort: bool = False
    attempts: Attempts = field(default_factory=_attempts)


def defect_fault(error: Exception) -> ServiceFault:
    """The fault of a run whose work failed for an unforeseen reason."""
    return ServiceFault(f"{DEFECT} {type(error).__name__}: {error}")


class WorkQueue:
    """Does what is put into it, one item after the other, in a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_Item] = deque()
        # Last resorts that failed. Nothing waits for them.
        self._repeated: list[_Item] = []
        self._current: _Item | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def put(self, work: Callable[[], None], give_up: Resort | None = None, abandon: Resort | None = None) -> None:
        """Append work.

        Args:
            give_up: Work of its own, with the work's error, unless that is temporary: then the work is repeated.
            abandon: The same for an error of `give_up`. It is repeated until it succeeds, while other work goes on.
        """
        self._append(_Item(work, give_up, abandon))

    def join(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until all work is done. Returns False if it takes longer; at once in work itself."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (self._waiting or self._current) and threading.current_thread() is not self._thread:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self) -> None:
        """Do the work that waits, but repeat none: the next process of the service recovers what is left."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self.join()

    def _append(self, item: _Item) -> None:
        with self._changed:
            self._waiting.append(item)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="work queue", daemon=True)
                # If the machine allows no more threads, the next call tries again.
                thread.start()
                self._thread = thread
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            item = self._next()
            self._finish(item)
            with self._changed:
                self._current = None
                self._changed.notify_all()

    def _next(self) -> _Item:
        """Wait for an item. When no other comes for a while, last resorts that failed are due again."""
        with self._changed:
            while not self._waiting:
                if not self._changed.wait(RETRY_SECONDS if self._repeated else None):
                    self._waiting.extend(self._repeated)
                    self._repeated.clear()
            self._current = self._waiting.popleft()
            return self._current

    def _finish(self, item: _Item) -> None:
        """Do one item, again and again while its error is temporary."""
        while (error := item.attempts.attempt(item.work)) is not None:
            if item.is_last_resort:
                self._repeated.append(item)
                return
            if not is_temporary(error):
                self._resort(item, error)
                return
            with self._changed:
                if self._is_closed:
                    return
                self._changed.wait(RETRY_SECONDS)

    def _resort(self, item: _Item, error: Exception) -> None:
        """Let what is done about failed work follow."""
        if item.give_up:
            self._append(_Item(partial(item.give_up, error), abandon=item.abandon))
        elif item.abandon:
            self._append(_Item(partial(item.abandon, error), is_last_resort=True))
