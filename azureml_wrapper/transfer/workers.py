"""The threads of a transfer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from azureml_wrapper.transfer.http_client import WORKERS

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A pool of threads. The first error, or Ctrl-C, stops all of their work.

    Args:
        stop: Set when the work stops, so that requests do not wait for a retry.
        count: The number of threads.
    """

    def __init__(self, stop: threading.Event, count: int = WORKERS) -> None:
        self._stop = stop
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="transfer")

    def start(self, work: Callable[[], Result]) -> Future[Result]:
        """Start one piece of work."""
        return self._threads.submit(work)

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item], ahead: int | None = None
    ) -> Iterator[Result]:
        """Yield the results in the order of the items, of which at most `ahead` are in memory at once."""
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(work, item))
                if len(waiting) >= (ahead or 4 * self._count):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self._stop.set()
            raise

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
