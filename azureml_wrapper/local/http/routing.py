"""Routes: a table of method, path and handler.

A path is written as in Azure's own clients: `/runs/{run_id}`. `{path:rest}` matches the rest with its slashes, and
`{workspace_scope}` stands for `/subscriptions/…/workspaces/{workspace}`. The fixed parts match ignoring case, because
rslex writes `resourcegroups` and the Python SDK `resourceGroups`.

A route may wait for an event before its handler runs; that takes a future of the event loop, not a thread.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from azureml_wrapper.local.http.messages import Request, Response

# The first argument is services.context.Context; Any, because http must not import services.
Handler = Callable[[Any, Request], Response]
# Runs in the event loop, before the handler runs in a thread.
Await = Callable[[Any, Request], Awaitable[None]]

WORKSPACE_SCOPE = (
    "/subscriptions/{subscription}/resourceGroups/{resource_group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)


class Runs(Enum):
    """What the token of a run may do with a route: what scripts do in Azure, and nothing else."""

    NOTHING = "refused: for users only"
    READ = "changes nothing"
    FAMILY = "writes to runs: to its own, those above it and those below it"
    ADD = "adds something, and changes nothing that exists"
    DATA = "writes to the containers of its workspace's datastores"


@dataclass(frozen=True)
class Route:
    """One operation of one service.

    Args:
        query: Query parameters with the value that the route requires (`{"comp": "block"}`); None: must be absent.
        streams: Write the body to a file.
        public: Require no token, because the path contains a key.
        runs: What the token of a run may do; by default `READ` if the method is GET or HEAD, else `NOTHING`. With
            `FAMILY`, the run is named in the path, or the handler calls `guard_run` for those in the body.
        awaits: What to wait for before the handler runs.
    """

    method: str
    path: str
    handler: Handler
    query: Mapping[str, str | None] = field(default_factory=dict)
    streams: bool = False
    public: bool = False
    runs: Runs | None = None
    awaits: Await | None = None

    @property
    def access(self) -> Runs:
        """What the token of a run may do."""
        return self.runs or (Runs.READ if self.method in ("GET", "HEAD") else Runs.NOTHING)


@dataclass(frozen=True)
class Refusal:
    """A feature that is not served: the path of its requests, which stands for all below it, and what users read."""

    path: str
    message: str


@dataclass(frozen=True)
class Match:
    """A route, and the values of its path's named parts."""

    route: Route
    parameters: dict[str, str]


@dataclass(frozen=True)
class _Entry:
    path: str
    route: Route

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        # Compiled for the first request that may match: all at once would take a third of the service's start.
        return _pattern(self.path)


@dataclass(frozen=True)
class _Refused:
    refusal: Refusal

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Its path, and all below it. Compiled once: a request for an unknown path needs no token."""
        path = self.refusal.path.replace("{workspace_scope}", WORKSPACE_SCOPE)
        return re.compile(rf"{_pattern(path).pattern}(?:/.*)?", re.IGNORECASE)


class Router:
    """Finds the route of a request. Routes are tried in the order of their tables; refusals after all of them."""

    def __init__(self, routes: Iterable[Route], refusals: Iterable[Refusal] = ()) -> None:
        self._groups: dict[str, list[_Entry]] = defaultdict(list)
        self._open: list[_Entry] = []
        self.routes = tuple(routes)
        self._refusals = [_Refused(refusal) for refusal in refusals]
        for route in self.routes:
            path = route.path.replace("{workspace_scope}", WORKSPACE_SCOPE)
            group = path.split("/")[1].lower()
            target = self._open if group.startswith("{") else self._groups[group]
            target.append(_Entry(path, route))

    def match(self, method: str, raw_path: str, query: Mapping[str, str]) -> Match | None:
        """The first matching route, or None."""
        # The SDK's compute classes add a slash to ARM's address, which already ends in one.
        raw_path = "/" + raw_path.lstrip("/")
        group = raw_path.split("/")[1].lower()
        for entry in (*self._groups.get(group, ()), *self._open):
            route = entry.route
            if route.method != method or not _query_fits(route.query, query):
                continue
            if found := entry.pattern.fullmatch(raw_path):
                return Match(route, {name: unquote(value) for name, value in found.groupdict().items()})
        return None

    def refusal(self, raw_path: str) -> str | None:
        """Why a request without a route is refused, if it belongs to a feature that is known."""
        raw_path = "/" + raw_path.lstrip("/")
        return next((each.refusal.message for each in self._refusals if each.pattern.fullmatch(raw_path)), None)


def _query_fits(wanted: Mapping[str, str | None], given: Mapping[str, str]) -> bool:
    return all((given.get(name) or "").lower() == (value or "") for name, value in wanted.items())


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(:rest)?\}", path)
    text = re.escape(parts[0])
    for name, rest, fixed in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.*' if rest else '[^/]+'})" + re.escape(fixed)
    return re.compile(text, re.IGNORECASE)


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
