"""HTTP on a connection: uvicorn's protocol with a bound on what a request may send before its body.

uvicorn has a bound only with h11, which is slower. Everything here happens before a request has a token.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Address and headers together. The longest that clients send are tokens and signatures, a few kilobytes each.
HEAD_LIMIT = 64 * 1024


class HeadTooLarge(ValueError):
    """The address and the headers of a request have more than `HEAD_LIMIT` bytes."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 and closes the connection if address and headers are too long, even if they never end.

    It overrides and reads what uvicorn does not document: tests/contract/test_uvicorn.py has all of it.
    """

    # Whether a head is on its way, or is the next to come.
    _in_head = True
    # Bytes that have arrived since then, and bytes of what the parser has found in the head.
    _arrived = _parsed = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._arrived += len(data)
        super().data_received(data)
        # The parser keeps a header until it is complete.
        if self._in_head and self._arrived > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._parsed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._arrived = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Also called by uvicorn for what is not HTTP; then the connection is closed."""
        if max(self._parsed, self._arrived if self._in_head else 0) <= HEAD_LIMIT:
            super().send_400_response(msg)
            return
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        text = f"The address and the headers of a request may have {HEAD_LIMIT // 1024} KiB together."
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self.transport.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        self.transport.close()

    def _count(self, part: bytes) -> None:
        self._parsed += len(part)
        if self._parsed > HEAD_LIMIT:
            # httptools reports it as an invalid request, for which uvicorn calls `send_400_response`.
            raise HeadTooLarge
