"""The two sources of a blob's properties: its file, and the notes of what clients said about it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.clock import stored_time
from azureml_wrapper.local.domain.storage import Blob, Prefix
from azureml_wrapper.local.store.database import Database, Row, dump, load

SCHEMA = """
CREATE TABLE IF NOT EXISTS blob_notes (
    account   TEXT NOT NULL,
    container TEXT NOT NULL,
    name      TEXT NOT NULL,
    etag      TEXT NOT NULL,
    created   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (account, container, name, etag)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob_changes (
    account   TEXT NOT NULL,
    container TEXT NOT NULL,
    name      TEXT NOT NULL,
    created   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (account, container, name)
) WITHOUT ROWID;
"""
_NAMES_PER_QUERY = 500
COPY_CHUNK = 1024 * 1024
# Without hard links at all, between these two folders, to this file, or any more of them.
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV, errno.EMLINK)


def blob_of(name: str, status: os.stat_result) -> Blob:
    return Blob(name=name, created=file_time(status.st_mtime_ns), **own_properties(status))


def own_properties(status: os.stat_result) -> dict[str, Any]:
    """The properties that a blob takes from its file."""
    return {"size": status.st_size, "etag": file_etag(status), "modified": file_time(status.st_mtime_ns)}


def file_etag(status: os.stat_result) -> str:
    """Changes whenever the file changes; survives a rename."""
    seed = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}".encode()
    return "0x" + hashlib.blake2b(seed, digest_size=8).hexdigest().upper()


def folder_etag(folder: Path) -> str:
    """From the inode alone, because a folder's times change with every file in it."""
    return f"0x{folder.stat().st_ino:016X}"


def file_time(nanoseconds: int) -> datetime:
    return _instant(nanoseconds // 1_000_000_000)


@lru_cache(4096)
def _instant(seconds: int) -> datetime:
    """Cached, because a page of a listing needs thousands, and files that arrived together share a second."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file. On file systems that can (btrfs, XFS), both share their blocks until one of them is changed."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (done := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= done
        except OSError:
            # Across file systems, or not supported by this one. If the disk is full, this fails as well.
            shutil.copyfile(source, target)


def append_bytes(descriptor: int, data: bytes | Path) -> None:
    """Write bytes, or a file's content, to the end of an open file."""
    if isinstance(data, bytes):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        return
    with data.open("rb") as source:
        while chunk := source.read(COPY_CHUNK):
            append_bytes(descriptor, chunk)


def discard(path: Path) -> None:
    """Delete a file, or a folder with everything in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def item_of(name: str, path: str | None) -> Blob | Prefix | None:
    """An item of a listing: a blob, or a prefix if it has no path; None for a file that is gone."""
    if path is None:
        return Prefix(name=name)
    try:
        return blob_of(name, Path(path).stat())
    except FileNotFoundError:  # deleted since the folder was read
        return None


def adopt(source: Path, folder: Path) -> Path:
    """The source, or a copy in `folder` if it is on another file system and cannot be renamed into place."""
    if source.stat().st_dev == folder.stat().st_dev:
        return source
    inside = folder / uuid.uuid4().hex
    try:
        shutil.move(source, inside)
    except BaseException:
        inside.unlink(missing_ok=True)
        raise
    return inside


def link_file(source: Path, target: Path) -> bool:
    """Give a file a second name. Returns False if the file system has no hard links: then it is copied."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        copy_file(source, target)
        return False
    return True


def set_time(path: Path, time: datetime) -> os.stat_result:
    """Set when a file was changed; on some shares, to the current time."""
    nanoseconds = int(time.timestamp() * 1_000_000) * 1000
    try:
        os.utime(path, ns=(nanoseconds, nanoseconds))
    except PermissionError:
        # Only its owner may choose a time, and there that is another user for all files.
        os.utime(path)
    return path.stat()


# From an account, a container and a name; None for a blob that is gone.
FindEtag = Callable[[str, str, str], str | None]


class BlobNotes:
    """What clients said about blobs: content headers, metadata, blocks. A note holds for one ETag of a blob only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(self, account: str, container: str, blob: Blob) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO blob_notes (account, container, name, etag, created, body)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (account, container, blob.name, blob.etag, blob.created.isoformat(), _body(blob)),
        )

    @contextmanager
    def changing(self, account: str, container: str, blob: Blob, etag: FindEtag) -> Iterator[None]:
        """Note what a blob will have before its file changes in place; `finish` follows inside.

        The new ETag is known only after the change, and a kill between both must not lose the note.
        """
        self._database.execute(
            "INSERT OR REPLACE INTO blob_changes (account, container, name, created, body) VALUES (?, ?, ?, ?, ?)",
            (account, container, blob.name, blob.created.isoformat(), _body(blob)),
        )
        try:
            yield
        except OSError:
            self._complete((account, container, blob.name), etag)
            raise

    def finish(self, account: str, container: str, blob: Blob) -> None:
        """The change is done: this is the blob's only note."""
        with self._database.transaction():
            self.add(account, container, blob)
            self.forget(account, container, blob.name, but=blob.etag)
            self._end_change((account, container, blob.name))

    def complete_all(self, etag: FindEtag) -> None:
        """Give what a kill interrupted to the blobs as they are now; `etag` finds theirs."""
        for row in self._database.all("SELECT account, container, name FROM blob_changes"):
            self._complete((row["account"], row["container"], row["name"]), etag)

    def _complete(self, key: tuple[str, str, str], etag: FindEtag) -> None:
        found = etag(*key)
        with self._database.transaction():
            if found is not None:
                # A file that was not changed has its note already.
                self._database.execute(
                    "INSERT OR IGNORE INTO blob_notes (account, container, name, etag, created, body)"
                    " SELECT account, container, name, ?, created, body FROM blob_changes"
                    " WHERE account = ? AND container = ? AND name = ?",
                    (found, *key),
                )
            self._end_change(key)

    def _end_change(self, key: tuple[str, str, str]) -> None:
        self._database.execute("DELETE FROM blob_changes WHERE account = ? AND container = ? AND name = ?", key)

    def forget(self, account: str, container: str, name: str, *, but: str = "") -> None:
        """Delete the blob's notes for all ETags except `but`."""
        self._database.execute(
            "DELETE FROM blob_notes WHERE account = ? AND container = ? AND name = ? AND etag <> ?",
            (account, container, name, but),
        )

    def forget_container(self, account: str, container: str) -> None:
        for table in ("blob_notes", "blob_changes"):
            self._database.execute(
                f"DELETE FROM {table} WHERE account = ? AND container = ?",  # noqa: S608
                (account, container),
            )

    def fill(self, account: str, container: str, blobs: Sequence[Blob]) -> list[Blob]:
        """The blobs, completed by their notes."""
        notes: dict[tuple[str, str], Row] = {}
        for start in range(0, len(blobs), _NAMES_PER_QUERY):
            rows = self._rows(account, container, [blob.name for blob in blobs[start : start + _NAMES_PER_QUERY]])
            notes.update({(row["name"], row["etag"]): row for row in rows})
        return [_noted(blob, notes.get((blob.name, blob.etag))) for blob in blobs]

    def _rows(self, account: str, container: str, names: Sequence[str]) -> Iterable[Row]:
        marks = ", ".join("?" * len(names))
        return self._database.all(
            f"SELECT * FROM blob_notes WHERE account = ? AND container = ? AND name IN ({marks})",  # noqa: S608
            (account, container, *names),
        )


def _body(blob: Blob) -> str:
    return dump(
        {
            "headers": dict(blob.headers),
            "metadata": dict(blob.metadata),
            "md5": blob.md5,
            "kind": blob.kind,
            "blocks": blob.blocks,
        }
    )


def _noted(blob: Blob, note: Row | None) -> Blob:
    if note is None:
        return blob
    body = load(note["body"])
    return replace(
        blob,
        created=stored_time(note["created"]),
        headers=body["headers"],
        metadata=body["metadata"],
        md5=body["md5"],
        kind=body["kind"],
        blocks=tuple((block, size) for block, size in body["blocks"]),
    )
