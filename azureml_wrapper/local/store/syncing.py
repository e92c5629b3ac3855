"""What a loss of power may cost: nothing that was acknowledged more than a second ago, and nothing is half.

A kill of the service loses nothing, because the kernel has every acknowledged write. Power that fails takes what is
not on the disk yet. Flushing each small file before its acknowledgement would cost several milliseconds per file, so
that a thread does it for many at once: files first, then their folders, then the database's log, so that the database
never names a missing file. Three things keep a file from being half after a loss:

- A large file is flushed before it gets its name.
- A file that is replaced is kept under a second name (a hard link) until the new one is on the disk.
- `restore` looks at files that the last service has named: one that does not match what the database noted of it is
  replaced by the kept one, or put aside.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.home import Home, read_text, write_private
from azureml_wrapper.local.store.blobfiles import file_etag
from azureml_wrapper.local.store.containers import ContainerFolder
from azureml_wrapper.local.store.database import Database

# How long writes are collected; with the time of a flush, less than the promised second.
PAUSE = 0.25
PROMISE = 1.0
# Files of this size are flushed before their acknowledgement: a flush of several would take longer than promised.
LARGE = 16 * 1024 * 1024
# More unflushed files than this are flushed by the request that adds the next one.
BACKLOG = 500
THREADS = 8
KEPT = ".kept"
MARK = "running"

log = logging.getLogger("azureml_wrapper.local")


class Syncer:
    """Flushes to the disk what is new. Without `start` it does nothing, as in unit tests."""

    def __init__(self, database: Database | None = None, root: Path | None = None) -> None:
        self._database, self._root = database, root
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._new: set[Path] = set()
        self._generation = 0
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._is_slow = False

    def start(self) -> None:
        """Start the thread."""
        if self._root and self._database:
            (self._root / KEPT).mkdir(parents=True, exist_ok=True)
            self._forget_kept(self._generation, all_of_them=True)
            self._database.checkpoint_by(self._wake.set)
            self._thread = threading.Thread(target=self._run, name="syncer", daemon=True)
            self._thread.start()
            self._wake.set()

    def soon(self, *paths: Path) -> None:
        """Flush files, and all files of folders, within a second."""
        if not self._thread:
            return
        with self._lock:
            self._new.update(paths)
            is_late = len(self._new) > BACKLOG
        if is_late:
            self.flush()
        self._wake.set()

    def before_rename(self, source: Path, target: Path) -> None:
        """Call this before `source` replaces `target`, or is the first of this name."""
        if not self._thread:
            return
        if source.stat().st_size >= LARGE or not self.keep(target):
            flush_file(source)

    def keep(self, path: Path) -> bool:
        """Keep a file as it is until the next flush, if it exists. Returns False if that is not possible."""
        if not self._thread or not self._root:
            return True
        with self._lock:
            kept = self._root / KEPT / f"{self._generation:09}-{_key(self._root, path)}"
        try:
            os.link(path, kept)
        except (FileNotFoundError, FileExistsError):
            return True
        except OSError:  # a file system without hard links
            return False
        return True

    def flush(self) -> None:
        """Flush everything that is new; raise `OSError` if that fails."""
        with self._flushing:
            started = time.monotonic()
            with self._lock:
                new, self._new = self._new, set()
                generation = self._generation
                self._generation += 1
            try:
                _flush_all(sorted(new), self._root)
                if self._database:
                    self._database.flush_log()
            except BaseException:
                with self._lock:
                    self._new |= new
                raise
            # A file that was kept while the last flush began was perhaps replaced after it.
            if self._forget_kept(generation):
                self._wake.set()
            self._report(time.monotonic() - started)

    def close(self) -> bool:
        """Flush what is left, and end the thread. Returns whether everything is on the disk."""
        if not self._thread:
            return True
        self._closing.set()
        self._wake.set()
        self._thread.join()
        attempts = Attempts("flushing to the disk")
        forget = partial(self._forget_kept, self._generation + 1, all_of_them=True)
        is_flushed = attempts.attempt(self.flush) is None and attempts.attempt(forget) is None
        self._thread = None
        return is_flushed

    def _run(self) -> None:
        attempts = Attempts("flushing to the disk")
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            if not self._closing.wait(PAUSE) and attempts.attempt(self.flush):
                self._wake.set()

    def _forget_kept(self, generation: int, *, all_of_them: bool = False) -> bool:
        """Delete the kept files of earlier generations. Returns whether others are left."""
        left = False
        for kept in (self._root / KEPT).iterdir() if self._root else ():
            if all_of_them or int(kept.name.partition("-")[0]) < generation:
                kept.unlink(missing_ok=True)
            else:
                left = True
        return left

    def _report(self, seconds: float) -> None:
        """Log once that the disk is too slow for the promise, and once that it is not."""
        is_slow = seconds + PAUSE > PROMISE
        if is_slow and not self._is_slow:
            log.warning("the disk is slow: after a loss of power, the last %.1f s would be missing", seconds + PAUSE)
        self._is_slow = is_slow


def flush_file(path: Path) -> None:
    """Flush a file or the entries of a folder; a missing one is ignored."""
    with suppress(FileNotFoundError), _opened(path) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _flush_all(paths: Iterable[Path], root: Path | None) -> None:
    files = [file for path in paths for file in _files(path)]
    folders = {above for file in files for above in _above(file, root)}
    with ThreadPoolExecutor(THREADS) as pool:
        # Many at once, because a file system writes what it is asked for at the same time in one go.
        list(pool.map(flush_file, files))
        list(pool.map(flush_file, sorted(folders)))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for place, _, names in os.walk(path):
        yield from (Path(place, name) for name in names if not Path(place, name).is_symlink())


def _above(file: Path, root: Path | None) -> Iterator[Path]:
    """The folders of a file, up to the home."""
    for folder in file.parents:
        yield folder
        if root is None or folder in (root, root.parent):
            return


def _key(root: Path, path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.relative_to(root))).hexdigest()


# After a loss of power ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """Which start of the machine a service has used a home in, since when (nanoseconds), and the folder's inode."""

    boot: str
    since: int
    folder: int


def power_lost_since(home: Home) -> int | None:
    """The start of the last service in nanoseconds, if it lost its power; None if it stopped or was killed."""
    before = _read_mark(home.path / MARK)
    if before is None:
        return None
    if before.boot == _boot() != "":
        # Killed: the kernel still has everything, but it need not be on the disk.
        os.sync()
        return None
    if before.folder not in (0, home.path.stat().st_ino):
        # All its files are new, so that each would seem to be incomplete.
        log.warning("%s is a copy of the folder of a service that ran: its files are not checked", home.path)
        return None
    return before.since


def mark_start(home: Home) -> None:
    """Mark a home as in use since now."""
    # File times are a few milliseconds behind the clock.
    mark = _Mark(boot=_boot(), since=time.time_ns() - 10**9, folder=home.path.stat().st_ino)
    write_private(home.path / MARK, json.dumps(asdict(mark)), flush=True)
    flush_file(home.path)


def keep_mark(home: Home) -> None:
    """Mark the home again if the clock was set back: new files are older than the start then."""
    before = _read_mark(home.path / MARK)
    if before and time.time_ns() < before.since:
        log.warning("the clock was set back")
        mark_start(home)


def mark_end(home: Home) -> None:
    """Mark a home as complete on the disk."""
    (home.path / MARK).unlink(missing_ok=True)


def _boot() -> str:
    """Changes with each start of the machine; empty if unknown."""
    return read_text(Path("/proc/sys/kernel/random/boot_id")).strip()


def _read_mark(mark: Path) -> _Mark | None:
    if not mark.exists():
        return None
    try:
        found = json.loads(read_text(mark))
        # Earlier versions did not write the folder.
        return _Mark(boot=str(found["boot"]), since=int(found["since"]), folder=int(found.get("folder") or 0))
    except (ValueError, KeyError, TypeError):
        return _Mark(boot="?", since=0, folder=0)


def restore(root: Path, database: Database, since: int, aside: Path) -> None:
    """Replace the blobs that a loss of power has left half by those that they replaced, or move them to `aside`.

    A blob is half if it was named after `since`, carries the time that the store gives to files (whole microseconds),
    and has another size or time than the database noted.
    """
    kept: dict[str, Path] = {}
    for file in sorted((root / KEPT).glob("*")):
        # The earliest is the one that was on the disk.
        kept.setdefault(file.name.partition("-")[2], file)
    for container in root.glob("[a-z0-9]*/[a-z0-9]*"):
        for name, path in ContainerFolder(container).walk():
            if path and _is_half(database, container, name, Path(path).stat(), since):
                file = Path(path)
                _replace(file, kept.get(_key(root, file)), aside / container.relative_to(root) / name)
    for file in (root / KEPT).glob("*"):
        file.unlink(missing_ok=True)


def _is_half(database: Database, container: Path, name: str, status: os.stat_result, since: int) -> bool:
    if status.st_ctime_ns < since or status.st_mtime_ns % 1000:
        return False
    sql = "SELECT 1 FROM blob_notes WHERE account = ? AND container = ? AND name = ? AND etag = ?"
    return not database.one(sql, (container.parent.name, container.name, name, file_etag(status)))


def _replace(path: Path, kept: Path | None, aside: Path) -> None:
    if kept:
        log.warning("restoring %s: power was lost while it was replaced", path)
        kept.replace(path)
        return
    log.warning(
        "moving %s to %s: power was lost within a second of its upload, and it may be incomplete", path, aside
    )
    aside.parent.mkdir(parents=True, exist_ok=True)
    path.replace(aside)
