"""What a transfer has done so far or in all, and what went wrong: with one file, or with all of them."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse

Result = TypeVar("Result")

# Errors of this machine's disk, which would hit every other file as well.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
# Errors of the storage, which would too.
REFUSED = (401, 403, 413, 507)
AGAIN = "Start the transfer again: what has arrived is not transferred twice."
SHOWN = 5


@dataclass(frozen=True)
class TransferReport:
    """What a transfer has done. Names are relative to the folder.

    Attributes:
        uploaded, downloaded: Files that went over the network.
        copied: Files that were renamed; the target had their content already.
        skipped: Files that are unchanged.
        deleted: Files that were removed at the target.
        ignored: What was left out, as "name: reason".
        bytes: Bytes that went over the network.
        seconds: Duration of the whole transfer.
    """

    uploaded: tuple[str, ...] = ()
    downloaded: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        from rich.filesize import decimal

        counted = {
            "uploaded": self.uploaded,
            "downloaded": self.downloaded,
            "copied": self.copied,
            "deleted": self.deleted,
            "unchanged": self.skipped,
            "ignored": self.ignored,
        }
        parts = [f"{len(names):,} {word}" for word, names in counted.items() if names]
        return f"{', '.join(parts) or 'no files'}; {decimal(self.bytes)} in {self.seconds:.1f} s"


class CorruptData(OSError):
    """What has arrived differs from what was sent, in size or in MD5."""


@dataclass
class Outcome:
    """Names by what became of them so far; `failures` are "name: reason". `label` names both sides, for messages."""

    label: str
    progress: Progress = field(default_factory=lambda: Progress("", 0, shown=False))
    uploaded: list[str] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def report(self) -> TransferReport:
        """Return what was done so far."""
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
        """Return the result of `work`, or None if this one file cannot be transferred; `check` reports it later."""
        try:
            return _twice(work)
        except ErrorResponse as error:
            if error.status in REFUSED or error.code == "ContainerNotFound":
                raise
            self.failures.append(f"{name}: {_refused_file(error)}")
        except OSError as error:
            if error.errno in DISK:
                raise
            self.failures.append(f"{name}: {error.strerror or error}")
        return None

    def check(self) -> None:
        """Raise `TransferFailed` if a file could not be transferred."""
        if self.failures:
            listed = "\n".join(f"  {failure}" for failure in sorted(self.failures)[:SHOWN])
            more = f"\n  … and {len(self.failures) - SHOWN} more" if len(self.failures) > SHOWN else ""
            count = "One file" if len(self.failures) == 1 else f"{len(self.failures)} files"
            self.fail(f"{count} could not be transferred {self.label}:\n{listed}{more}\n")

    def fail(self, message: str, cause: BaseException | None = None) -> None:
        """Raise `TransferFailed`, with what was done so far in its message and as its `report`."""
        report = self.report()
        failed = TransferFailed(f"{message}Done so far: {report}. {AGAIN}")
        failed.report = report
        raise failed from cause

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn errors that end the whole transfer into a `TransferFailed` that says what was done before."""
        try:
            yield
        except ErrorResponse as error:
            self.fail(f"The storage refused the transfer {self.label}: {_refused(error)}. ", error)
        except ConnectionBroken as error:
            self.fail(f"The connection broke during the transfer {self.label}: {error}. ", error)
        except TransferFailed:
            raise
        except OSError as error:
            what = "Cannot write to disk" if error.errno in DISK else "Cannot access files"
            file = f" ({error.filename})" if error.filename else ""
            self.fail(f"{what}{file}, {self.label}: {error.strerror or error}. ", error)


def _twice(work: Callable[[], Result]) -> Result:
    """Do it again if bytes were corrupted on their way."""
    try:
        return work()
    except CorruptData:
        return work()
    except ErrorResponse as error:
        if error.code != "Md5Mismatch":
            raise
        return work()


def _refused(error: ErrorResponse) -> str:
    words = f"{error.code or error.status}: {error.message}".rstrip(". ")
    if error.code == "AuthenticationFailed":
        return f"{words}. The account key or SAS token of the datastore is wrong or has expired; register it again"
    if error.code == "AuthorizationPermissionMismatch":
        return f"{words}. The SAS token of the datastore does not allow this; register it with one that does"
    return words


def _refused_file(error: ErrorResponse) -> str:
    if error.status == 412:
        return "it has changed in the storage in the meantime"
    return _refused(error)


class Progress:
    """Counts the bytes of a transfer.

    Args:
        title: The word beside the bar.
        total: The number of bytes to expect; 0 if it is unknown.
        shown: Whether to show a bar; None shows one if standard error is a terminal.
    """

    def __init__(self, title: str, total: int, *, shown: bool | None = None) -> None:
        self.bytes = 0
        self._lock = threading.Lock()
        self._bar: Any = None
        if shown is not False:
            self._bar = _bar(title, total, forced=bool(shown))

    def advance(self, count: int) -> None:
        """Count bytes that went over the network."""
        with self._lock:
            self.bytes += count
        self.skip(count)

    def skip(self, count: int) -> None:
        """Move the bar on for bytes that did not have to."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(title: str, total: int, *, forced: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal and not forced:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    # Without redirection, the bar may tear what other threads print; with it, rich would replace their sys.stdout.
    bar = Bar(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task(title, total=total or None)
    return bar
