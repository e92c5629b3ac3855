"""Requests to blob storage: connections that are kept, and what to do where one breaks.

A request is sent again where the connection breaks or the service is busy, after 0.25, 0.5, 1, … seconds, or as long
as the service itself asks to wait, up to a minute. Every body is at most one block, so that nothing large is ever
sent twice.
"""

from __future__ import annotations

import os
import random
import threading
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3

WORKERS = 16
ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
LONGEST_ASKED = 60.0
# Seconds without a byte, not for a whole answer.
TIMEOUT = urllib3.Timeout(connect=20, read=60)
# Answers after which the storage's own clients try again (Microsoft Learn, "Status and error codes").
BUSY = (408, 429, 500, 502, 503, 504)
# Signatures name the version of the protocol that they were made for; other requests get this one.
VERSION = "2020-04-08"


@dataclass(frozen=True)
class Answer:
    """A whole answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refusal(Exception):
    """The service's answer is no, and will stay so."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.code, self.message = _reason(answer)
        super().__init__(f"{self.status} {self.code}: {self.message}")


class Broken(Exception):
    """The connection broke again and again."""


class Stopped(Exception):
    """Somebody has asked the transfer to stop."""


class Http:
    """One set of connections, for all threads of a transfer. `headers` go with every request."""

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
    ) -> Answer:
        """The answer to a request, `Refusal` where it is an error that `accept` does not have.

        Raises `Broken` after `attempts` broken connections, and `Stopped`.
        """
        failure = ""
        for attempt in range(attempts):
            if attempt:
                self._pause(attempt, failure)
            if self.stop.is_set():
                raise Stopped
            answer, failure = self._once(method, url, {**self._headers, **(headers or {})}, body)
            if answer is not None and (answer.status < 400 or answer.status in accept):
                return answer
            if answer is not None and (answer.status not in BUSY or attempt == attempts - 1):
                raise Refusal(answer)
        raise Broken(f"{failure} ({attempts} times)")

    def close(self) -> None:
        self._pool.clear()

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> tuple[Answer | None, str]:
        try:
            # Bytes as they are stored: what has a Content-Encoding is not unpacked on the way.
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
            return None, _told(error)
        answer = Answer(raw.status, {name.lower(): value for name, value in raw.headers.items()}, raw.data)
        return answer, answer.headers.get("retry-after", "")

    def _pause(self, attempt: int, failure: str) -> None:
        """`failure` is the number of seconds to wait where the service named one."""
        own = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
        pause = min(float(failure), LONGEST_ASKED) if failure.isdigit() else own
        # Threads whose connections broke together do not come back together, nor any before it is asked to.
        if self.stop.wait(pause * random.uniform(1.0, 1.3)):  # noqa: S311
            raise Stopped


def _pool(address: str) -> Any:
    """Connections to a host, through the proxy that the environment names for it."""
    parts = urlsplit(address)
    options: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": WORKERS,
        "block": False,
        "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
    }
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _told(error: Exception) -> str:
    """What broke, without the objects that urllib3 puts into its messages."""
    cause = error.__cause__ or error.__context__ or error
    words = str(getattr(error, "reason", None) or error)
    text = words.rpartition(">: ")[2] or str(cause)
    return text.strip("()'\"") or type(error).__name__


def _reason(answer: Answer) -> tuple[str, str]:
    """Code and message of the storage's XML, or of run history's JSON, as far as there are any."""
    code = answer.headers.get("x-ms-error-code", "")
    try:
        root = ElementTree.fromstring(answer.body.decode("utf-8-sig"))  # noqa: S314 - the storage's own answer
    except (ElementTree.ParseError, UnicodeDecodeError):
        return code, answer.body[:200].decode("utf-8", "replace")
    message = (root.findtext("Message") or "").splitlines()
    return code or root.findtext("Code") or "", message[0] if message else ""
