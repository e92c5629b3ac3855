"""`PipelineWrapper.to_v2` and `aml export`: what is asked for, and what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.connection.target import Scope
from azureml_wrapper.pipelines.definition import Definition
from azureml_wrapper.publishing.schedule import Schedule
from azureml_wrapper.v2.export.content import REPORT, content_of, to_markdown
from azureml_wrapper.v2.export.context import REFUSE, Choices, ExportContext, cluster_of, packages_of, schedule_of
from azureml_wrapper.v2.export.documents import PIPELINE
from azureml_wrapper.v2.export.files import Changes, write
from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.scripts import Script


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
