"""Files on this machine: what a folder contains, their MD5s, and where in a folder a download may be put."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_wrapper.errors import TransferFailed

# The suffix of incomplete downloads, which are never uploaded.
PART = ".aml-part"
# Azure's limit (Microsoft Learn, "Naming and Referencing Containers, Blobs, and Metadata").
NAME_LIMIT = 1024
_CONTROL = re.compile("[\x00-\x1f]")


@dataclass(frozen=True)
class LocalFile:
    """A file and its state. `path` is a string: making thousands of Paths takes longer than reading a folder."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> LocalFile:
        """Return the file of a path and what `stat` says of it."""
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass
class Scan:
    """The files of a folder by their names relative to it, and what was left out, with the reasons."""

    files: dict[str, LocalFile] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def ignored(self) -> list[str]:
        """What was left out, as "name: reason"."""
        return [f"{name}: {reason}" for name, reason in self.left_out.items()]

    def is_unknown(self, name: str) -> bool:
        """Whether a file may exist although it was not found: behind a broken link, as to an unmounted disk."""
        return any(place in self.left_out for place in (name, *(name[:at] for at in _slashes(name))))


def scan(folder: Path) -> Scan:
    """Return every file below a folder. Links count as what they point to.

    Raises:
        TransferFailed: The storage does not allow a name, or a folder cannot be read.
    """
    found = Scan()
    # Folders still to read, each with the real paths of those above it that were entered by a link.
    left: list[tuple[str, str, tuple[str, ...]]] = [(str(folder), "", (os.path.realpath(folder),))]
    try:
        while left:
            place, prefix, above = left.pop()
            inner = _read(place, prefix, above, found)
            left += reversed(inner)
    except OSError as error:
        raise TransferFailed(f"Cannot read {error.filename or folder}: {error.strerror}.") from error
    for name in found.files:
        _check_sendable(name, folder)
    return found


def _read(place: str, prefix: str, above: tuple[str, ...], found: Scan) -> list[tuple[str, str, tuple[str, ...]]]:
    """Add the files of one folder to `found`, and return the folders in it."""
    with os.scandir(place) as opened:
        entries = sorted(opened, key=lambda entry: entry.name)
    inner = []
    for entry in entries:
        name = prefix + entry.name
        try:
            status = entry.stat()
        except OSError as error:
            found.left_out[name] = str(error.strerror)
            continue
        if stat.S_ISDIR(status.st_mode):
            inner += _enter(entry, name, above, found)
        elif not stat.S_ISREG(status.st_mode):
            found.left_out[name] = "neither a file nor a folder"
        elif not name.endswith(PART):
            found.files[name] = LocalFile.of(entry.path, status)
    return inner


def _enter(
    entry: os.DirEntry[str], name: str, above: tuple[str, ...], found: Scan
) -> list[tuple[str, str, tuple[str, ...]]]:
    if not entry.is_symlink():
        return [(entry.path, f"{name}/", above)]
    target = os.path.realpath(entry.path)
    if target in above or any(Path(each).is_relative_to(target) for each in above):
        found.left_out[name] = "a link to a folder above it"
        return []
    return [(entry.path, f"{name}/", (*above, target))]


def _check_sendable(name: str, folder: Path) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name)
        raise TransferFailed(f"A file of {folder} has a name that is not UTF-8: {shown!r}. Rename it.") from None
    if len(name) > NAME_LIMIT:
        raise TransferFailed(f"The name {name[:60]!r}… has {len(name)} characters; the storage allows {NAME_LIMIT}.")
    if _CONTROL.search(name):
        raise TransferFailed(
            f"The name {name!r} has control characters, which the storage does not allow. Rename it."
        )


def safe_names(names: Iterable[str], sizes: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Yield (name, reason) for the blobs that only mark a folder.

    Raises:
        TransferFailed: The names cannot all be files of one folder, or one leads out of it (`..`, an absolute path, a
            drive letter).
    """
    every = set(names)
    parents = {name[:at] for name in every for at in _slashes(name)}
    seen: dict[str, str] = {}
    for name in every:
        if sizes[name] == 0 and (name.endswith("/") or name in parents):
            yield name, "an empty blob that marks a folder"
            continue
        if name in parents:
            raise TransferFailed(
                f"In the storage, {name!r} is a file and also a folder; on this machine it can only be one of them."
            )
        _check_writable(name)
        other = seen.setdefault(_folded(name), name)
        if other != name:
            raise TransferFailed(
                f"{other!r} and {name!r} are the same file name on this machine. Rename one of them."
            )


def hash_file(file: LocalFile) -> str:
    """Return the MD5 of a file, in base64."""
    digest = hashlib.md5(usedforsecurity=False)
    with Path(file.path).open("rb") as opened:
        while content := opened.read(1024 * 1024):
            digest.update(content)
    return md5_text(digest)


def md5_text(digest: Any) -> str:
    """Return a hashlib digest as the storage writes it, in base64."""
    return base64.b64encode(digest.digest()).decode()


def linked_folder(folder: Path, name: str) -> str:
    """Return the first folder on the way from `folder` to its file `name` that is a link; empty if none is."""
    return next((name[:at] for at in _slashes(name) if (folder / name[:at]).is_symlink()), "")


def _slashes(name: str) -> Iterator[int]:
    at = name.find("/")
    while at >= 0:
        yield at
        at = name.find("/", at + 1)


def _check_writable(name: str) -> None:
    parts = name.split("/")
    bad = any(part in ("", ".", "..") for part in parts) or "\0" in name
    if bad or (os.sep == "\\" and ("\\" in name or ":" in name)):
        raise TransferFailed(f"{name!r} is not the name of a file below a folder; nothing was downloaded.")
    longest = max(parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > 255:
        raise TransferFailed(
            f"{longest[:60]!r}… is too long for a file name: {len(longest.encode())} bytes; at most 255 are allowed."
        )


def _folded(name: str) -> str:
    """The same for names that Windows and, mostly, macOS do not distinguish."""
    return name.casefold() if sys.platform in ("win32", "darwin") else name


class TargetFolder:
    """A folder into which files are downloaded; each folder below it is checked once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._inside = folder.resolve()
        self._made: set[Path] = set()

    def path(self, name: str) -> Path:
        """Return the path of a file, and create its folder; `TransferFailed` if a link leads out of `folder`."""
        path = self.folder / name
        if path.parent not in self._made:
            if not path.parent.resolve().is_relative_to(self._inside):
                raise TransferFailed(
                    f"{path.parent} is a link that leads out of {self.folder}; {name!r} was not written there."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path
