"""Folders of this machine: what is in them, and where in them a file may be put."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.errors import TransferFailed

# What a download is called before it is whole; never transferred itself.
PART = ".aml-part"
# Azure's limit (Microsoft Learn, "Naming and Referencing Containers, Blobs, and Metadata").
NAME_LIMIT = 1024
_CONTROL = re.compile("[\x00-\x1f]")


@dataclass(frozen=True)
class LocalFile:
    """A file as it was looked at. `path` is no Path: making thousands of them takes longer than reading a folder."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> LocalFile:
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass
class Scan:
    """The files of a folder, by their names relative to it, and what is left out, with the reason."""

    files: dict[str, LocalFile] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def ignored(self) -> list[str]:
        """What is left out, as texts."""
        return [f"{name}: {reason}" for name, reason in self.left_out.items()]

    def is_unknown(self, name: str) -> bool:
        """Whether a file may be here all the same: behind a broken link, as on a disk that is not mounted."""
        return any(place in self.left_out for place in (name, *(name[:at] for at in _slashes(name))))


def scan(folder: Path) -> Scan:
    """Every file below a folder. Linked files and folders count as what they point to.

    `TransferFailed` where a name cannot be one in the storage, or a folder cannot be read.
    """
    found = Scan()
    # Folders that are still to be read, each with those above it that were entered by a link.
    left: list[tuple[str, str, tuple[str, ...]]] = [(str(folder), "", (os.path.realpath(folder),))]
    try:
        while left:
            place, prefix, above = left.pop()
            inner = _read(place, prefix, above, found)
            left += reversed(inner)
    except OSError as error:
        raise TransferFailed(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    for name in found.files:
        _check_sendable(name, folder)
    return found


def _read(place: str, prefix: str, above: tuple[str, ...], found: Scan) -> list[tuple[str, str, tuple[str, ...]]]:
    """Note the files of one folder; the folders in it."""
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
        raise TransferFailed(f"A file of {folder} has a name that is no UTF-8: {shown!r}. Rename it.") from None
    if len(name) > NAME_LIMIT:
        raise TransferFailed(f"{name[:60]!r}… has {len(name)} characters; the storage takes {NAME_LIMIT}.")
    if _CONTROL.search(name):
        raise TransferFailed(f"{name!r} has control characters in its name; the storage does not take it. Rename it.")


def safe_names(names: Iterable[str], sizes: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(name, reason) of those that mark folders; `TransferFailed` for names that cannot be files of one folder.

    Nobody can write outside a folder by the name of a blob: `..`, an absolute path, a drive letter.
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
                f"{name!r} is a file, and a folder with files, in the storage; here it can be only one."
            )
        _check_writable(name)
        other = seen.setdefault(_folded(name), name)
        if other != name:
            raise TransferFailed(f"{other!r} and {name!r} are one and the same file name here. Rename one of them.")


def linked_folder(folder: Path, name: str) -> str:
    """The first linked folder on the way from a folder to a file in it; empty where there is none."""
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
            f"{longest[:60]!r}… is too long for a file name: {len(longest.encode())} bytes, not 255."
        )


def _folded(name: str) -> str:
    """Names that are the same to the file system of Windows and, mostly, of macOS."""
    return name.casefold() if sys.platform in ("win32", "darwin") else name


class Places:
    """Where files are put below a folder; each sub folder is looked at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._inside = folder.resolve()
        self._made: set[Path] = set()

    def of(self, name: str) -> Path:
        """The path of a file, its own folder made; `TransferFailed` where a link leads out of the folder."""
        path = self.folder / name
        if path.parent not in self._made:
            if not path.parent.resolve().is_relative_to(self._inside):
                raise TransferFailed(
                    f"{path.parent} is a link that leads out of {self.folder}; {name!r} is not written there."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path
