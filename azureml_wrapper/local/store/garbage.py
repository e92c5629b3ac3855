"""What a home keeps that nothing needs any more: `aml local prune`. The service must have stopped.

docs/reliability.md has the rule of each kind. Deleted is only what is made again when it is needed, what was never
finished, and copies; never a run, an asset or their files.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.home import UNSYNCED, Home
from azureml_wrapper.local.store.database import faults
from azureml_wrapper.local.store.migrations import copies


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """A file or folder to delete: what it is, what that frees in bytes, and when it was last used (seconds)."""

    kind: str
    path: Path
    size: int
    used: float


def find(home: Home, before: float) -> list[Garbage]:
    """What was last used before a time, in seconds since 1970; the oldest first.

    Raises:
        Damaged: The database cannot be read.
    """
    found = [_garbage(kind, path) for kind, paths in _KINDS.items() for path in paths(home)]
    return sorted((item for item in found if item.used < before), key=lambda item: item.used)


def chosen(found: list[Garbage], size: int, limit: int | None) -> list[Garbage]:
    """The oldest that bring a home of `size` bytes down to `limit`; all without a limit."""
    if limit is None:
        return found
    picked = []
    for item in found:
        if size <= limit:
            break
        picked.append(item)
        size -= item.size
    return picked


def delete(path: Path) -> None:
    """Delete a file or a folder, also one with folders that their owner may not write to.

    Raises:
        OSError: It could not be deleted.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        _open(path)
        shutil.rmtree(path)


def _open(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    with os.scandir(folder) as entries:
        below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for each in below:
        _open(each)


def _environments(home: Home) -> Iterator[Path]:
    yield from (path for path in _entries(home.environments) if path.is_dir())


def _snapshot_files(home: Home) -> Iterator[Path]:
    """Contents that no snapshot has: of deleted workspaces, and of uploads that were not finished."""
    stored = [path for path in home.snapshots.glob("[0-9a-f][0-9a-f]/*") if path.is_file()]
    used = _used_contents(home.database) if stored else set()
    yield from (path for path in stored if path.name not in used)


def _used_contents(database: Path) -> set[str]:
    with faults(str(database)), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT files FROM snapshots")
        return {entry[0] for (files,) in rows for entry in json.loads(files).values()}


def _unfinished(home: Home) -> Iterator[Path]:
    for folder in (home.incoming, home.blobs / ".incoming", home.blobs / ".blocks", home.snapshots / ".incoming"):
        yield from _entries(folder)


def _certificates(home: Home) -> Iterator[Path]:
    """Trusted certificates of earlier starts; the next start writes the current ones again."""
    yield from home.tls.glob("trust-*")


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


_KINDS: dict[str, Callable[[Home], Iterator[Path]]] = {
    "environments": _environments,
    "snapshot files": _snapshot_files,
    "job folders": lambda home: iter(_entries(home.jobs)),
    "unfinished uploads": _unfinished,
    "copies of the database": lambda home: iter(copies(home.database)),
    "old logs": lambda home: home.path.glob("service.log.*"),
    "certificates": _certificates,
    "put aside": lambda home: iter(_entries(home.path / UNSYNCED)),
}


def _garbage(kind: str, path: Path) -> Garbage:
    size, used = 0, path.lstat().st_mtime
    for file in _files(path):
        with suppress(FileNotFoundError):
            status = file.lstat()
            # Other names of the file keep its bytes: uv links files of its cache into environments.
            size += status.st_size if status.st_nlink == 1 else 0
    ready = path / "ready"
    if kind == "environments" and ready.exists():
        used = ready.stat().st_mtime
    return Garbage(kind=kind, path=path, size=size, used=used)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        yield path
        return
    for place, _, names in os.walk(path):
        yield from (Path(place, name) for name in names)
