"""A step as a node of `pipeline.yml`: the same call of its script, with SDK v2's inputs and outputs in it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.config.steps import MPI
from azureml_wrapper.pipelines.definition import (
    Argument,
    JsonConfig,
    OwnEnvironment,
    PathSlot,
    RegisteredDataset,
    Slot,
    Step,
    Template,
)
from azureml_wrapper.v2.export.context import ExportContext, content_of_environment
from azureml_wrapper.v2.export.syntax import BREAK, Command, free, quote_argument, quote_json
from azureml_wrapper.v2.references import Binding

TABLE, FOLDER, FILE = "mltable", "uri_folder", "uri_file"
# The datastore that SDK v1 calls a workspace's default one.
DEFAULT_DATASTORE = "workspaceblobstore"
# The output of a step that is only waited for.
ORDER = "finished"


def relative(path: Path, folder: Path) -> str:
    """A path as it is written in a file of `folder`."""
    return PurePosixPath(Path(os.path.relpath(path, folder)).as_posix()).as_posix()


def path_input(slot: PathSlot) -> dict[str, str]:
    """A file or folder of a datastore; a path with a suffix is taken to be a file."""
    kind = FILE if PurePosixPath(slot.path).suffix and not slot.path.endswith("/") else FOLDER
    return {"type": kind, "path": f"azureml://datastores/{slot.datastore or DEFAULT_DATASTORE}/paths/{slot.path}"}


def output_type(step: Step) -> str:
    """The type of a step's output: a parallel job gathers its rows in one file."""
    return FILE if step.gathers else FOLDER


def literal_type(value: Parameter) -> str:
    """true and false are strings: SDK v2 would write them True and False, which JSON does not have."""
    if isinstance(value, (bool, str)):
        return "string"
    return "integer" if isinstance(value, int) else "number"


def node_of(step: Step, context: ExportContext) -> dict[str, Any]:
    """The node of a step."""
    return _Node(step, context).build()


@dataclass
class _Node:
    """One node while it is written: its inputs are those that its command names."""

    step: Step
    context: ExportContext
    inputs: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    bound: dict[str, Binding] = field(default_factory=dict)

    def build(self) -> dict[str, Any]:
        step = self.step
        parts = self._parallel() if step.is_parallel else self._command()
        self._add_order()
        runs: dict[str, Any] = {"compute": f"azureml:{step.compute}"} if step.compute else {}
        runs |= {"inputs": self.inputs} if self.inputs else {}
        outputs = self._outputs()
        head = {"type": parts["type"], "display_name": step.name}
        if step.allow_reuse:
            return {**head, **parts, **runs, **({"outputs": outputs} if outputs else {})}
        return {**head, "component": self._component(parts, outputs), **runs}

    def _component(self, parts: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """For a step that is not to be reused: only a component has this setting in SDK v2."""
        declared = {name: {"type": kind} for name, kind in self.types.items()}
        return {
            **parts,
            **({"inputs": declared} if declared else {}),
            **({"outputs": {name: {"type": each["type"]} for name, each in outputs.items()}} if outputs else {}),
            "is_deterministic": False,
        }

    def _command(self) -> dict[str, Any]:
        step = self.step
        data = self._datasets()
        lines = [f"python {shlex.quote(step.script)}", *self._lines(step.arguments, data), *self._folders()]
        if step.output:
            lines.append(f"{step.output.argument} {Binding('output', step.output.name)}")
        parts: dict[str, Any] = {
            "type": "command",
            "code": relative(step.directory, self.context.folder),
            "command": Command(self._shim(data) + BREAK.join(lines)),
            "environment": self._environment(),
        }
        if step.kind == MPI:
            parts["distribution"] = {"type": "mpi", "process_count_per_instance": step.processes or 1}
            parts["resources"] = {"instance_count": step.nodes}
        return parts

    def _parallel(self) -> dict[str, Any]:
        step, settings = self.step, self.step.parallel
        own = [each for each in step.arguments if not _is_data(each)]
        arguments = " ".join(self._lines(own, {}))
        task: dict[str, Any] = {
            "type": "run_function",
            "code": relative(step.directory, self.context.folder),
            "entry_script": step.script,
            "environment": self._environment(),
            **({"program_arguments": arguments} if arguments else {}),
        }
        if step.gathers and step.output:
            task["append_row_to"] = str(Binding("output", step.output.name))
        return {
            "type": "parallel",
            **({"max_concurrency_per_instance": step.processes} if step.processes else {}),
            "resources": {"instance_count": step.nodes},
            "mini_batch_size": settings.mini_batch_size,
            "error_threshold": settings.error_threshold,
            # SDK v1 counts the first try as well.
            "retry_settings": {"max_retries": settings.run_max_try - 1, "timeout": settings.run_invocation_timeout},
            "input_data": str(self._divided()),
            "task": task,
        }

    def _divided(self) -> Binding:
        """The one input that a parallel job divides into mini-batches."""
        data = [*self._datasets().values()]
        data += [self._path(argument.name, slot) for argument in self.step.arguments for slot in _paths(argument)]
        data += [self._folder(argument, producer) for argument, producer in (self.step.reads or {}).items()]
        return data[0]

    def _environment(self) -> Any:
        environment = self.context.definition.environment_of(self.step)
        if not isinstance(environment, OwnEnvironment):
            return f"azureml:{environment.name}@latest"
        # Within the job and without a name: SDK v1 does not register it, either.
        chosen = self.context.choices.packages
        packages = replace(environment.packages, python_version=chosen.python_version if chosen else None)
        return content_of_environment(packages)

    def _lines(
        self, arguments: Iterator[Argument] | tuple[Argument, ...] | list[Argument], data: Mapping[str, Binding]
    ) -> list[str]:
        """Each argument with its values, in words between which a line may end."""
        return [
            " ".join([shlex.quote(each.name), *(self._value(each, slot, data) for slot in each.values)])
            for each in arguments
        ]

    def _value(self, argument: Argument, slot: Slot, data: Mapping[str, Binding]) -> str:
        if isinstance(slot, JsonConfig):
            return quote_json(slot.value, self.context.parameters, self._parameter)
        if isinstance(slot, Template):
            return quote_argument(slot.value, self.context.parameters, self._parameter)
        if isinstance(slot, RegisteredDataset):
            return str(data[slot.name])
        if isinstance(slot, PathSlot):
            return str(self._path(argument.name, slot))
        return shlex.quote(slot.text)

    def _parameter(self, name: str) -> Binding:
        if name not in self.bound:
            value = f"${{{{parent.inputs.{self.context.inputs['parameter', name]}}}}}"
            self.bound[name] = self._add(name, value, literal_type(self.context.parameters[name]))
        return self.bound[name]

    def _datasets(self) -> dict[str, Binding]:
        """Dataset -> its input."""
        return {name: self._dataset(name, key) for name, key in self.step.dataset_inputs().items()}

    def _dataset(self, name: str, key: str) -> Binding:
        is_file = name in self.context.choices.file_datasets
        kind = FOLDER if is_file else TABLE
        path = f"${{{{parent.inputs.{self.context.inputs['dataset', name]}}}}}"
        return self._add(key, {"type": kind, "path": path, "mode": "ro_mount" if is_file else "direct"}, kind)

    def _path(self, argument: str, slot: PathSlot) -> Binding:
        source = path_input(slot)
        if slot.parameter is not None:
            source["path"] = f"${{{{parent.inputs.{self.context.inputs['path', slot.parameter]}}}}}"
        mode = "ro_mount" if slot.mode == "mount" else "download"
        return self._add(slot.name or _input_of(argument), {**source, "mode": mode}, source["type"])

    def _folders(self) -> Iterator[str]:
        for argument, producer in (self.step.reads or {}).items():
            yield f"{shlex.quote(argument)} {self._folder(argument, producer)}"

    def _folder(self, argument: str, producer: str) -> Binding:
        other = self.context.definition.producers[producer]
        name = other.output.name if other.output else ORDER
        source = Binding("job output", name, self.context.nodes[producer])
        return self._add(_input_of(argument), str(source), output_type(other))

    def _add_order(self) -> None:
        before = self.context.waits_for.get(self.step.name)
        if before is None:
            return
        node, kind = self.context.nodes[before.name], output_type(before)
        source = Binding("job output", before.output.name if before.output else ORDER, node)
        # `direct` passes the address on and looks at nothing there: it may be empty.
        self._add(f"after_{node}", {"type": kind, "path": str(source), "mode": "direct"}, kind)

    def _add(self, wanted: str, value: Any, kind: str) -> Binding:
        name = free(wanted, self.inputs)
        self.inputs[name], self.types[name] = value, kind
        return Binding("input", name)

    def _outputs(self) -> dict[str, Any]:
        step = self.step
        name = step.output.name if step.output else ORDER if step.name in self.context.waited_for else None
        return {} if name is None else {name: {"type": output_type(step), "mode": "rw_mount"}}

    def _shim(self, data: Mapping[str, Binding]) -> str:
        """The variables from which SDK v1 makes `run.input_datasets` (azureml/core/run.py), for datasets of files.

        `env` rather than `export … &&`: the line stays one program's call, which other programs can be put before.
        """
        choices, names = self.context.choices, self.step.dataset_inputs()
        shown = {names[name]: binding for name, binding in data.items() if name in choices.file_datasets}
        if not shown or not choices.shim:
            return ""
        variables = [f"AZUREML_DATASET_ENVIRONMENT_VARS={','.join(f'{name}:mount' for name in shown)}"]
        variables += [f'{name}="{binding}"' for name, binding in shown.items()]
        return f"env {' '.join(variables)}{BREAK}"


def _is_data(argument: Argument) -> bool:
    return any(isinstance(slot, (RegisteredDataset, PathSlot)) for slot in argument.values)


def _paths(argument: Argument) -> list[PathSlot]:
    return [slot for slot in argument.values if isinstance(slot, PathSlot)]


def _input_of(argument: str) -> str:
    name = argument.strip("-").replace("-", "_")
    return f"_{name}" if name[:1].isdigit() else name
