"""HTTP to blob storage and to Azure ML: pooled connections, retries when one breaks, and the threads that use them.

A request is repeated if the connection breaks or the service is busy, after 0.25, 0.5, 1, … seconds, or after the
time that the service asks for, up to a minute. No body is larger than one block, so nothing large is sent twice.
"""

from __future__ import annotations

import random
import threading
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import urllib3

from azureml_wrapper import network
from azureml_wrapper.errors import ConnectionFailed

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 16
ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
LONGEST_ASKED = 60.0
# Seconds without a byte, not for the whole response.
TIMEOUT = urllib3.Timeout(connect=20, read=60)
# Statuses after which the storage's own clients retry (Microsoft Learn, "Status and error codes").
BUSY = (408, 429, 500, 502, 503, 504)
PROXY_LOGIN = 407
# A signature names the protocol version that it was made for; other requests use this one.
VERSION = "2020-04-08"


@dataclass(frozen=True)
class Response:
    """A whole response; the names of headers are lowercase."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ErrorResponse(Exception):
    """The service answered with an error that a retry does not change."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.code, self.message = _reason(response)
        super().__init__(f"{self.status} {self.code}: {self.message}")


class ConnectionBroken(Exception):
    """The connection broke in every attempt."""


class Stopped(Exception):
    """The transfer was asked to stop."""


class HttpClient:
    """Connections to one host, shared by all threads of a transfer.

    Args:
        address: An address on the host.
        stop: When it is set, requests that wait for a retry raise `Stopped`.
        headers: Headers of every request; by default the storage's protocol version.

    Raises:
        ConnectionFailed: The environment names an invalid proxy, or certificates that are missing.
    """

    def __init__(
        self, address: str, *, stop: threading.Event | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.stop = stop or threading.Event()
        self._headers = {"x-ms-version": VERSION} if headers is None else dict(headers)
        self._pool = _pool(address)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        attempts: int = ATTEMPTS,
        accept: tuple[int, ...] = (),
    ) -> Response:
        """Send a request, with retries, and return the response.

        Args:
            accept: Error statuses that are returned like a success.

        Raises:
            ErrorResponse: The service answered with another error.
            ConnectionBroken: The connection broke `attempts` times.
            Stopped: The transfer was asked to stop.
        """
        failure = ""
        for attempt in range(attempts):
            if attempt:
                self._pause(attempt, failure)
            if self.stop.is_set():
                raise Stopped
            response, failure = self._once(method, url, {**self._headers, **(headers or {})}, body)
            if response is not None and (response.status < 400 or response.status in accept):
                return response
            if response is not None and (response.status not in BUSY or attempt == attempts - 1):
                raise ErrorResponse(response)
        raise ConnectionBroken(f"{failure} ({attempts} times)")

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> tuple[Response | None, str]:
        """Return the response and its Retry-After, or None and why the connection broke."""
        try:
            # Bytes as they are stored: content with a Content-Encoding is not decompressed.
            raw = self._pool.request(
                method,
                url,
                headers=headers,
                body=body,
                retries=False,
                redirect=False,
                timeout=TIMEOUT,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if network.is_refused_by_proxy(error):
                raise _refused_by_proxy(url) from error
            return None, network.reason_of(error)
        if raw.status == PROXY_LOGIN:
            raise _refused_by_proxy(url)
        response = Response(raw.status, {name.lower(): value for name, value in raw.headers.items()}, raw.data)
        return response, response.headers.get("retry-after", "")

    def _pause(self, attempt: int, failure: str) -> None:
        """Wait before a retry; `failure` is a number of seconds if the service asked for one."""
        own = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
        pause = min(float(failure), LONGEST_ASKED) if failure.isdigit() else own
        # Threads whose connections broke together must not come back together, nor earlier than they were asked to.
        if self.stop.wait(pause * random.uniform(1.0, 1.3)):  # noqa: S311
            raise Stopped


def _pool(address: str) -> Any:
    """Connections to a host, through the proxy that the environment names for it."""
    try:
        return network.connections(address, num_pools=4, maxsize=WORKERS, block=False)
    except network.InvalidSetting as error:
        raise ConnectionFailed(str(error)) from error


def _refused_by_proxy(url: str) -> ConnectionBroken:
    """The error for a proxy that requires a login; a retry would not change its answer."""
    return ConnectionBroken(
        "the proxy requires another login (407 Proxy Authentication Required); set "
        f"{network.proxy_variable(url)} to http://USER:PASSWORD@HOST:PORT"
    )


def _reason(response: Response) -> tuple[str, str]:
    """Code and message of the storage's XML; of any other body, its first 200 characters."""
    code = response.headers.get("x-ms-error-code", "")
    try:
        root = ElementTree.fromstring(response.body.decode("utf-8-sig"))  # noqa: S314 - the storage's own answer
    except (ElementTree.ParseError, UnicodeDecodeError):
        return code, response.body[:200].decode("utf-8", "replace")
    message = (root.findtext("Message") or "").splitlines()
    return code or root.findtext("Code") or "", message[0] if message else ""


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
