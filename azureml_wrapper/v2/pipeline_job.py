"""`type: pipeline`: several commands, bound to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from azureml_wrapper.config import parsing
from azureml_wrapper.config.steps import cycle_of
from azureml_wrapper.errors import MissingKey, did_you_mean
from azureml_wrapper.v2 import command_line
from azureml_wrapper.v2.command_job import (
    HEADER,
    PARTS,
    RUNS,
    Command,
    Header,
    check_bindings,
    command_of,
    header_of,
)
from azureml_wrapper.v2.command_job import (
    NESTED as OF_COMMANDS,
)
from azureml_wrapper.v2.command_line import in_single_quotes
from azureml_wrapper.v2.job_data import DIRECT, TABLE, DataInput, Input, Literal, Output, read_input, read_output
from azureml_wrapper.v2.references import Binding, compute_name
from azureml_wrapper.v2.yaml_keys import (
    Key,
    Keys,
    Noted,
    Place,
    Reading,
    Refused,
    existing_path,
    mapping_of,
    one_of,
    read_keys,
    text,
    truth,
)

_OTHER_NODES = "sweep, parallel, pipeline, spark, automl, import"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A job of a pipeline; its inputs are values, data, outputs of other nodes."""

    name: str
    display_name: str
    command: Command
    allow_reuse: bool = True

    @property
    def sources(self) -> set[str]:
        """The nodes whose outputs it reads."""
        found = (binding_of(item) for item in self.command.inputs.values())
        return {binding.job for binding in found if binding and binding.kind == "job output"}

    @property
    def waits(self) -> dict[str, str]:
        """Inputs that only define an order -> the nodes that must end first; no data of them is read."""
        return orders(self.command)


def orders(command: Command) -> dict[str, str]:
    """Return inputs bound to other jobs, in a mode that gives scripts only the address -> those jobs."""
    direct = {
        name: item.path
        for name, item in command.inputs.items()
        if isinstance(item, DataInput) and item.mode == DIRECT and item.kind != TABLE
    }
    return {name: path.job for name, path in direct.items() if isinstance(path, Binding)}


@dataclass(frozen=True, kw_only=True)
class PipelineJob:
    """A file with `type: pipeline`: its nodes in an order in which they can run."""

    header: Header
    nodes: tuple[Node, ...]
    continue_on_failure: bool = False
    force_rerun: bool = False
    datastore: str | None = None


def binding_of(item: Input) -> Binding | None:
    """What an input is bound to, with a mode of its own or without."""
    path = item.path if isinstance(item, DataInput) else item
    return path if isinstance(path, Binding) else None


_SETTINGS: Keys = {
    "default_compute": Key(read=compute_name, becomes="`compute_target` of nodes without compute"),
    "default_datastore": Key(
        read=lambda place: (text(place) or "").removeprefix("azureml:"), becomes="datastore of outputs without a path"
    ),
    "continue_on_step_failure": Key(read=truth, becomes="`continue_on_step_failure`", default=False),
    "force_rerun": Key(read=truth, becomes="`regenerate_outputs`", default=False),
}
_COMPONENT: Keys = {
    **PARTS,
    **{key: HEADER[key] for key in ("$schema", "display_name")},
    "type": Key(read=one_of("command"), becomes="a command", default="command"),
    "name": Noted("the name of the node is used"),
    "version": Noted("SDK v1 has no components"),
    "description": Noted("SDK v1 has no components"),
    "tags": Noted("SDK v1 has no components"),
    "is_deterministic": Key(read=truth, becomes="`allow_reuse`", default=True),
    "inputs": Key(read=mapping_of(lambda place: place.value), becomes="what the node's inputs must have", default={}),
    "outputs": Key(read=mapping_of(lambda place: place.value), becomes="outputs, if the node has none", default={}),
}


def _component(place: Place) -> dict[str, Any] | None:
    """Read a component in this file or in another file, which raises its own problems."""
    if isinstance(place.value, dict):
        return read_keys(place, _COMPONENT)
    if isinstance(place.value, str) and not place.value.startswith(("azureml:", "http")):
        path = existing_path(place)
        if path is None or not path.is_file():
            return None
        other = Reading(parsing.read(path))
        found = read_keys(other.top, _COMPONENT)
        other.finish("component")
        place.reading.notes.extend(f"{path.name}, {note}" for note in other.notes)
        return found
    place.fail(f"{place} is {place.value!r}; SDK v1 has no registered components. Use a file, or define it here.")
    return None


def _node_type(place: Place) -> str | None:
    value = text(place)
    if value is not None and value != "command":
        place.fail(f"{place} is {value!r}; jobs of a pipeline must be commands ({_OTHER_NODES} are not supported).")
    return value


NODE: Keys = {
    "type": Key(read=_node_type, becomes="a step", default="command"),
    **PARTS,
    "command": Key(
        read=text, becomes="`python x.py …`: PythonScriptStep (MpiStep's settings in its runconfig); else CommandStep"
    ),
    "environment": PARTS["environment"],
    **RUNS,
    "name": Noted("the key of the job is its name"),
    "display_name": Key(read=text, becomes="the step's name"),
    "component": Key(read=_component, becomes="its keys, except those that the node sets"),
    "description": Noted("SDK v1's steps have no description"),
    "tags": Noted("SDK v1's steps have no tags"),
    "properties": Noted("SDK v1's steps have no properties"),
    "comment": Noted("SDK v1 has no comments"),
}
# A component has them in its place.
NODE = {
    key: replace(each, needed=False) if isinstance(each, Key) and key in PARTS else each for key, each in NODE.items()
}
KEYS: Keys = {
    **HEADER,
    "name": Refused("SDK v1 gives runs of pipelines their ids itself; use display_name"),
    "type": Key(read=one_of("pipeline"), becomes="Pipeline", needed=True),
    "jobs": Key(read=mapping_of(lambda place: place), becomes="steps", needed=True),
    "inputs": Key(read=mapping_of(read_input), becomes="see inputs; values replace the bindings to them", default={}),
    "outputs": Key(read=mapping_of(read_output), becomes="`destination` of the output bound to it", default={}),
    "settings": Key(read=lambda place: read_keys(place, _SETTINGS), becomes="settings of all steps", default={}),
    "compute": Key(read=compute_name, becomes="as settings.default_compute"),
    "identity": RUNS["identity"],
    "services": RUNS["services"],
    "queue_settings": RUNS["queue_settings"],
    "limits": Refused("SDK v1 has no timeout of pipelines; give the nodes limits"),
}
NESTED = {"settings": _SETTINGS, "jobs.NAME": NODE, "jobs.NAME.component": _COMPONENT}
NESTED |= {f"jobs.NAME.{key}": keys for key, keys in OF_COMMANDS.items()}


def read(place: Place) -> PipelineJob | None:
    """Read a file of a pipeline; None if it has no jobs."""
    found = read_keys(place, KEYS)
    settings, places = found["settings"] or {}, found["jobs"] or {}
    if isinstance(place.value.get("jobs"), dict) and not places:
        place.at("jobs").fail("jobs is empty; a pipeline needs at least one job.")
    default = settings.get("default_compute") or found["compute"]
    nodes = {name: _node(at, default, found) for name, at in places.items() if at.is_a(dict)}
    _check_sources(place, nodes)
    return PipelineJob(
        header=header_of(found),
        nodes=tuple(_ordered(place, nodes)),
        continue_on_failure=bool(settings.get("continue_on_step_failure")),
        force_rerun=bool(settings.get("force_rerun")),
        datastore=settings.get("default_datastore"),
    )


def _node(place: Place, default_compute: str | None, pipeline: Mapping[str, Any]) -> Node:
    own = read_keys(place, NODE)
    component = own["component"] or {}
    found = {key: _either(key, own, component, place) for key in NODE if key in own}
    for key in ("command", "environment"):
        if found[key] is None and not place.value.get(key):
            place.fail(f"{place}.{key} is missing.")
    found["compute"] = found["compute"] or default_compute
    if not found["compute"]:
        place.fail(f"{place}.compute is missing, and settings.default_compute is not set.")
    found["inputs"] = {**_defaults(place, component, own["inputs"]), **own["inputs"]}
    found["outputs"] = {**{name: Output() for name in component.get("outputs") or ()}, **own["outputs"]}
    command = command_of(place, found)
    command = replace(
        command,
        inputs={name: _bound(place, name, item, pipeline) for name, item in command.inputs.items()},
        outputs={name: _placed(place, name, item, pipeline) for name, item in command.outputs.items()},
    )
    _check_command(place, command)
    return Node(
        name=place.key,
        display_name=found["display_name"] or place.key,
        command=command,
        allow_reuse=bool(component.get("is_deterministic", True)),
    )


def _defaults(place: Place, component: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Input]:
    """Return the defaults of inputs that a component declares and the node does not set."""
    found: dict[str, Input] = {}
    for name, declared in (component.get("inputs") or {}).items():
        default = declared.get("default") if isinstance(declared, dict) else None
        if name in own:
            continue
        if default is None:
            place.fail(f"{place}.inputs.{name} is missing; the component requires it.", MissingKey)
        found[name] = Literal(str(default))
    return found


def _either(key: str, own: Mapping[str, Any], component: Mapping[str, Any], place: Place) -> Any:
    """Return the node's own value, or else its component's."""
    return component[key] if key not in place.value and component.get(key) is not None else own[key]


def _check_command(place: Place, command: Command) -> None:
    declared = {"inputs": dict(command.inputs), "outputs": dict(command.outputs)}
    at = Place(place.reading, place.path, {**place.value, **declared})
    if "command" not in place.value:
        at = Place(place.reading, place.path, {**declared})
    check_bindings(at, command, ("input", "output"))
    used = {binding.name for binding in command_line.used(command.command) if binding.kind == "input"}
    for name in used & orders(command).keys():
        at.at("inputs").at(name).fail(
            f"{place}.inputs.{name} is in mode direct and used in the command, which SDK v1 has for tables only. "
            "Leave out the mode; or do not use it in the command, if the job must only wait for the other one."
        )
    if command.script is None:
        for binding in in_single_quotes(command.command):
            if not isinstance(command.inputs.get(binding.name), Literal):
                at.fail(f"{place}.command has {binding} inside single quotes, where a shell does not expand it.")


def _bound(place: Place, name: str, item: Input, pipeline: Mapping[str, Any]) -> Input:
    """Return the input, or that of the pipeline which it is bound to."""
    binding = binding_of(item)
    if binding is None or binding.kind == "job output":
        return item
    at = place.at("inputs").at(name)
    if binding.kind != "parent input":
        at.fail(
            f"{at} is {binding}; an input of a pipeline's job is bound to ${{{{parent.inputs.NAME}}}} or "
            "${{parent.jobs.JOB.outputs.NAME}}."
        )
        return item
    known = pipeline["inputs"] or {}
    if binding.name not in known:
        hint = did_you_mean(binding.name, known) or f" Known: {', '.join(known) or 'none'}."
        at.fail(f"{at} is {binding}, an unknown input of the pipeline.{hint}")
        return Literal("")
    found = known[binding.name]
    if isinstance(item, DataInput) and isinstance(found, DataInput) and found.kind != "mltable":
        return replace(found, mode=item.mode)
    return found  # type: ignore[no-any-return]


def _placed(place: Place, name: str, item: Output, pipeline: Mapping[str, Any]) -> Output:
    """Return the output, or that of the pipeline which it is bound to."""
    if item.binding is None:
        return item
    at = place.at("outputs").at(name)
    known = pipeline["outputs"] or {}
    if item.binding.kind != "parent output" or item.binding.name not in known:
        at.fail(
            f"{at} is {item.binding}; an output is bound to ${{{{parent.outputs.NAME}}}}, and the pipeline has: "
            f"{', '.join(known) or 'none'}."
        )
        return Output()
    return known[item.binding.name] or Output()


def _check_sources(place: Place, nodes: Mapping[str, Node]) -> None:
    for name, node in nodes.items():
        for key, item in node.command.inputs.items():
            binding = binding_of(item)
            if binding is None or binding.kind != "job output":
                continue
            at = place.at("jobs").at(name).at("inputs").at(key)
            source = nodes.get(binding.job)
            if source is None:
                near = did_you_mean(binding.job, nodes)
                at.fail(f"{at} is {binding}, but the pipeline has no job {binding.job!r}.{near}")
            elif binding.name not in source.command.outputs:
                there = ", ".join(source.command.outputs) or "none"
                at.fail(f"{at} is {binding}, and the outputs of {binding.job} are: {there}.")


def _ordered(place: Place, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """Iterate over the nodes, each after those that it reads from; add a problem if they form a cycle."""
    waiting = dict(nodes)
    while waiting:
        free = [name for name, node in waiting.items() if not node.sources & waiting.keys()]
        if not free:
            cycle = cycle_of({name: node.sources & waiting.keys() for name, node in waiting.items()})
            place.at("jobs").at(cycle[0]).fail(f"The jobs {', '.join(cycle)} wait for each other in a cycle.")
            return
        for name in free:
            yield waiting.pop(name)
