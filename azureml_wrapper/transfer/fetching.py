"""One file on its way from the storage: under another name until it is whole and its MD5 is right."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from azureml_wrapper.transfer.container import http_seconds, text_md5
from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.http import Answer, Broken, Http, Refusal
from azureml_wrapper.transfer.progress import Progress
from azureml_wrapper.transfer.scan import PART, LocalFile

PIECE = 8 * 1024 * 1024
# The longest range whose MD5 the storage tells (Microsoft Learn, "Get Blob").
CHECKED_PIECE = 4 * 1024 * 1024
TELL_MD5 = "x-ms-range-get-content-md5"
NOT_MODIFIED, EXPIRED, RANGE_REFUSED = 304, 403, 416


class Damaged(OSError):
    """What has arrived has another MD5 than what the storage holds."""


@dataclass(frozen=True)
class Remote:
    """A file that can be read at `url()`. Of an artifact, size, ETag and MD5 are known only when it is read.

    `renew` makes `url` give another address, where signatures expire. What has the ETag `unless` is not fetched.
    """

    name: str
    url: Callable[[], str]
    renew: Callable[[], None] | None = None
    unless: str = ""
    size: int | None = None
    etag: str = ""
    md5: str | None = None
    modified: float = 0.0


@dataclass(frozen=True)
class Fetched:
    """A file that is here, whole."""

    name: str
    file: LocalFile
    md5: str
    etag: str


@dataclass(frozen=True)
class Unchanged:
    """A file that was here, and has not changed in the storage."""

    name: str


def fetch_small(http: Http, remote: Remote, path: Path, progress: Progress) -> Fetched | Remote | Unchanged:
    """Fetch a file of at most one piece; a larger one is given back, with what is known of it now."""
    if remote.size == 0:
        return _keep(remote, path, b"")
    headers = {"x-ms-range": f"bytes=0-{PIECE - 1}"}
    headers |= {"If-None-Match": f'"{remote.unless}"'} if remote.unless else {}
    headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}
    answer = _get(http, remote, headers, accept=(NOT_MODIFIED, RANGE_REFUSED))
    if answer.status == NOT_MODIFIED:
        return Unchanged(remote.name)
    if answer.status == RANGE_REFUSED:
        # An empty blob has no ranges.
        if path.is_file() and path.stat().st_size == 0:
            return Unchanged(remote.name)
        return _keep(replace(remote, size=0), path, b"")
    known = _known(remote, answer)
    if known.size is not None and known.size > len(answer.body):
        return known
    progress.advance(len(answer.body))
    return _keep(known, path, answer.body)


def fetch_large(http: Http, remote: Remote, path: Path, *, crew: Crew, progress: Progress) -> Fetched:
    """Fetch a file in pieces, but those that an earlier transfer has left beside its place."""
    size, length = remote.size or 0, _piece(remote)
    part = Part.of(path, remote, length)
    missing = [start for start in range(0, size, length) if start not in part.done]
    progress.skip(size - sum(min(length, size - start) for start in missing))

    def fetch(start: int) -> None:
        end = min(start + length, size)
        headers = {"x-ms-range": f"bytes={start}-{end - 1}"}
        headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}
        headers |= {} if remote.md5 else {TELL_MD5: "true"}
        answer = _get(http, remote, headers)
        _check_piece(answer, end - start, told=not remote.md5)
        part.write(start, answer.body)
        progress.advance(end - start)

    try:
        for _ in crew.map(fetch, missing):
            pass
        return part.finish(remote)
    finally:
        part.close()


class Part:
    """A file that is not whole yet, and beside it the list of its pieces that are there."""

    def __init__(self, path: Path, part: Path, size: int) -> None:
        self._path, self._part, self._list = path, part, part.with_name(f"{part.name}{PART}")
        self._lock = threading.Lock()
        self.done = self._read()
        self._file = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # What an ordinary disk cannot take, it says now; sparse files would tell it in the middle.
            _reserve(self._file, size)
            self._notes = self._list.open("a", encoding="ascii")
        except BaseException:
            os.close(self._file)
            raise

    @classmethod
    def of(cls, path: Path, remote: Remote, length: int) -> Part:
        """The part of this very state of the blob; what is left of earlier states is removed."""
        part = _part_path(path, remote, length)
        for old in path.parent.glob(f"{part_stem(path.name)}.*{PART}"):
            if not old.name.startswith(part.name):
                old.unlink(missing_ok=True)
        return cls(path, part, remote.size or 0)

    def write(self, start: int, content: bytes) -> None:
        if hasattr(os, "pwrite"):
            _write_at(self._file, start, content)
        with self._lock:
            if not hasattr(os, "pwrite"):
                os.lseek(self._file, start, os.SEEK_SET)
                os.write(self._file, content)
            self._notes.write(f"{start}\n")
            self._notes.flush()

    def finish(self, remote: Remote) -> Fetched:
        """Give the file its name, once its MD5 is right; one that is not is removed."""
        self.close()
        digest = hashlib.md5(usedforsecurity=False)
        with self._part.open("rb") as file:
            while content := file.read(1024 * 1024):
                digest.update(content)
        md5 = text_md5(digest)
        if remote.md5 and md5 != remote.md5:
            self._part.unlink(missing_ok=True)
            self._list.unlink(missing_ok=True)
            raise Damaged("what has arrived has another MD5 than the storage tells; it was removed")
        fetched = _put_in_place(remote, self._part, self._path, md5)
        self._list.unlink(missing_ok=True)
        return fetched

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._notes.close()
            self._file = -1

    def _read(self) -> set[int]:
        """The pieces of the list; a last line that a kill has cut does not count."""
        if not self._part.exists():
            self._list.unlink(missing_ok=True)
            return set()
        with suppress(FileNotFoundError):
            lines = self._list.read_text(encoding="ascii").split("\n")[:-1]
            return {int(line) for line in lines if line.isdigit()}
        return set()


def missing_bytes(remote: Remote, path: Path) -> int:
    """How much room a file still takes on the disk: that of its part is taken already."""
    size = remote.size or 0
    if size <= PIECE:
        return size
    try:
        return size - min(size, _part_path(path, remote, _piece(remote)).stat().st_size)
    except OSError:
        return size


def _piece(remote: Remote) -> int:
    return PIECE if remote.md5 else CHECKED_PIECE


def _part_path(path: Path, remote: Remote, length: int) -> Path:
    state = hashlib.sha256(f"{remote.etag}/{remote.size}/{length}".encode()).hexdigest()[:8]
    return path.with_name(f"{part_stem(path.name)}.{state}{PART}")


def part_stem(name: str) -> str:
    """How the parts of a file are called: short, for a name may be as long as the file system allows."""
    return f".{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _get(http: Http, remote: Remote, headers: dict[str, str], accept: tuple[int, ...] = ()) -> Answer:
    try:
        return http.send("GET", remote.url(), headers=headers, accept=accept)
    except Refusal as refusal:
        if refusal.status != EXPIRED or remote.renew is None:
            raise
    remote.renew()
    return http.send("GET", remote.url(), headers=headers, accept=accept)


def _known(remote: Remote, answer: Answer) -> Remote:
    """The remote file, with what the storage has told of it in an answer to a first range."""
    headers = answer.headers
    _, _, total = headers.get("content-range", "").rpartition("/")
    size = int(total) if total.isdigit() else len(answer.body)
    # Content-MD5 is that of the range where one was asked for.
    told = headers.get("x-ms-blob-content-md5") or (headers.get("content-md5") if answer.status == 200 else None)
    return replace(
        remote,
        size=size,
        etag=headers.get("etag", "").strip('"'),
        md5=told or remote.md5,
        modified=http_seconds(headers.get("last-modified", "")),
    )


def _check_piece(answer: Answer, length: int, *, told: bool) -> None:
    if len(answer.body) != length:
        raise Broken(f"{len(answer.body)} bytes came, and {length} were asked for")
    md5 = answer.headers.get("content-md5") if told else None
    if md5 and md5 != text_md5(hashlib.md5(answer.body, usedforsecurity=False)):
        raise Damaged("a piece has another MD5 than the storage tells")


def _keep(remote: Remote, path: Path, content: bytes) -> Fetched:
    md5 = text_md5(hashlib.md5(content, usedforsecurity=False))
    if len(content) != remote.size or (remote.md5 and remote.md5 != md5):
        raise Damaged("what has arrived has another size or MD5 than the storage tells")
    beside = path.with_name(f"{part_stem(path.name)}.{os.getpid()}{PART}")
    try:
        beside.write_bytes(content)
        return _put_in_place(remote, beside, path, md5)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _put_in_place(remote: Remote, beside: Path, path: Path, md5: str) -> Fetched:
    """The blob's own time is given to the file, so that a change made here can be told from it."""
    if remote.modified:
        os.utime(beside, (remote.modified, remote.modified))
    beside.replace(path)
    return Fetched(remote.name, LocalFile.of(str(path), path.stat()), md5, remote.etag)


def _write_at(descriptor: int, start: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, start)
        start, view = start + written, view[written:]


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
