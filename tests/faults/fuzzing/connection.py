"""Requests as bytes, on a connection that stays open: no library stands between the fuzzer and what it sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

# After so many seconds without an answer, a request hangs.
HANG_SECONDS = 60.0
_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """`status` is 0 if the connection ended without an answer, and -1 if none came in time."""

    status: int
    body: bytes = b""
    head: bytes = b""
    seconds: float = 0.0


def message(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


class Connection:
    """One keep-alive connection, opened again when the service or a request has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes, *, is_head: bool = False, closes: bool = False, is_cut: bool = False) -> Answer:
        """The answer to a request. With `is_cut` none is awaited, because the request is not complete.

        The service may close an idle connection at any time, so a request that meets a closed one is sent once more.
        """
        is_reused = self._writer is not None
        answer = await self._try(data, is_head, is_cut=is_cut)
        if answer.status == 0 and is_reused and not is_cut:
            await self.close()
            answer = await self._try(data, is_head, is_cut=False)
        if closes or is_cut or answer.status <= 0 or b"connection: close" in answer.head.lower():
            await self.close()
        return answer

    async def close(self) -> None:
        if self._writer:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()
        self._reader = self._writer = None

    async def _try(self, data: bytes, is_head: bool, *, is_cut: bool) -> Answer:
        reader, writer = await self._open()
        hang = asyncio.get_running_loop().call_later(HANG_SECONDS, writer.transport.abort)
        begin = time.perf_counter()
        try:
            writer.write(data)
            if is_cut:
                await writer.drain()
                return Answer(0)
            status, head, body = await _read(reader, is_head)
            return Answer(status, body, head, time.perf_counter() - begin)
        except (OSError, EOFError, ValueError):
            seconds = time.perf_counter() - begin
            return Answer(-1 if seconds >= HANG_SECONDS else 0, seconds=seconds)
        finally:
            hang.cancel()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LIMIT)
        return self._reader, self._writer


async def _read(reader: asyncio.StreamReader, is_head: bool) -> tuple[int, bytes, bytes]:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        # "100 Continue" precedes the answer.
        if status >= 200:
            break
    if is_head or status in (204, 304):
        return status, head, b""
    fields = {name.lower(): value for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))}
    if b"transfer-encoding" in fields:
        return status, head, await _chunks(reader)
    return status, head, await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
