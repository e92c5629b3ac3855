"""Write the files of an export, and leave files alone that were written or changed by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.errors import FolderTaken

# What the last export has written: file -> SHA-256 of its lines. Commit it with the files.
MANIFEST = ".aml-export.json"


@dataclass(frozen=True)
class Changes:
    """Names of files: written, unchanged and removed."""

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def write(folder: Path, texts: Mapping[str, str], *, force: bool = False) -> Changes:
    """Write the files that have changed, and remove those that an earlier export wrote and this one does not.

    Raises `FolderTaken` before anything is written if files are not as an export has left them; `force` overwrites
    them.
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
            f"{folder} contains {', '.join(names)}, which no export has written, or which was changed by hand. "
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
    """With Unix line endings, even if a checkout has converted them."""
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else None
    except UnicodeDecodeError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
