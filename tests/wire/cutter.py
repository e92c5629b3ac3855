"""A TCP connection's bad day: passes bytes on, and breaks connections in the middle."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)


class Cutter:
    """Listens on a port of its own and passes on to another. `cut(after, times)` breaks connections from now on.

    `passed` counts the bytes towards the server ("up") and back ("down"), `cuts` the connections that were broken.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._own, self._others = (f"Host: 127.0.0.1:{each}".encode() for each in (self.port, port))
        self.passed = {"up": 0, "down": 0}
        self.cuts, self._left, self._after, self._way = 0, 0, 0, "up"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, way: str, *, after: int, times: int = 10**9) -> None:
        """Break the next `times` connections once so many bytes more have gone that way, of all connections."""
        self._way, self._after, self._left = way, self.passed[way] + after, times

    def heal(self) -> None:
        self._left = 0

    def close(self) -> None:
        self._listener.close()
        for each in list(self._open):
            _reset(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {client, server}
                for way, source, target in (("up", client, server), ("down", server, client)):
                    threading.Thread(target=self._pass, args=(way, source, target), daemon=True).start()

    def _pass(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                # The service answers only to its own name; a request's head is at the beginning of what comes.
                data = data.replace(self._own, self._others, 1) if way == "up" else data
                if self._is_cut(way, len(data)):
                    target.sendall(data[: len(data) // 2])
                    break
                target.sendall(data)
        for each in (source, target):
            _reset(each)
            self._open.discard(each)

    def _is_cut(self, way: str, count: int) -> bool:
        with self._lock:
            self.passed[way] += count
            if way != self._way or self._left == 0 or self.passed[way] < self._after:
                return False
            self._left, self.cuts = self._left - 1, self.cuts + 1
            return True


def _reset(each: socket.socket) -> None:
    """Not a polite end, which the other side might take for that of the content."""
    with suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        each.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        each.close()
