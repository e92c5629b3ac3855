"""A container as a folder: blob names become paths, and paths blob names, in Azure's order."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from azureml_wrapper.local.domain.storage import CONTENT_SUFFIX, InvalidName, check_blob_name, is_segment

# A name and its file; None for a folder (the name then ends with "/").
Entry = tuple[str, "os.DirEntry[str] | None"]


class ContainerFolder:
    """The folder of one container.

    "a" and "a/b" can both be blobs: where `a` is a folder, the blob's content lies beside it in `a.__blob__`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = os.path.realpath(path)

    def file(self, name: str) -> Path:
        """Where the blob's content is, or would be; `InvalidName` for names that leave the container."""
        check_blob_name(name)
        path = self.path / name
        self._check_inside(path)
        mode = _mode(path)
        beside = path.with_name(path.name + CONTENT_SUFFIX)
        if mode is not None and not stat.S_ISDIR(mode):
            return path
        if mode is None and _mode(beside) is None:
            return path
        self._check_inside(beside)
        return beside

    def folder(self, prefix: str) -> Path:
        """The folder of all blobs whose name begins with `prefix` + "/"; not made."""
        prefix = prefix.strip("/")
        if not prefix:
            return self.path
        check_blob_name(prefix)
        path = self.path / prefix
        self._check_inside(path)
        return path

    def make_folder(self, prefix: str) -> Path:
        """As `folder`, and make it; blobs that stand in the way of a folder move beside it."""
        path = self.folder(prefix)
        for step in reversed((path, *path.parents[: len(path.parts) - len(self.path.parts) - 1])):
            if os.path.lexists(step) and not step.is_dir():
                step.rename(step.with_name(step.name + CONTENT_SUFFIX))
        path.mkdir(parents=True, exist_ok=True)
        return path

    def make_room(self, name: str) -> Path:
        """The file to write the blob to, with its folder made."""
        parent, _, _ = name.rpartition("/")
        check_blob_name(name)
        self.make_folder(parent)
        # A folder that lost all its blobs is none any more.
        with suppress(OSError):
            (self.path / name).rmdir()
        return self.file(name)

    def remove(self, name: str) -> None:
        """Remove the blob's content. Folders stay: a running script may write to them."""
        path = self.file(name)
        path.unlink(missing_ok=True)
        path.with_name(path.name.removesuffix(CONTENT_SUFFIX) + CONTENT_SUFFIX).unlink(missing_ok=True)

    def walk(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        """Every blob whose name begins with `prefix` and comes after `after`, in order of names.

        Folders are read one at a time, when the walk comes to them; those before `after` are not read at all.
        """
        base, start = _split(prefix)
        return self._walk(base, start, after)

    def level(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        """One level of names, as a listing with the delimiter "/" shows them; folders may be empty."""
        base, start = _split(prefix)
        for key, entry in self._entries(base, after):
            if key.startswith(start) and base + key > after:
                yield base + key, None if key.endswith("/") else entry

    def has_blobs(self, folder: str) -> bool:
        """Whether there is any blob below `folder`, which ends with "/"."""
        return next(self._walk(folder, "", ""), None) is not None

    def _walk(self, base: str, start: str, after: str) -> Iterator[Entry]:
        for key, entry in self._entries(base, after):
            name = base + key
            if not key.startswith(start):
                continue
            if not key.endswith("/"):
                if name > after:
                    yield name, entry
            elif after.startswith(name):
                yield from self._walk(name, "", after)
            elif name > after:
                yield from self._walk(name, "", "")

    def _entries(self, base: str, after: str) -> list[tuple[str, os.DirEntry[str]]]:
        """A folder's names in Azure's order: a folder sorts as "name/", so that "a-b" comes before "a/b".

        Most names that come before `after` are left out unseen: each page reads its folder anew.
        """
        found: dict[str, os.DirEntry[str]] = {}
        marker = after.removeprefix(base) if after.startswith(base) else ""
        if base.startswith("/"):
            return []
        with suppress(FileNotFoundError, NotADirectoryError, InvalidName), os.scandir(self.folder(base)) as entries:
            for entry in entries:
                if entry.name < marker and not marker.startswith(entry.name):
                    continue
                key = self._key(entry)
                if key and entry.name.endswith(CONTENT_SUFFIX):
                    found.setdefault(key, entry)
                elif key:
                    found[key] = entry
        return sorted(found.items(), key=lambda item: item[0])

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
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real + os.sep)

    def _check_inside(self, path: Path) -> None:
        if not self._is_inside(path):
            inside = path.relative_to(self.path)
            raise InvalidName(f"{inside} is a link that leads out of its container.")


def _split(prefix: str) -> tuple[str, str]:
    base, slash, start = prefix.rpartition("/")
    return base + slash, start


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except OSError as error:
        # A name of 255 bytes has no room for the suffix, and so nothing beside it.
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        return None
