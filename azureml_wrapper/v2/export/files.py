"""Writes what belongs to an export, and only that: what somebody else has written or changed stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.errors import FolderTaken

# What the last export has written: file -> SHA-256 of its lines. It is to be committed with the files.
MANIFEST = ".aml-export.json"


@dataclass(frozen=True)
class Changes:
    """Names of files: written new or again, left as they were, and taken away."""

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def write(folder: Path, texts: Mapping[str, str], *, force: bool = False) -> Changes:
    """Write the files that have changed, and take away those that an earlier export wrote and this one does not.

    `FolderTaken` names files that are not as an export has left them, before anything is written; `force` writes
    them all the same.
    """
    known = _manifest(folder)
    there = {name: _content(folder / name) for name in {*texts, *known}}
    changed = [name for name, text in texts.items() if there[name] != text]
    gone = [name for name in known if name not in texts and there[name] is not None]
    if not force:
        _check(folder, [name for name in (*changed, *gone) if not _is_ours(there[name], known.get(name))])
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        (folder / name).write_text(texts[name], encoding="utf-8", newline="\n")
    for name in gone:
        (folder / name).unlink()
    manifest = json.dumps({name: _hash(text) for name, text in sorted(texts.items())}, indent=2) + "\n"
    if _content(folder / MANIFEST) != manifest:
        (folder / MANIFEST).write_text(manifest, encoding="utf-8", newline="\n")
    return Changes(tuple(changed), tuple(name for name in texts if name not in changed), tuple(gone))


def _check(folder: Path, others: Iterable[str]) -> None:
    names = sorted(others)
    if names:
        raise FolderTaken(
            f"{folder} holds {', '.join(names)}, which no export has written, or which somebody has changed since. "
            "Export to another folder, or overwrite with --force (in Python: force=True)."
        )


def _is_ours(content: str | None, known: str | None) -> bool:
    return content is None or _hash(content) == known


def _manifest(folder: Path) -> dict[str, str]:
    text = _content(folder / MANIFEST)
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = {}
    return (
        {name: value for name, value in found.items() if Path(name).name == name} if isinstance(found, dict) else {}
    )


def _content(file: Path) -> str | None:
    """With the line ends of Unix, whatever a checkout has made of them."""
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else None
    except UnicodeDecodeError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
