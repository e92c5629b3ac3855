"""A step as a node of `pipeline.yml`: the same command line, with SDK v2's inputs and outputs in it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.pipelines.wiring import OUTPUT_ARGUMENT, Wires
from azureml_wrapper.v2.bindings import Binding
from azureml_wrapper.v2.export.choices import Choices
from azureml_wrapper.v2.export.names import free
from azureml_wrapper.v2.export.quoting import quote_argument, quote_json
from azureml_wrapper.v2.export.texts import BREAK, Command

if TYPE_CHECKING:
    from azureml_wrapper.config.models import PathInput
    from azureml_wrapper.pipeline import PipelineWrapper
    from azureml_wrapper.step import PipelineStep

OUTPUT = "output_folder"
TABLE, FOLDER, FILE = "mltable", "uri_folder", "uri_file"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the nodes of a pipeline share. `inputs` maps parameters and datasets to the pipeline's inputs."""

    pipeline: PipelineWrapper
    choices: Choices
    folder: Path
    nodes: Mapping[str, str]
    inputs: Mapping[tuple[str, str], str]

    @property
    def defaults(self) -> Mapping[str, Parameter]:
        return self.pipeline.pipeline_parameters


@dataclass
class _Inputs:
    """The inputs of one node."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, wanted: str, value: Any) -> Binding:
        name = free(wanted, self.values)
        self.values[name] = value
        return Binding("input", name)


def node_of(step: PipelineStep, wires: Wires, around: Surroundings) -> dict[str, Any]:
    """The node; one whose step is not to be reused is a component, for there alone SDK v2 takes this."""
    inputs = _Inputs()
    lines = [f"python {shlex.quote(step.script_name)}", *_arguments(step, wires, inputs, around)]
    shim = _shim(step, inputs, around)
    parts: dict[str, Any] = {
        "code": relative(step.script_directory, around.folder),
        "command": Command(shim + BREAK.join(lines)),
        "environment": f"azureml:{step.env_name or around.pipeline.env_name}@latest",
    }
    outputs = {OUTPUT: {"type": FOLDER, "mode": "rw_mount"}} if wires.has_output else {}
    runs: dict[str, Any] = {"compute": f"azureml:{step.compute_name}"} if step.compute_name else {}
    runs |= {"inputs": inputs.values} if inputs.values else {}
    head = {"type": "command", "display_name": step.name}
    if step.allow_reuse:
        return {**head, **parts, **runs, **({"outputs": outputs} if outputs else {})}
    return {**head, "component": _component(parts, inputs.values, outputs, around), **runs}


def relative(path: Path, folder: Path) -> str:
    """A path as it is written in a file of `folder`."""
    return PurePosixPath(Path(os.path.relpath(path, folder)).as_posix()).as_posix()


def path_input(given: PathInput) -> dict[str, str]:
    return place_of(given.datastore, given.path)


def place_of(datastore: str, path: str) -> dict[str, str]:
    """A file or a folder of a datastore; what has a suffix is taken for a file."""
    kind = FILE if PurePosixPath(path).suffix and not path.endswith("/") else FOLDER
    return {"type": kind, "path": f"azureml://datastores/{datastore}/paths/{path}"}


def _arguments(step: PipelineStep, wires: Wires, inputs: _Inputs, around: Surroundings) -> list[str]:
    """In the order in which SDK v1 is given them (PipelineStep._build_arguments)."""
    datasets = {name: inputs.add(key, _dataset(name, around)) for name, key in step._input_names().items()}
    bound: dict[str, Binding] = {}

    def place(parameter: str) -> Binding:
        if parameter not in bound:
            source = around.inputs["parameter", parameter]
            bound[parameter] = inputs.add(parameter, f"${{{{parent.inputs.{source}}}}}")
        return bound[parameter]

    lines = [] if step.config is None else [f"--config {quote_json(step.config, around.defaults, place)}"]
    for argument, value in (step._fields_with_parameters["arguments"] or {}).items():
        lines.append(f"{shlex.quote(argument)} {quote_argument(value, around.defaults, place)}")
    lines += [f"{shlex.quote(argument)} {datasets[name]}" for argument, name in step.input_datasets.items()]
    for argument, given in step.input_paths.items():
        lines.append(f"{shlex.quote(argument)} {inputs.add(_name(argument), _path(given, around))}")
    for argument, producer in wires.inputs.items():
        source = Binding("job output", OUTPUT, around.nodes[producer])
        lines.append(f"{shlex.quote(argument)} {inputs.add(_name(argument), str(source))}")
    return lines + ([f"{OUTPUT_ARGUMENT} {Binding('output', OUTPUT)}"] if wires.has_output else [])


def _name(argument: str) -> str:
    name = argument.strip("-").replace("-", "_")
    return f"_{name}" if name[:1].isdigit() else name


def _dataset(name: str, around: Surroundings) -> dict[str, str]:
    is_file = name in around.choices.file_datasets
    path = f"${{{{parent.inputs.{around.inputs['dataset', name]}}}}}"
    return {"type": FOLDER if is_file else TABLE, "path": path, "mode": "ro_mount" if is_file else "direct"}


def _path(given: PathInput, around: Surroundings) -> dict[str, str]:
    mode = "ro_mount" if given.mode == "mount" else "download"
    source = path_input(given)
    if given.parameter is not None:
        source["path"] = f"${{{{parent.inputs.{around.inputs['path', given.parameter]}}}}}"
    return {**source, "mode": mode}


def _shim(step: PipelineStep, inputs: _Inputs, around: Surroundings) -> str:
    """The variables from which SDK v1 makes `run.input_datasets` (azureml/core/run.py), for datasets of files.

    `env` rather than `export … &&`: the line stays one program's call, which other programs can be put in front of.
    """
    names = step._input_names()
    shown = [names[name] for name in names if name in around.choices.file_datasets]
    if not shown or not around.choices.shim:
        return ""
    variables = [f"AZUREML_DATASET_ENVIRONMENT_VARS={','.join(f'{name}:mount' for name in shown)}"]
    variables += [f'{name}="{Binding("input", name)}"' for name in shown]
    return f"env {' '.join(variables)}{BREAK}"


def _component(
    parts: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any], around: Surroundings
) -> dict[str, Any]:
    declared = {name: {"type": _type(value, around)} for name, value in inputs.items()}
    return {
        "type": "command",
        **parts,
        **({"inputs": declared} if declared else {}),
        **({"outputs": {name: {"type": each["type"]} for name, each in outputs.items()}} if outputs else {}),
        "is_deterministic": False,
    }


def _type(value: Any, around: Surroundings) -> str:
    if isinstance(value, dict):
        return str(value["type"])
    for (kind, parameter), name in around.inputs.items():
        if kind == "parameter" and value == f"${{{{parent.inputs.{name}}}}}":
            return literal_type(around.defaults[parameter])
    return FOLDER


def literal_type(value: Parameter) -> str:
    """true and false are texts: SDK v2 would write them True and False, which JSON does not have."""
    if isinstance(value, (bool, str)):
        return "string"
    return "integer" if isinstance(value, int) else "number"
