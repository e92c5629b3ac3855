"""`PipelineWrapper.to_v2` and `aml export`: what is asked for, and what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.pipeline_files.steps_pipeline import StepsPipeline
from azureml_wrapper.publishing.schedule import Schedule
from azureml_wrapper.v2.export import config, steps_file
from azureml_wrapper.v2.export.choices import REFUSE, Choices, cluster_of, packages_of, schedule_of
from azureml_wrapper.v2.export.content import Content
from azureml_wrapper.v2.export.files import Changes, write
from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.report import REPORT, to_markdown
from azureml_wrapper.v2.export.scripts import Script

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written where. `by_hand` has to be changed before it runs as before, `taken` should be looked at."""

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
    """What `PipelineWrapper.to_v2` is given, checked."""
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


def export(pipeline: PipelineWrapper, folder: Path, choices: Choices, *, force: bool = False) -> Export:
    """Write the files; `BadPipeline` for what must not or cannot be written, before anything is."""
    folder = folder.resolve()
    content = content_of(pipeline, folder, choices)
    texts = {**content.texts, REPORT: to_markdown(content, folder)}
    return Export(
        folder=folder,
        changes=write(folder, texts, force=force),
        by_hand=content.by_hand,
        taken=content.taken,
        scripts=content.scripts,
    )


def content_of(pipeline: PipelineWrapper, folder: Path, choices: Choices) -> Content:
    """What an export to a folder consists of, for a config and for a pipeline configuration file."""
    if isinstance(pipeline, StepsPipeline):
        return steps_file.content_of(pipeline, folder.resolve(), choices)
    return config.content_of(pipeline, folder.resolve(), choices)
