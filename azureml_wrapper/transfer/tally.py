"""What a transfer has done so far, and what went wrong: for a single file, or for all of them."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.fetching import Damaged
from azureml_wrapper.transfer.http import Broken, Refusal
from azureml_wrapper.transfer.progress import Progress
from azureml_wrapper.transfer.report import TransferReport

Result = TypeVar("Result")

# Of this machine's disk: no other file would fare better.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
# Of the storage: neither.
REFUSED = (401, 403, 413, 507)
AGAIN = "Start it again: what has arrived is not transferred twice."
SHOWN = 5


@dataclass
class Tally:
    """Names by what became of them; `faults` are texts, `name: reason`. `label` says where it goes, or comes from."""

    label: str
    progress: Progress = field(default_factory=lambda: Progress("", 0, shown=False))
    uploaded: list[str] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def report(self) -> TransferReport:
        return TransferReport(
            uploaded=tuple(self.uploaded),
            downloaded=tuple(self.downloaded),
            copied=tuple(self.copied),
            skipped=tuple(self.skipped),
            deleted=tuple(self.deleted),
            ignored=tuple(self.ignored),
            bytes=self.progress.bytes,
            seconds=time.monotonic() - self.started,
        )

    def attempt(self, name: str, work: Callable[[], Result]) -> Result | None:
        """The result; None where this one file cannot be transferred, which `check` tells in the end."""
        try:
            return _twice(work)
        except Refusal as refusal:
            if refusal.status in REFUSED or refusal.code == "ContainerNotFound":
                raise
            self.faults.append(f"{name}: {_refused_file(refusal)}")
        except OSError as error:
            if error.errno in DISK:
                raise
            self.faults.append(f"{name}: {error.strerror or error}")
        return None

    def check(self) -> None:
        """Raise `TransferFailed` where a file could not be transferred."""
        if self.faults:
            told = "\n".join(f"  {fault}" for fault in sorted(self.faults)[:SHOWN])
            more = f"\n  … and {len(self.faults) - SHOWN} more" if len(self.faults) > SHOWN else ""
            count = "One file" if len(self.faults) == 1 else f"{len(self.faults)} files"
            self.fail(f"{count} could not be transferred, {self.label}:\n{told}{more}\n")

    def fail(self, words: str, cause: BaseException | None = None) -> None:
        report = self.report()
        failed = TransferFailed(f"{words}Done so far: {report}. {AGAIN}")
        failed.report = report
        raise failed from cause

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """What ends the whole transfer becomes a `TransferFailed` that says what was done before."""
        try:
            yield
        except Refusal as refusal:
            self.fail(f"The storage refuses the transfer {self.label}: {_refused(refusal)}. ", refusal)
        except Broken as broken:
            self.fail(f"The connection broke, {self.label}: {broken}. ", broken)
        except TransferFailed:
            raise
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            self.fail(f"The disk does not take more{place}, {self.label}: {error.strerror or error}. ", error)


def _twice(work: Callable[[], Result]) -> Result:
    """Bytes that were changed on their way are sent once more."""
    try:
        return work()
    except Damaged:
        return work()
    except Refusal as refusal:
        if refusal.code != "Md5Mismatch":
            raise
        return work()


def _refused(refusal: Refusal) -> str:
    words = f"{refusal.code or refusal.status}: {refusal.message}".rstrip(". ")
    if refusal.code == "AuthenticationFailed":
        return f"{words}. The account key or SAS token of the datastore is wrong or has expired; register it again"
    if refusal.code == "AuthorizationPermissionMismatch":
        return f"{words}. The SAS token of the datastore does not allow this; register it with one that does"
    return words


def _refused_file(refusal: Refusal) -> str:
    if refusal.status == 412:
        return "it has changed in the storage meanwhile"
    return _refused(refusal)
