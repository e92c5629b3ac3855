"""The steps of a pipeline configuration file as nodes of `pipeline.yml`, which run one after the other there, too."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from azureml_wrapper.pipeline_files.entries import INPUT_ARGUMENT, OUTPUT_ARGUMENT, MpiEntry, ParallelRunEntry
from azureml_wrapper.pipeline_files.steps_file import FileStep
from azureml_wrapper.v2.bindings import Binding
from azureml_wrapper.v2.export.names import free, node_names
from azureml_wrapper.v2.export.nodes import FILE, FOLDER, place_of, relative
from azureml_wrapper.v2.export.texts import BREAK, Command

# The datastore of every workspace that SDK v1 calls its default one.
DEFAULT_DATASTORE = "workspaceblobstore"
PREVIOUS, ORDER = "input_data", "finished"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A step, its node, and what it waits for.

    `source` is the step whose output it reads. `before` is the step that has to end first although nothing of it is
    read: an order without data.
    """

    step: FileStep
    node: str
    source: Link | None
    before: Link | None

    @property
    def read(self) -> str | None:
        """The input that is the script's data."""
        if self.step.entry.has_reference:
            return self.step.entry.reference_name
        return PREVIOUS if self.source else None

    @property
    def gathers(self) -> bool:
        """Whether its output is one file, as that of a parallel job is."""
        entry = self.step.entry
        return isinstance(entry, ParallelRunEntry) and entry.output_action == "append_row"


def links(steps: Sequence[FileStep]) -> list[Link]:
    """The steps in their order, each with what it reads and what it waits for."""
    names = node_names(step.name for step in steps)
    found: list[Link] = []
    last: Link | None = None
    for step in steps:
        source = None if step.entry.has_reference else last
        before = found[-1] if found and found[-1] is not source else None
        link = Link(step=step, node=names[step.name], source=source, before=before)
        found.append(link)
        last = link if step.entry.output else last
    return found


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes of one file. `environments` and `datastores` are those of the steps, by their names."""

    folder: Path
    links: Sequence[Link]
    environments: Mapping[str, Mapping[str, Any]]
    datastores: Mapping[str, str | None]

    def build(self) -> dict[str, Any]:
        """Node -> what stands in the file."""
        return {link.node: self._node(link) for link in self.links}

    @cached_property
    def _waited_for(self) -> set[str]:
        return {link.before.node for link in self.links if link.before}

    def _node(self, link: Link) -> dict[str, Any]:
        entry = link.step.entry
        parts = self._parallel(link, entry) if isinstance(entry, ParallelRunEntry) else self._command(link)
        inputs, outputs = self._inputs(link), self._outputs(link)
        head = {"type": parts["type"], "display_name": link.step.name}
        runs = {"inputs": inputs} if inputs else {}
        if entry.allow_reuse:
            return {**head, **parts, **runs, **({"outputs": outputs} if outputs else {})}
        return {**head, "component": _component(link, parts, inputs, outputs), **runs}

    def _command(self, link: Link) -> dict[str, Any]:
        step, entry = link.step, link.step.entry
        parts: dict[str, Any] = {
            "type": "command",
            "code": relative(step.script_directory, self.folder),
            "command": Command(BREAK.join(_line(link))),
            "environment": dict(self.environments[step.name]),
        }
        if isinstance(entry, MpiEntry):
            count = entry.processes_per_node or 1
            parts["distribution"] = {"type": "mpi", "process_count_per_instance": count}
            parts["resources"] = {"instance_count": entry.node_count}
        return parts

    def _parallel(self, link: Link, entry: ParallelRunEntry) -> dict[str, Any]:
        step = link.step
        task: dict[str, Any] = {
            "type": "run_function",
            "code": relative(step.script_directory, self.folder),
            "entry_script": entry.script,
            "environment": dict(self.environments[step.name]),
        }
        if step.arguments:
            task["program_arguments"] = shlex.join(step.arguments)
        if link.gathers:
            task["append_row_to"] = str(Binding("output", str(entry.output)))
        processes = entry.processes_per_node
        return {
            "type": "parallel",
            **({"max_concurrency_per_instance": processes} if processes else {}),
            "resources": {"instance_count": entry.node_count},
            "mini_batch_size": entry.mini_batch_size,
            "error_threshold": entry.error_threshold,
            # SDK v1 counts the first try as well.
            "retry_settings": {"max_retries": entry.run_max_try - 1, "timeout": entry.run_invocation_timeout},
            "input_data": str(Binding("input", str(link.read))),
            "task": task,
        }

    def _inputs(self, link: Link) -> dict[str, Any]:
        entry, name = link.step.entry, str(link.read)
        inputs: dict[str, Any] = {}
        if entry.has_reference:
            datastore = self.datastores[link.step.name] or DEFAULT_DATASTORE
            place = place_of(datastore, entry.input_datareference_path or "")
            inputs[name] = {**place, "mode": "ro_mount"}
        elif link.source:
            inputs[name] = str(Binding("job output", str(link.source.step.entry.output), link.source.node))
        if link.before:
            source = Binding("job output", link.before.step.entry.output or ORDER, link.before.node)
            kind = FILE if link.before.gathers else FOLDER
            # `direct` hands over the place and looks at nothing there: it may be empty.
            inputs[free(f"after_{link.before.node}", inputs)] = {"type": kind, "path": str(source), "mode": "direct"}
        return inputs

    def _outputs(self, link: Link) -> dict[str, Any]:
        name = link.step.entry.output or (ORDER if link.node in self._waited_for else None)
        if name is None:
            return {}
        return {name: {"type": FILE if link.gathers else FOLDER, "mode": "rw_mount"}}


def _line(link: Link) -> Iterator[str]:
    """The call of a script, in words between which a line may end."""
    step = link.step
    yield f"python {shlex.quote(step.script_name)}"
    yield from _grouped(step.arguments)
    if link.read:
        yield f"{INPUT_ARGUMENT} {Binding('input', link.read)}"
    if step.entry.output:
        yield f"{OUTPUT_ARGUMENT} {Binding('output', step.entry.output)}"


def _grouped(arguments: Iterable[str]) -> list[str]:
    """`--name` and its values as one each."""
    groups: list[str] = []
    for argument in arguments:
        if groups and not argument.startswith("-"):
            groups[-1] += f" {shlex.quote(argument)}"
        else:
            groups.append(shlex.quote(argument))
    return groups


def _component(
    link: Link, parts: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> dict[str, Any]:
    """For a step that is not to be reused: there alone SDK v2 takes this."""
    read = FILE if link.source and link.source.gathers else FOLDER
    declared = {name: {"type": value["type"] if isinstance(value, dict) else read} for name, value in inputs.items()}
    return {
        **parts,
        **({"inputs": declared} if declared else {}),
        **({"outputs": {name: {"type": each["type"]} for name, each in outputs.items()}} if outputs else {}),
        "is_deterministic": False,
    }
