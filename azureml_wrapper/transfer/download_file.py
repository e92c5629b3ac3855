"""Downloads one file, under another name until it is complete and its MD5 is right."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from azureml_wrapper.transfer.blob_container import http_seconds
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient, Response, Workers
from azureml_wrapper.transfer.local_files import PART, LocalFile, hash_file, md5_text
from azureml_wrapper.transfer.outcome import CorruptData, Progress

PIECE = 8 * 1024 * 1024
# The longest range of which the storage returns the MD5 (Microsoft Learn, "Get Blob").
CHECKED_PIECE = 4 * 1024 * 1024
# Without it, the C library of Windows writes "\r\n" for each "\n".
_BINARY: int = getattr(os, "O_BINARY", 0)
REQUEST_MD5 = "x-ms-range-get-content-md5"
NOT_MODIFIED, EXPIRED, RANGE_REFUSED = 304, 403, 416


@dataclass(frozen=True)
class RemoteFile:
    """A file in the storage. Of a run's file, size, ETag and MD5 are known only when it is read.

    Attributes:
        url: Returns the address to read the file at.
        renew: Makes `url` return another address, if addresses expire.
        unless: An ETag; a file that has it is not fetched.
        md5: Base64, None if it is unknown.
        modified: The time of the last change, in seconds since 1970.
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
    """A file that has arrived completely."""

    name: str
    file: LocalFile
    md5: str
    etag: str


@dataclass(frozen=True)
class Unchanged:
    """A file that was here already, and has not changed in the storage."""

    name: str


def fetch_small(
    http: HttpClient, remote: RemoteFile, path: Path, progress: Progress
) -> Fetched | RemoteFile | Unchanged:
    """Fetch a file of at most one piece; a larger one is returned, with what is now known of it."""
    if remote.size == 0:
        return _keep(remote, path, b"")
    headers = {"x-ms-range": f"bytes=0-{PIECE - 1}"}
    headers |= {"If-None-Match": f'"{remote.unless}"'} if remote.unless else {}
    headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}
    response = _get(http, remote, headers, accept=(NOT_MODIFIED, RANGE_REFUSED))
    if response.status == NOT_MODIFIED:
        return Unchanged(remote.name)
    if response.status == RANGE_REFUSED:
        # An empty blob has no ranges.
        if path.is_file() and path.stat().st_size == 0:
            return Unchanged(remote.name)
        return _keep(replace(remote, size=0), path, b"")
    known = _known(remote, response)
    if known.size is not None and known.size > len(response.body):
        return known
    progress.advance(len(response.body))
    return _keep(known, path, response.body)


def fetch_large(http: HttpClient, remote: RemoteFile, path: Path, *, workers: Workers, progress: Progress) -> Fetched:
    """Fetch a file in pieces, except those that an interrupted transfer has left here."""
    size, length = remote.size or 0, _piece(remote)
    part = PartialFile.of(path, remote, length)
    missing = [start for start in range(0, size, length) if start not in part.done]
    progress.skip(size - sum(min(length, size - start) for start in missing))

    def fetch(start: int) -> None:
        end = min(start + length, size)
        headers = {"x-ms-range": f"bytes={start}-{end - 1}"}
        headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}
        headers |= {} if remote.md5 else {REQUEST_MD5: "true"}
        response = _get(http, remote, headers)
        _check_piece(response, end - start, with_md5=not remote.md5)
        part.write(start, response.body)
        progress.advance(end - start)

    try:
        for _ in workers.map(fetch, missing):
            pass
        return part.finish(remote)
    finally:
        part.close()


class PartialFile:
    """An incomplete file, and beside it the list of the pieces that have arrived."""

    def __init__(self, path: Path, part: Path, size: int) -> None:
        self._path, self._part, self._list = path, part, part.with_name(f"{part.name}{PART}")
        self._lock = threading.Lock()
        self.done = self._read()
        self._file = os.open(part, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            # A disk that is too small fails now; with a sparse file it would fail in the middle.
            _reserve(self._file, size)
            self._notes = self._list.open("a", encoding="ascii")
        except BaseException:
            os.close(self._file)
            raise

    @classmethod
    def of(cls, path: Path, remote: RemoteFile, length: int) -> PartialFile:
        """Open the partial file of this state of the blob, and remove those of earlier states."""
        part = _part_path(path, remote, length)
        for old in path.parent.glob(f"{part_stem(path.name)}.*{PART}"):
            if not old.name.startswith(part.name):
                old.unlink(missing_ok=True)
        return cls(path, part, remote.size or 0)

    def write(self, start: int, content: bytes) -> None:
        """Write a piece, and add it to the list."""
        if hasattr(os, "pwrite"):
            _write_at(self._file, start, content)
        with self._lock:
            if not hasattr(os, "pwrite"):
                os.lseek(self._file, start, os.SEEK_SET)
                os.write(self._file, content)
            self._notes.write(f"{start}\n")
            self._notes.flush()

    def finish(self, remote: RemoteFile) -> Fetched:
        """Give the file its name if its MD5 is right; otherwise remove it and raise `CorruptData`."""
        self.close()
        md5 = hash_file(LocalFile.of(str(self._part), self._part.stat()))
        if remote.md5 and md5 != remote.md5:
            self._part.unlink(missing_ok=True)
            self._list.unlink(missing_ok=True)
            raise CorruptData(f"MD5 mismatch: the storage reports {remote.md5}, the file has {md5}; it was removed")
        fetched = _put_in_place(remote, self._part, self._path, md5)
        self._list.unlink(missing_ok=True)
        return fetched

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._notes.close()
            self._file = -1

    def _read(self) -> set[int]:
        """The pieces of the list; a last line that is cut off does not count."""
        if not self._part.exists():
            self._list.unlink(missing_ok=True)
            return set()
        with suppress(FileNotFoundError):
            lines = self._list.read_text(encoding="ascii").split("\n")[:-1]
            return {int(line) for line in lines if line.isdigit()}
        return set()


def missing_bytes(remote: RemoteFile, path: Path) -> int:
    """Return how much space a file still needs: a partial file has its space already."""
    size = remote.size or 0
    if size <= PIECE:
        return size
    try:
        return size - min(size, _part_path(path, remote, _piece(remote)).stat().st_size)
    except OSError:
        return size


def _piece(remote: RemoteFile) -> int:
    return PIECE if remote.md5 else CHECKED_PIECE


def _part_path(path: Path, remote: RemoteFile, length: int) -> Path:
    state = hashlib.sha256(f"{remote.etag}/{remote.size}/{length}".encode()).hexdigest()[:8]
    return path.with_name(f"{part_stem(path.name)}.{state}{PART}")


def part_stem(name: str) -> str:
    """Return how names of partial files begin: short, because the file's own name may be as long as is allowed."""
    return f".{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _get(http: HttpClient, remote: RemoteFile, headers: dict[str, str], accept: tuple[int, ...] = ()) -> Response:
    try:
        return http.send("GET", remote.url(), headers=headers, accept=accept)
    except ErrorResponse as error:
        if error.status != EXPIRED or remote.renew is None:
            raise
    remote.renew()
    return http.send("GET", remote.url(), headers=headers, accept=accept)


def _known(remote: RemoteFile, response: Response) -> RemoteFile:
    """Return the file with what the storage's response to the first range says of it."""
    headers = response.headers
    _, _, total = headers.get("content-range", "").rpartition("/")
    size = int(total) if total.isdigit() else len(response.body)
    # Of a range, Content-MD5 is the MD5 of the range.
    md5 = headers.get("x-ms-blob-content-md5") or (headers.get("content-md5") if response.status == 200 else None)
    return replace(
        remote,
        size=size,
        etag=headers.get("etag", "").strip('"'),
        md5=md5 or remote.md5,
        modified=http_seconds(headers.get("last-modified", "")),
    )


def _check_piece(response: Response, length: int, *, with_md5: bool) -> None:
    if len(response.body) != length:
        raise ConnectionBroken(f"got {len(response.body)} bytes, expected {length}")
    md5 = response.headers.get("content-md5") if with_md5 else None
    if md5 and md5 != md5_text(hashlib.md5(response.body, usedforsecurity=False)):
        raise CorruptData("MD5 mismatch: a piece differs from what the storage reports")


def _keep(remote: RemoteFile, path: Path, content: bytes) -> Fetched:
    md5 = md5_text(hashlib.md5(content, usedforsecurity=False))
    if len(content) != remote.size or (remote.md5 and remote.md5 != md5):
        raise CorruptData("size or MD5 mismatch: the file differs from what the storage reports")
    beside = path.with_name(f"{part_stem(path.name)}.{os.getpid()}{PART}")
    try:
        beside.write_bytes(content)
        return _put_in_place(remote, beside, path, md5)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _put_in_place(remote: RemoteFile, beside: Path, path: Path, md5: str) -> Fetched:
    """Give the file its name, and the blob's own time, from which a change made here differs."""
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
