"""A lock on a file, for one process at a time. It is released when its process exits, even if killed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

# A holder signs right after it has taken the lock: how long to wait for the signature, in seconds.
_SIGNING_SECONDS = 5.0
_PAUSE = 0.01
_LONG_PAUSE = 0.1


class FileLock:
    """An exclusive lock on `file`, which is created if it is missing and then names the command that holds the lock.

    `OSError` from a method means that the file cannot be opened, or that its file system has no locks.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle = -1
        self._is_held = False

    def try_acquire(self) -> str:
        """Take the lock and return "", or return which command holds it, such as "aml results, pid 123, since 9:00".

        Raises:
            OSError: The file cannot be opened or locked.
        """
        if self._handle < 0:
            self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        until = time.monotonic() + _SIGNING_SECONDS
        while not _take(self._handle):
            if holder := self._holder():
                return holder
            if time.monotonic() > until:
                return "it has just started"
            time.sleep(_PAUSE)
        self._is_held = True
        _sign(self._handle)
        return ""

    def acquire(self) -> None:
        """Wait for the lock, without a limit."""
        # Not a lock that the system waits for: that could not be interrupted everywhere.
        while self.try_acquire():
            time.sleep(_LONG_PAUSE)

    def release(self) -> None:
        """Give the lock back, if this object has it; a second call does nothing."""
        if self._handle < 0:
            return
        try:
            if self._is_held:
                # Otherwise the next holder would be taken for this one until it has signed.
                os.ftruncate(self._handle, 0)
        finally:
            os.close(self._handle)
            self._handle, self._is_held = -1, False

    def _holder(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "which one cannot be read"


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _sign(handle: int) -> None:
    """Write which command holds the lock, for those who find it taken."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    os.ftruncate(handle, 0)
    os.write(handle, f"{command}, pid {os.getpid()}, since {time.strftime('%H:%M:%S')}".encode())
