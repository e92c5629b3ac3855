"""REPORT.md: what was converted, what needs a hand, and what replaces SDK v1 in the scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_wrapper.v2.export.documents import COMPUTE, ENVIRONMENT, PIPELINE, SCHEDULE
from azureml_wrapper.v2.export.names import node_names
from azureml_wrapper.v2.export.nodes import relative
from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.scripts import Script

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

REPORT = "REPORT.md"
_COMMANDS = {
    ENVIRONMENT: "az ml environment create",
    COMPUTE: "az ml compute create",
    PIPELINE: "az ml job create",
    SCHEDULE: "az ml schedule create",
}


def to_markdown(
    pipeline: PipelineWrapper,
    *,
    by_hand: Sequence[Note],
    taken: Sequence[Note],
    scripts: Sequence[Script],
    files: Iterable[str],
    folder: Path,
) -> str:
    """The text of the report; it depends on the config and the scripts only."""
    sections = [
        ["# From SDK v1 to SDK v2", "", "Written by `aml export`, as are the files beside it."],
        ["## What was converted", "", *_converted(pipeline)],
        ["## What needs a hand", "", *(_listed(by_hand) or ["Nothing of the config. See the scripts below."])],
        ["## What was taken for granted", "", *(_listed(taken) or ["Nothing."])],
        ["## Scripts", "", *_scripts(scripts, folder)],
        ["## How it is used", "", "```bash", *_usage(files), "```"],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _converted(pipeline: PipelineWrapper) -> Iterator[str]:
    names = node_names(step.name for step in pipeline.steps)
    yield "| SDK v1 | SDK v2 |"
    yield "| --- | --- |"
    for step, wires in zip(pipeline.steps, pipeline._wires, strict=True):
        yield f"| step `{_cell(step.name)}`, {step.script_name} | job `{names[step.name]}` of {PIPELINE} |"
        for argument, producer in wires.inputs.items():
            yield f"| its `{_cell(argument)}` | the output `output_folder` of `{names[producer]}` |"
        if not step.allow_reuse:
            yield "| its `allow_reuse: false` | `component.is_deterministic: false` |"
    for name in (*pipeline.pipeline_parameters, *pipeline.path_parameters):
        yield f"| parameter `{name}` | input `{name}`: `az ml job create … --set inputs.{name}=…` |"
    yield f"| env_name `{_cell(pipeline.env_name)}` | `environment` of each job; {ENVIRONMENT} |"
    yield f"| compute_name `{_cell(pipeline.compute_name)}` | `settings.default_compute`; {COMPUTE} |"
    yield "| ws_name, resource_group, subscription_id | config.json |"


def _listed(notes: Iterable[Note]) -> list[str]:
    return [f"- **{note.what}**: {note.text}" for note in notes]


def _scripts(scripts: Sequence[Script], folder: Path) -> Iterator[str]:
    parts: dict[str, Script] = {relative(script.file, folder): script for script in scripts}
    with_uses: Mapping[str, Script] = {name: each for name, each in parts.items() if each.uses or each.problem}
    if not with_uses:
        yield "None uses `azureml.*`."
    for name, script in with_uses.items():
        yield f"### {name}\n"
        if script.problem:
            yield f"Look through it: {script.problem}.\n"
            continue
        yield "| line | uses | instead |\n| --- | --- | --- |"
        yield from (f"| {use.line} | `{_cell(use.what)}` | {_cell(use.instead)} |" for use in script.uses)
        yield ""


def _usage(files: Iterable[str]) -> Iterator[str]:
    there = list(files)
    for kind, command in _COMMANDS.items():
        stem = kind.removesuffix(".yml")
        for name in there:
            if name == kind or (name.startswith(f"{stem}-") and name.endswith(".yml")):
                yield f"{command} -f {name}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
