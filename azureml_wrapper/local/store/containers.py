"""A container as a folder: between blob names and paths, and listings in Azure's order."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path

from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.storage import CONTENT_SUFFIX, InvalidName, NoFileName, check_blob_name, is_segment
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobfiles import file_etag, file_time, folder_etag
from azureml_wrapper.local.store.foldernames import FolderNames, Names

# A name and the path of its file; None for a folder, whose name ends with "/".
Entry = tuple[str, str | None]


def missing_container(container: str) -> NotFound:
    """What is raised for a container that does not exist."""
    return NotFound(f"The container {container!r} does not exist.", code="ContainerNotFound")


class ContainerFolder:
    """The folder of one container.

    "a" and "a/b" can both be blobs. If `a` is a folder, the content of the blob "a" is beside it in `a.__blob__`.
    """

    def __init__(self, path: Path, names: FolderNames | None = None) -> None:
        self.path = path
        self._names = names or FolderNames()

    def version(self) -> tuple[str, datetime]:
        """ETag and time of the folder; raise `NotFound` if another client has just deleted it."""
        try:
            return folder_etag(self.path), file_time(self.path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise missing_container(self.path.name) from None

    def file(self, name: str) -> Path:
        """The file of the blob's content, existing or not; raise `InvalidName` for names outside the container."""
        check_blob_name(name)
        path = self.path / name
        self._check_inside(name)
        mode = _mode(path)
        if mode is not None and not stat.S_ISDIR(mode):
            return path
        beside = path.with_name(path.name + CONTENT_SUFFIX)
        if mode is None and _mode(beside) is None:
            return path
        self._check_inside(name + CONTENT_SUFFIX)
        return beside

    def folder(self, prefix: str) -> Path:
        """The folder of all blobs whose name starts with `prefix` + "/"; it may be missing."""
        prefix = prefix.strip("/")
        if not prefix:
            return self.path
        check_blob_name(prefix)
        self._check_inside(prefix)
        return self.path / prefix

    def make_folder(self, prefix: str) -> Path:
        """Like `folder`, and create it. A blob in the way of a folder is moved beside it."""
        path = self.folder(prefix)
        for step in reversed((path, *path.parents[: len(path.parts) - len(self.path.parts) - 1])):
            if os.path.lexists(step) and not step.is_dir():
                step.rename(step.with_name(step.name + CONTENT_SUFFIX))
                fault_point("blobs.moved-aside")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def make_room(self, name: str) -> Path:
        """The file to write the blob to; its folder is created."""
        parent, _, _ = name.rpartition("/")
        check_blob_name(name)
        self.make_folder(parent)
        # A folder without blobs does not exist in Azure.
        with suppress(OSError):
            (self.path / name).rmdir()
        return self.file(name)

    def remove(self, name: str) -> Path:
        """Delete the blob's content. Returns its file. Folders stay, because a running script may write to them."""
        path = self.file(name)
        path.unlink(missing_ok=True)
        path.with_name(path.name.removesuffix(CONTENT_SUFFIX) + CONTENT_SUFFIX).unlink(missing_ok=True)
        return path

    def walk(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        """Every blob whose name starts with `prefix` and comes after `after`, sorted by name.

        A folder is read when the walk reaches it; folders before `after` are not read at all.
        """
        base, start = _split(prefix)
        return self._walk(base, start, after)

    def etags(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Name and ETag of every blob whose name starts with `prefix`, sorted by name."""
        for name, path in self.walk(prefix):
            if (etag := _etag(path)) is not None:
                yield name, etag

    def etag(self, name: str) -> str | None:
        """The ETag of a blob; None if it is missing, or a folder."""
        with suppress(NoFileName):
            return _etag(self.file(name))
        return None

    def level(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        """One level of names, as a listing with the delimiter "/" shows it; folders may be empty."""
        base, start = _split(prefix)
        for key, path in self._entries(base, start, after):
            if base + key > after:
                yield base + key, path

    def has_blobs(self, folder: str) -> bool:
        """Whether `folder`, which ends with "/", contains a blob."""
        with suppress(FileNotFoundError, NotADirectoryError, InvalidName), os.scandir(self.folder(folder)) as entries:
            for entry in entries:
                key = self._key(entry)
                if key and (not key.endswith("/") or self.has_blobs(folder + key)):
                    return True
        return False

    def _walk(self, base: str, start: str, after: str) -> Iterator[Entry]:
        for key, path in self._entries(base, start, after):
            name = base + key
            if path is not None:
                if name > after:
                    yield name, path
            elif after.startswith(name):
                yield from self._walk(name, "", after)
            elif name > after:
                yield from self._walk(name, "", "")

    def _entries(self, base: str, start: str, after: str) -> Iterator[Entry]:
        """A folder's names from a marker on, in Azure's order: folders sort as "name/", so "a-b" is before "a/b"."""
        if base.startswith("/"):
            return
        try:
            folder = str(self.folder(base))
            names = self._names.of(folder, Path(folder).stat().st_mtime_ns, lambda: self._read(folder))
        except (FileNotFoundError, NotADirectoryError, InvalidName):
            return
        for key in names.between(start, after.removeprefix(base) if after.startswith(base) else ""):
            suffix = CONTENT_SUFFIX if key in names.beside else ""
            yield key, None if key.endswith("/") else f"{folder}/{key}{suffix}"
        self._names.forget(folder)

    def _read(self, folder: str) -> tuple[Names, bool]:
        """A folder's names, and whether they may be kept: the file behind a symbolic link may change its kind."""
        plain, beside, has_links = [], set(), False
        with os.scandir(folder) as entries:
            for entry in entries:
                has_links = has_links or entry.is_symlink()
                key = self._key(entry)
                if key and entry.name.endswith(CONTENT_SUFFIX):
                    beside.add(key)
                elif key:
                    plain.append(key)
        beside.difference_update(plain)
        return Names(sorted([*plain, *beside]), frozenset(beside)), not has_links

    def _key(self, entry: os.DirEntry[str]) -> str | None:
        name = entry.name.removesuffix(CONTENT_SUFFIX)
        if not is_segment(name):
            return None
        if entry.is_dir(follow_symlinks=False):
            return name + "/"
        if entry.is_symlink() and not self._is_inside(entry.path):
            return None
        return name if entry.is_file() else None

    def _is_inside(self, path: str | Path) -> bool:
        real, base = os.path.realpath(path), os.path.realpath(self.path)
        return real == base or real.startswith(base + os.sep)

    def _check_inside(self, name: str) -> None:
        """Raise `InvalidName` if a link leads out of the container; `realpath` is slow, and rarely needed."""
        if self._has_link(name) and not self._is_inside(self.path / name):
            raise InvalidName(f"{name} is a symbolic link that leads outside its container.")

    def _has_link(self, name: str) -> bool:
        step = str(self.path)
        for part in name.split("/"):
            step = f"{step}{os.sep}{part}"
            try:
                mode = os.lstat(step).st_mode
            except OSError:
                # Nothing is below what does not exist; a name that is too long cannot be a link.
                return False
            if stat.S_ISLNK(mode):
                return True
        return False


def grouped(entries: Iterator[Entry], prefix: str, delimiter: str, marker: str) -> Iterator[Entry]:
    """Entries; those with the same part up to the delimiter become one."""

    def group(item: Entry) -> str:
        end = item[0].find(delimiter, len(prefix))
        return item[0] if end < 0 else item[0][: end + len(delimiter)]

    for name, members in groupby(entries, group):
        first, entry = next(members)
        if name > marker:
            yield name, entry if name == first and not name.endswith(delimiter) else None


def _split(prefix: str) -> tuple[str, str]:
    base, slash, start = prefix.rpartition("/")
    return base + slash, start


def _etag(path: Path | str | None) -> str | None:
    try:
        status = os.stat(path) if path else None  # noqa: PTH116 - for each file of a step's data
    except (FileNotFoundError, NotADirectoryError):
        return None
    return file_etag(status) if status and stat.S_ISREG(status.st_mode) else None


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except OSError as error:
        # A name of 255 bytes leaves no room for the suffix, so nothing can be beside it.
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        return None
