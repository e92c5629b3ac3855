"""The service's end of a preloaded process (zygote.py): asks it for children, and hears how they end."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_wrapper.local.executor import zygote
from azureml_wrapper.local.executor.process import shell

ORDER_SECONDS = 10.0
IDLE_SECONDS = 600.0

log = logging.getLogger("azureml_wrapper.local")


class ForkError(OSError):
    """The preloaded process could not fork, or is gone."""


@dataclass
class Child:
    """One forked job, as far as the zygote has reported it."""

    number: int
    pid: int | None = None
    error: str | None = None
    code: int | None = None
    is_over: bool = False
    is_given_up: bool = False
    is_told_to_go: bool = False
    told: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    reaped: threading.Event = field(default_factory=threading.Event)

    def note(self, message: Mapping[str, Any]) -> None:
        if "pid" in message or "error" in message:
            self.pid, self.error = message.get("pid"), message.get("error")
            self.told.set()
        elif "code" in message:
            self.code = message["code"]
            self.reaped.set()
        else:
            self.ended.set()

    def note_report(self, message: Mapping[str, Any]) -> None:
        """It says itself that it is over: only its memory is left."""
        if message["pid"] == self.pid:
            self.code, self.is_over = message["code"], True
            self.ended.set()

    def lose(self) -> None:
        """The zygote is gone, and will report nothing more."""
        self.error = self.error or "the preloaded process is gone"
        for event in (self.told, self.ended, self.reaped):
            event.set()


class Preloaded:
    """One zygote: an interpreter with its variables. Starts in the background; ends when idle or closed."""

    def __init__(self, interpreter: str, variables: Mapping[str, str], idle: float = IDLE_SECONDS) -> None:
        self.modules: frozenset[str] | None = None
        self._places: dict[str, int] = {}
        self._idle, self._lock = idle, threading.Lock()
        self._children: dict[int, Child] = {}
        self._count = 0
        self._is_over = False
        # Open for writing here as well, so that it has no end.
        self._reports, self._written = os.pipe()
        self._report = [f"/proc/{os.getpid()}/fd/{self._written}", os.fstat(self._written).st_ino]
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [interpreter, zygote.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                umask=shell().umask,
            )
        shell().limit(self._process.pid)
        log.info("the preloaded process %s starts with %s", self._process.pid, interpreter)
        threading.Thread(target=self._listen, name=f"preloaded {interpreter}", daemon=True).start()

    @property
    def is_ready(self) -> bool:
        return self.modules is not None and self.is_alive

    @property
    def is_alive(self) -> bool:
        return not self._is_over and self._process.poll() is None

    @property
    def is_outdated(self) -> bool:
        """Whether packages have been installed since: a new process would import those."""
        return any(_changed(place) != changed for place, changed in self._places.items())

    def fork(self, order: dict[str, Any]) -> Child:
        """Request a child, and wait until it exists; `ForkError` if it does not."""
        with self._lock:
            if self._is_over:
                raise ForkError("the preloaded process has ended")
            self._count += 1
            child = self._children[self._count] = Child(self._count)
        self._send({**order, "job": child.number, "report": self._report})
        child.told.wait(ORDER_SECONDS)
        with self._lock:
            if child.pid is not None:
                return child
            if child.told.is_set():
                del self._children[child.number]
            child.is_given_up = True
        raise ForkError(child.error or "the preloaded process does not answer")

    def go(self, child: Child) -> None:
        """Let a child begin."""
        # If the zygote is gone, so is the child: it waits for this word, or for the end of who says it.
        with contextlib.suppress(ForkError):
            self._send({"go": child.number})

    def reap(self, child: Child) -> int | None:
        """The exit code of a child that has ended; None if the zygote is gone, too."""
        if child.code is None and child.error is None:
            self._send({"reap": child.number})
            child.reaped.wait(ORDER_SECONDS)
        with self._lock:
            self._children.pop(child.number, None)
        return child.code

    def release(self, child: Child) -> None:
        """Let a child that has reported its end be reaped as soon as the system has taken it apart."""
        with contextlib.suppress(ForkError):
            self._send({"reap": child.number})
        with self._lock:
            self._children.pop(child.number, None)

    def close_unless_used(self) -> bool:
        """End the zygote if it has no children any more. Returns whether it has ended."""
        if self.is_alive:
            if self._is_in_use():
                return False
            self.close()
        return True

    def close(self) -> None:
        """End the zygote; its children continue."""
        # Not closed: the thread that listens may be about to read from it.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._process.terminate()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ForkError(f"the preloaded process is gone: {error}") from error

    def _listen(self) -> None:
        """Handle the zygote's messages until it is gone or has been idle for too long."""
        try:
            self._read()
        except OSError:
            log.info("the preloaded process %s is gone", self._process.pid)
        finally:
            # Whatever happened: jobs wait for their children.
            self._end()

    def _read(self) -> None:
        zygote, reports = self._connection.fileno(), self._reports
        poll, waiting = select.poll(), {zygote: b"", reports: b""}
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        while (ready := poll.poll(self._idle * 1000)) or self._is_in_use():
            for descriptor, _ in ready:
                data = os.read(descriptor, 65536)
                if not data:
                    return
                *lines, waiting[descriptor] = (waiting[descriptor] + data).split(b"\n")
                for line in lines:
                    self._note(json.loads(line), is_report=descriptor == reports)

    def _is_in_use(self) -> bool:
        """Whether the zygote is needed. If not, it accepts no orders any more: their results would be lost."""
        with self._lock:
            self._is_over = not self._children and self.modules is not None
            return not self._is_over

    def _note(self, message: dict[str, Any], *, is_report: bool) -> None:
        if "ready" in message:
            self._places, self.modules = message["places"], frozenset(message["ready"])
            return
        with self._lock:
            child = self._children.get(message["job"])
            if child and is_report:
                child.note_report(message)
            elif child:
                child.note(message)
        if child and child.is_given_up and not is_report:
            self._discard_late_child(child, message)

    def _discard_late_child(self, child: Child, message: Mapping[str, Any]) -> None:
        """End a child that came too late: its job has been started cold in the meantime."""
        if child.pid and "pid" in message:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        elif "ended" in message:
            # If the zygote is gone, too, the next access will notice.
            with contextlib.suppress(ForkError):
                self._send({"reap": child.number})
        else:
            with self._lock:
                self._children.pop(child.number, None)

    def _end(self) -> None:
        self._is_over = True
        with self._lock:
            children = list(self._children.values())
        for child in children:
            child.lose()
        self._connection.close()
        for descriptor in (self._reports, self._written):
            os.close(descriptor)
        self._process.wait()


def _changed(folder: str) -> int | None:
    """When an entry of a folder was last added or removed; None if the folder is gone."""
    with contextlib.suppress(OSError):
        return Path(folder).stat().st_mtime_ns
    return None
