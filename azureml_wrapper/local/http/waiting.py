"""Requests that wait for an event: each takes a future of the event loop, not a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Waiting:
    """The waiting requests by key. Whoever causes the event calls `wake` with its key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[Hashable, set[asyncio.Future[None]]] = {}
        self._is_closed = False

    @contextmanager
    def entry(self, key: Hashable) -> Iterator[asyncio.Future[None]]:
        """A future that is done at the next `wake` of the key. Use it in the event loop's thread."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._futures.setdefault(key, set()).add(future)
            if self._is_closed:
                future.set_result(None)
        try:
            yield future
        finally:
            self._forget(key, future)

    def wake(self, key: Hashable) -> None:
        """End the waiting for a key. Any thread may call this."""
        with self._lock:
            for future in self._futures.get(key, ()):
                future.get_loop().call_soon_threadsafe(_finish, future)

    def close(self) -> None:
        """End all waiting, now and later, because the service is about to stop."""
        with self._lock:
            self._is_closed = True
            keys = list(self._futures)
        for key in keys:
            self.wake(key)

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._futures.values()))

    def _forget(self, key: Hashable, future: asyncio.Future[None]) -> None:
        with self._lock:
            left = self._futures[key]
            left.discard(future)
            if not left:
                del self._futures[key]


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
