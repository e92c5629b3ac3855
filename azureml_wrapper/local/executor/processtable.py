"""The processes of this machine: from /proc if there is one, else through psutil (macOS)."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from dataclasses import dataclass
from typing import Any, Protocol

JOB_KEY_VARIABLE = "AZUREML_WRAPPER_JOB"
_PROC = "/proc"
_PROC_CHUNK = 64 * 1024
_POLL_SECONDS = 0.02
# Of what psutil returns in seconds: finer than the time in which a process number is reused.
_TICKS = 100


@dataclass(frozen=True)
class Status:
    """A process. `ticks` is when it started: two processes of one number differ in it."""

    lives: bool
    session: int
    ticks: int


class ProcessTable(Protocol):
    """What the executor asks of the operating system."""

    def status(self, pid: int) -> Status | None:
        """A process, also one that has ended and is not reaped yet; None if it is gone."""

    def started_since(self, ticks: int) -> list[int]:
        """This user's processes that started at that time or later, without this one."""

    def has_job_key(self, pid: int, job_key: str) -> bool:
        """Whether a process has inherited a job key; never if the key is empty."""

    def await_exit(self, pid: int) -> None:
        """Wait until a child of this process has ended, without reaping it."""


@functools.cache
def process_table() -> ProcessTable:
    """The table for this machine."""
    return ProcFolder() if has_proc() else PsutilTable()


def has_proc() -> bool:
    """Whether this machine has the folder /proc of Linux."""
    return os.path.exists(f"{_PROC}/self/stat")  # noqa: PTH110 - see _read


class ProcFolder:
    """Linux: reads /proc (proc(5)). Start times are in clock ticks since boot."""

    def __init__(self) -> None:
        # Process → the inode of its folder in /proc, and its start time. A later process with the same number has
        # another inode, so after each job only processes are read that are new since the last time.
        self._starts: dict[int, tuple[int, int]] = {}

    def status(self, pid: int) -> Status | None:
        """Read /proc/<pid>/stat."""
        # The program's name is in parentheses, and may itself contain parentheses and spaces.
        fields = _read(f"{_PROC}/{pid}/stat").rpartition(b")")[2].split()
        if not fields:
            return None
        return Status(lives=fields[0] not in (b"Z", b"X"), session=int(fields[3]), ticks=int(fields[19]))

    def started_since(self, ticks: int) -> list[int]:
        """List /proc; known processes are not read again."""
        # Replaced as a whole, because several threads may read it at the same time.
        known, found = self._starts, {}
        with os.scandir(_PROC) as entries:
            for entry in entries:
                if entry.name.isdigit():
                    pid, inode = int(entry.name), entry.inode()
                    before = known.get(pid)
                    found[pid] = before if before and before[0] == inode and before[1] else (inode, self._start(pid))
        self._starts = found
        me = os.getpid()
        return [pid for pid, (_, start) in found.items() if start >= ticks and pid != me and _is_own(pid)]

    def has_job_key(self, pid: int, job_key: str) -> bool:
        """Read the variables with which a process was started."""
        wanted = f"{JOB_KEY_VARIABLE}={job_key}".encode()
        return bool(job_key) and wanted in _read(f"{_PROC}/{pid}/environ").split(b"\0")

    def await_exit(self, pid: int) -> None:
        """Wait in the kernel."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def _start(self, pid: int) -> int:
        status = self.status(pid)
        return status.ticks if status else 0


class PsutilTable:
    """macOS. Start times are in hundredths of a second since 1970.

    The system hides the variables of its own programs (/bin/sh, …) there. They are found by their session.
    """

    def __init__(self) -> None:
        # Not a dependency on Linux.
        import psutil

        self._psutil: Any = psutil

    def status(self, pid: int) -> Status | None:
        """Ask for one process."""
        with contextlib.suppress(self._psutil.Error):
            process = self._psutil.Process(pid)
            lives = process.status() not in (self._psutil.STATUS_ZOMBIE, self._psutil.STATUS_DEAD)
            return Status(lives=lives, session=_session(pid), ticks=_in_ticks(process.create_time()))
        return None

    def started_since(self, ticks: int) -> list[int]:
        """Ask for all processes."""
        me, user, found = os.getpid(), os.getuid(), []
        for pid in self._psutil.pids():
            with contextlib.suppress(self._psutil.Error):
                process = self._psutil.Process(pid)
                if pid != me and process.uids().real == user and _in_ticks(process.create_time()) >= ticks:
                    found.append(pid)
        return found

    def has_job_key(self, pid: int, job_key: str) -> bool:
        """Ask for the variables with which a process was started."""
        with contextlib.suppress(self._psutil.Error):
            return bool(job_key) and self._psutil.Process(pid).environ().get(JOB_KEY_VARIABLE) == job_key
        return False

    def await_exit(self, pid: int) -> None:
        """Look again and again: Python has no waitid there before 3.13."""
        while (status := self.status(pid)) and status.lives:
            time.sleep(_POLL_SECONDS)


def _in_ticks(seconds: float) -> int:
    return int(seconds * _TICKS)


def _session(pid: int) -> int:
    # macOS does not find a process any more that has ended.
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return 0


def _is_own(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.stat(f"{_PROC}/{pid}").st_uid == os.getuid()  # noqa: PTH116 - see _read
    return False


def _read(path: str) -> bytes:
    """A file of /proc; empty if its process is gone. Without pathlib, which costs more than the reading."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(descriptor, _PROC_CHUNK), b""))
    except OSError:
        return b""
    finally:
        os.close(descriptor)
