"""Requests that wait until something happens: a future of the event loop each, and no thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Waiting:
    """Who waits for what. Keys are anything that can be one; whoever brings about what is waited for calls `wake`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[Hashable, set[asyncio.Future[None]]] = {}
        self._is_closed = False

    @contextmanager
    def entry(self, key: Hashable) -> Iterator[asyncio.Future[None]]:
        """A future that is done at the next `wake` of the key; to be entered and left in the event loop's thread."""
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
        """Let all go on who wait for the key; from any thread."""
        with self._lock:
            for future in self._futures.get(key, ()):
                future.get_loop().call_soon_threadsafe(_finish, future)

    def close(self) -> None:
        """Let all go on, and nobody wait any more: the service is about to end."""
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
