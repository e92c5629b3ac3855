"""One command at a time in a job folder."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from azureml_wrapper.errors import FolderBusy, FolderClosed

JOB, RESULTS = "job", "results"
# Without a word of its holder a lock was taken, or is given back, in this very instant: seconds to look again.
_INSTANT = 5.0


@contextlib.contextmanager
def locked(folder: Path, what: str = JOB) -> Iterator[None]:
    """Keep other commands away from the job, or from the results, of a folder; `FolderBusy` where one is at it.

    `FolderClosed` where the folder cannot be made, or not be written to.
    The lock belongs to the process: when that ends, in whatever way, the folder is free again.
    """
    file = folder / f".aml_{what}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise FolderClosed(f"{folder} cannot be written to ({error.strerror}). Use another folder.") from error
    try:
        if holder := _take_or_name_holder(handle, file):
            raise FolderBusy(f"Another command works on {folder} ({holder}). Try again when it has ended.")
        _sign(handle)
        try:
            yield
        finally:
            # Else the next holder would be taken for this one until it has signed.
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take_or_name_holder(handle: int, file: Path) -> str:
    """Empty where the lock has been taken, else the word of the command that has it."""
    until = time.monotonic() + _INSTANT
    while not _take(handle):
        if word := _word(file):
            return word
        if time.monotonic() > until:
            return "it has just begun"
        # Nothing tells of a word or of a lock that is given back; a lock that the system waits for has no time limit.
        time.sleep(0.01)
    return ""


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
    """Leave a word for whoever finds the folder locked."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    os.ftruncate(handle, 0)
    os.write(handle, f"{command}, process {os.getpid()}, since {time.strftime('%H:%M:%S')}".encode())


def _word(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "its process cannot be read"
