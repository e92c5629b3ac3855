"""`PipelineWrapper.to_v2` and `aml export`: what is asked for, and what was written.

Files that were written or changed by hand are left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import FolderTaken
from azureml_wrapper.pipelines.definition import Definition
from azureml_wrapper.publishing.schedule import Schedule
from azureml_wrapper.v2.export.content import REPORT, content_of, to_markdown
from azureml_wrapper.v2.export.context import REFUSE, Choices, ExportContext, cluster_of, packages_of, schedule_of
from azureml_wrapper.v2.export.documents import PIPELINE
from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.scripts import Script

# What the last export has written: file -> SHA-256 of its lines. Commit it with the files.
MANIFEST = ".aml-export.json"


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written where. Change what `by_hand` lists before you run it; check what `taken` lists."""

    folder: Path
    changes: Changes
    by_hand: tuple[Note, ...]
    taken: tuple[Note, ...]
    scripts: tuple[Script, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All YAML files of the export."""
        names = (*self.changes.written, *self.changes.unchanged)
        return tuple(sorted(self.folder / name for name in names if name.endswith(".yml")))


def choose(
    *,
    environment: Mapping[str, Any] | None = None,
    compute: Mapping[str, Any] | None = None,
    schedule: Schedule | Mapping[str, Any] | None = None,
    blob_change: str = REFUSE,
    file_datasets: Sequence[str] = (),
    shim: bool = True,
    name: str | None = None,
    experiment_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Choices:
    """The arguments of `PipelineWrapper.to_v2`, checked."""
    return Choices(
        packages=packages_of(environment),
        cluster=cluster_of(compute),
        schedule=schedule_of(schedule, blob_change),
        has_start=_has_start(schedule),
        blob_change=blob_change,
        file_datasets=frozenset(file_datasets),
        shim=shim,
        name=name,
        experiment=experiment_name,
        parameters=parameters or {},
    )


def _has_start(schedule: Schedule | Mapping[str, Any] | None) -> bool:
    start = schedule.get("start_time") if isinstance(schedule, Mapping) else schedule and schedule.start_time
    return start is not None


def export(definition: Definition, scope: Scope, folder: Path, choices: Choices, *, force: bool = False) -> Export:
    """Write the files; raises `BadPipeline` for what must not or cannot be written, before anything is."""
    context = context_of(definition, scope, folder, choices)
    content = content_of(context)
    texts = {**content.texts, REPORT: to_markdown(content, context)}
    return Export(
        folder=context.folder,
        changes=write(context.folder, texts, force=force),
        by_hand=content.by_hand,
        taken=content.taken,
        scripts=content.scripts,
    )


def pipeline_file(definition: Definition, scope: Scope, folder: Path, choices: Choices) -> Path:
    """Write pipeline.yml alone, to submit it from there."""
    context = context_of(definition, scope, folder, choices)
    file = context.folder / PIPELINE
    file.write_text(content_of(context).texts[PIPELINE], encoding="utf-8")
    return file


def context_of(definition: Definition, scope: Scope, folder: Path, choices: Choices) -> ExportContext:
    """What the writers of an export share."""
    return ExportContext(definition=definition, scope=scope, choices=choices, folder=folder.resolve())


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
