"""`PipelineWrapper.to_v2` and `aml export`: everything that an export writes, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.computes import Cluster
from azureml_wrapper.config.parameters import PLACEHOLDER
from azureml_wrapper.environments import Packages
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.snapshot import check_script
from azureml_wrapper.v2.export import documents, secrets
from azureml_wrapper.v2.export.choices import REFUSE, Choices, cluster_of, packages_of, schedule_of
from azureml_wrapper.v2.export.files import Changes, write
from azureml_wrapper.v2.export.notes import Note, by_hand, taken
from azureml_wrapper.v2.export.report import REPORT, to_markdown
from azureml_wrapper.v2.export.scripts import Script, inspect, packages
from azureml_wrapper.v2.export.texts import to_json, to_yaml

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

CONFIG = "config.json"
STEPS_FILE = (
    "a pipeline configuration file is not exported to SDK v2: its cluster and its datastores are named by variables "
    "of the environment. Write the pipeline as a config (`aml init pipeline`), and export that."
)


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
    schedule: Mapping[str, Any] | None = None,
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
        has_start=bool(schedule and schedule.get("start_time") is not None),
        blob_change=blob_change,
        file_datasets=frozenset(file_datasets),
        shim=shim,
        name=name,
        experiment=experiment_name,
        parameters=parameters or {},
    )


def export(pipeline: PipelineWrapper, folder: Path, choices: Choices, *, force: bool = False) -> Export:
    """Write the files; `BadPipeline` for what must not or cannot be written, before anything is."""
    _check(pipeline, choices)
    folder = folder.resolve()
    scripts = _scripts(pipeline)
    texts = _texts(pipeline, folder, choices)
    hands, granted = tuple(by_hand(pipeline, choices)), tuple(taken(pipeline, choices, folder))
    texts[REPORT] = to_markdown(
        pipeline, by_hand=hands, taken=granted, scripts=scripts, files=list(texts), folder=folder
    )
    changes = write(folder, texts, force=force)
    return Export(folder=folder, changes=changes, by_hand=hands, taken=granted, scripts=tuple(scripts))


def job_text(pipeline: PipelineWrapper, folder: Path, choices: Choices) -> str:
    """The text of `pipeline.yml` alone, for a folder where it is to lie."""
    _check(pipeline, choices)
    return to_yaml(documents.pipeline_job(pipeline, choices, folder.resolve()))


def _texts(pipeline: PipelineWrapper, folder: Path, choices: Choices) -> dict[str, str]:
    texts = {documents.PIPELINE: to_yaml(documents.pipeline_job(pipeline, choices, folder))}
    for name in documents.environments_of(pipeline):
        wanted = choices.packages or Packages(dependencies=tuple(_imported(pipeline, name)))
        file = documents.file_of(documents.ENVIRONMENT, name, pipeline.env_name)
        texts[file] = to_yaml(documents.environment(name, wanted))
    for name in documents.computes_of(pipeline):
        file = documents.file_of(documents.COMPUTE, name, pipeline.compute_name)
        texts[file] = to_yaml(documents.compute(name, choices.cluster or Cluster()))
    if (schedule := documents.schedule(choices)) is not None:
        texts[documents.SCHEDULE] = to_yaml(schedule)
    return {**texts, CONFIG: to_json(documents.workspace(pipeline))}


def _imported(pipeline: PipelineWrapper, environment: str) -> list[str]:
    """What the scripts that run in an environment import."""
    steps = [step for step in pipeline.steps if (step.env_name or pipeline.env_name) == environment]
    found = (packages(inspect(step.script_directory, step.script_name), step.script_directory) for step in steps)
    return sorted({name for each in found for name in each}, key=str.lower)


def _scripts(pipeline: PipelineWrapper) -> list[Script]:
    found: dict[Path, Script] = {}
    for step in pipeline.steps:
        check_script(step.script_directory, step.script_name)
        found |= {script.file: script for script in inspect(step.script_directory, step.script_name)}
    return [found[file] for file in sorted(found)]


def _check(pipeline: PipelineWrapper, choices: Choices) -> None:
    unknown = choices.file_datasets - {name for step in pipeline.steps for name in step.input_datasets.values()}
    if unknown:
        raise BadPipeline(f"No step has the dataset {min(unknown)!r}, which was said to be one of files.")
    for step in pipeline.steps:
        for field, value in step.fields_with_parameters.items():
            where = f"Step {step.name!r}, {field}"
            if (text := _binding(value)) is not None:
                raise BadPipeline(
                    f"{where}: {text!r} has ${{{{ in it, which SDK v2 would put a value for. Change it."
                )
            for path, what in secrets.find(value, ""):
                raise BadPipeline(_refusal(f"{where}.{path}", what))
    for path, what in secrets.find(dict(pipeline.pipeline_parameters), "pipeline_parameters"):
        raise BadPipeline(_refusal(path, what))


def _refusal(where: str, what: str) -> str:
    return (
        f"{where} looks like {what}. What is exported is meant to be committed, so nothing is written. Keep it in "
        "the workspace's Key Vault, and let the script fetch it (azure.keyvault.secrets.SecretClient)."
    )


def _binding(value: Any) -> str | None:
    """A text with `${{` that is no parameter's place."""
    if isinstance(value, str):
        return value if "${{" in PLACEHOLDER.sub("", value) else None
    items = (
        [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    )
    return next((found for found in map(_binding, items) if found is not None), None)
