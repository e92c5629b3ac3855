"""Threads that work on one transfer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from azureml_wrapper.transfer.http import WORKERS

Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """Runs work on many items at once; the first error, or Ctrl-C, stops all of it.

    `stop` is what those who wait for an answer look at. Only so many items are taken up in advance that they fit
    into memory.
    """

    def __init__(self, stop: threading.Event, workers: int = WORKERS) -> None:
        self._stop = stop
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="transfer")

    def start(self, work: Callable[[], Result]) -> Future[Result]:
        """Begin one piece of work."""
        return self._threads.submit(work)

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item], ahead: int | None = None
    ) -> Iterator[Result]:
        """The results, in the order of the items."""
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(work, item))
                if len(waiting) >= (ahead or 4 * self._workers):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self._stop.set()
            raise

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
