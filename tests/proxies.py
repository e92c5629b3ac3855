"""A real proxy on 127.0.0.1 that requires a login: HTTP (plain and CONNECT) and SOCKS5, on one port each.

It connects every host to one server of the test, so that tests can use host names that do not exist.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator

USER, PASSWORD = "user", "s:c@ret/1"
# As in an address: the characters with a meaning of their own are encoded.
LOGIN = "user:s%3Ac%40ret%2F1"
_REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy(socketserver.ThreadingTCPServer):
    """`seen` has what clients asked for, `refused` counts requests without the right login."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler: type[socketserver.BaseRequestHandler], target: int) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.target, self.seen, self.refused = target, [], 0
        self.port = self.server_address[1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.target), timeout=30)


class Http(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        line = self.rfile.readline()
        headers = {}
        while (header := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.pop("proxy-authorization", "") != f"Basic {expected}":
            self.server.refused += 1
            self.wfile.write(_REFUSED)
            return
        method, address, _ = line.decode().split()
        self.server.seen.append(f"{method} {address}")
        with self.server.connect() as other:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = "/" + address.split("/", 3)[3]
                body = self.rfile.read(int(headers.get("content-length", 0)))
                lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "connection": "close"}.items())
                other.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            _relay(self.connection, other)


class Socks5(socketserver.BaseRequestHandler):
    """RFC 1928 and 1929, as far as a client with a login and a host name needs them."""

    server: Proxy

    def handle(self) -> None:
        _, count = self._read(2)
        offered = self._read(count)
        if 2 not in offered:
            self.server.refused += 1
            self.request.sendall(b"\x05\xff")
            return
        self.request.sendall(b"\x05\x02")
        _, length = self._read(2)
        user = self._read(length)
        password = self._read(self._read(1)[0])
        if (user.decode(), password.decode()) != (USER, PASSWORD):
            self.server.refused += 1
            self.request.sendall(b"\x01\x01")
            return
        self.request.sendall(b"\x01\x00")
        kind = self._read(4)[3]
        host = self._read(self._read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(self._read(4))
        (port,) = struct.unpack("!H", self._read(2))
        self.server.seen.append(f"{host}:{port}")
        with self.server.connect() as other:
            self.request.sendall(b"\x05\x00\x00\x01" + bytes(6))
            _relay(self.request, other)

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (more := self.request.recv(count - len(found))):
            found += more
        return found


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on in both directions until both ends are closed."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()


@contextlib.contextmanager
def proxy(handler: type[socketserver.BaseRequestHandler], target: int) -> Iterator[Proxy]:
    with Proxy(handler, target) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()
