"""The config of a `PipelineWrapper` as the content of an export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.config.parameters import PLACEHOLDER
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.snapshots.script_folder import check_script
from azureml_wrapper.v2.export import documents, secrets
from azureml_wrapper.v2.export.choices import Choices
from azureml_wrapper.v2.export.content import CONFIG, Content
from azureml_wrapper.v2.export.names import node_names
from azureml_wrapper.v2.export.nodes import OUTPUT
from azureml_wrapper.v2.export.notes import by_hand, taken
from azureml_wrapper.v2.export.scripts import Script, inspect, packages
from azureml_wrapper.v2.export.texts import to_json, to_yaml

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper


def content_of(pipeline: PipelineWrapper, folder: Path, choices: Choices) -> Content:
    """The content for a folder where it will lie; `BadPipeline` for what must not or cannot be written."""
    _check(pipeline, choices)
    return Content(
        texts=_texts(pipeline, folder, choices),
        converted=tuple(_converted(pipeline)),
        by_hand=tuple(by_hand(pipeline, choices)),
        taken=tuple(taken(pipeline, choices, folder)),
        scripts=tuple(_scripts(pipeline)),
    )


def _texts(pipeline: PipelineWrapper, folder: Path, choices: Choices) -> dict[str, str]:
    texts = {documents.PIPELINE: to_yaml(documents.pipeline_job(pipeline, choices, folder))}
    for name in documents.environments_of(pipeline):
        wanted = choices.packages or Packages(dependencies=tuple(_imported(pipeline, name)))
        file = documents.file_of(documents.ENVIRONMENT, name, pipeline.env_name)
        texts[file] = to_yaml(documents.environment(name, wanted))
    for name in documents.computes_of(pipeline):
        file = documents.file_of(documents.COMPUTE, name, pipeline.compute_name)
        texts[file] = to_yaml(documents.compute(name, choices.cluster_upon(Cluster())))
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
        for field, value in step._fields_with_parameters.items():
            where = f"Step {step.name!r}, {field}"
            if (text := _binding(value)) is not None:
                raise BadPipeline(
                    f"{where}: {text!r} has ${{{{ in it, which SDK v2 would put a value for. Change it."
                )
            for path, what in secrets.find(value, ""):
                raise BadPipeline(secrets.refusal(f"{where}.{path}", what))
    for path, what in secrets.find(dict(pipeline.pipeline_parameters), "pipeline_parameters"):
        raise BadPipeline(secrets.refusal(path, what))


def _binding(value: Any) -> str | None:
    """A text with `${{` that is no parameter's place."""
    if isinstance(value, str):
        return value if "${{" in PLACEHOLDER.sub("", value) else None
    items = (
        [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    )
    return next((found for found in map(_binding, items) if found is not None), None)


def _converted(pipeline: PipelineWrapper) -> Iterator[tuple[str, str]]:
    names = node_names(step.name for step in pipeline.steps)
    for step, wires in zip(pipeline.steps, pipeline._wires, strict=True):
        yield f"step `{step.name}`, {step.script_name}", f"job `{names[step.name]}` of {documents.PIPELINE}"
        for argument, producer in wires.inputs.items():
            yield f"its `{argument}`", f"the output `{OUTPUT}` of `{names[producer]}`"
        if not step.allow_reuse:
            yield "its `allow_reuse: false`", "`component.is_deterministic: false`"
    for name in (*pipeline.pipeline_parameters, *pipeline.path_parameters):
        yield f"parameter `{name}`", f"input `{name}`: `az ml job create … --set inputs.{name}=…`"
    yield f"env_name `{pipeline.env_name}`", f"`environment` of each job; {documents.ENVIRONMENT}"
    yield f"compute_name `{pipeline.compute_name}`", f"`settings.default_compute`; {documents.COMPUTE}"
    yield "ws_name, resource_group, subscription_id", CONFIG
