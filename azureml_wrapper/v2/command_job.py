"""Command jobs, and what all kinds of jobs have in common."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_wrapper.errors import did_you_mean
from azureml_wrapper.v2 import command_line, environment_file
from azureml_wrapper.v2.command_line import Script
from azureml_wrapper.v2.environment_file import EnvironmentFile
from azureml_wrapper.v2.job_data import Input, Output, read_input, read_output
from azureml_wrapper.v2.references import Binding, Reference, compute_name
from azureml_wrapper.v2.yaml_keys import (
    SCHEMA,
    Key,
    Keys,
    Place,
    Refused,
    existing_path,
    mapping_of,
    one_of,
    read_keys,
    text,
    texts,
    whole,
)

MPI, PYTORCH, TENSORFLOW = "mpi", "pytorch", "tensorflow"


@dataclass(frozen=True, kw_only=True)
class Header:
    """The name and experiment of a job, and what describes it; None if the file does not set it."""

    name: str | None = None
    display_name: str | None = None
    experiment: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Several processes: of MPI or PyTorch on each node, or workers and parameter servers of TensorFlow in all."""

    kind: str
    processes: int = 1
    workers: int | None = None
    servers: int = 0


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command, its data, and where it runs. `where` is its line, for errors that are found later."""

    command: str
    code: Path | None = None
    environment: EnvironmentFile | Reference | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    distribution: Distribution | None = None
    compute: str | None = None
    nodes: int = 1
    shared_memory: str | None = None
    docker_arguments: str | None = None
    timeout: int | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    where: str = ""

    @property
    def script(self) -> Script | None:
        """The script of `code` that it calls; None if it needs a shell."""
        found = command_line.as_script(self.command) if self.code else None
        return None if found is None or found.name.startswith("/") else found


@dataclass(frozen=True, kw_only=True)
class CommandJob:
    """A file with `type: command`."""

    header: Header
    command: Command


def _code(place: Place) -> Path | None:
    if isinstance(place.value, str) and place.value.startswith(("azureml:", "http:", "https:", "git+")):
        place.fail(f"{place} is {place.value!r}; SDK v1 needs a folder on this machine.")
        return None
    path = existing_path(place)
    if path is not None and path.is_file():
        place.fail(f"{place} is a file; use its folder.")
    return path.resolve() if path else None


def _shell_words(place: Place) -> str | None:
    """Read a string of words, quoted as for a shell."""
    value = text(place)
    try:
        shlex.split(value or "")
    except ValueError as error:
        place.fail(f"{place} is {value!r}, which is not a valid list of shell words: {error}.")
    return value


_DISTRIBUTION: Keys = {
    "type": Key(
        read=one_of(MPI, PYTORCH, TENSORFLOW), becomes="MpiConfiguration, PyTorchConfiguration, …", needed=True
    ),
    "process_count_per_instance": Key(read=whole(1), becomes="`process_count_per_node`; PyTorch: times the nodes"),
    "worker_count": Key(read=whole(1), becomes="`worker_count` of TensorFlow"),
    "parameter_server_count": Key(read=whole(0), becomes="`parameter_server_count` of TensorFlow"),
}
_RESOURCES: Keys = {
    "instance_count": Key(read=whole(1), becomes="`node_count`", default=1),
    "shm_size": Key(read=text, becomes="`DockerConfiguration(shm_size=…)`"),
    "docker_args": Key(read=_shell_words, becomes="`DockerConfiguration(arguments=…)`"),
    "instance_type": Refused("the size of machines is the cluster's; name a cluster of that size as compute"),
    "properties": Refused("SDK v1 has no properties of resources"),
    "locations": Refused("SDK v1 has no serverless compute"),
    "max_instance_count": Refused("SDK v1 has no elastic jobs"),
}
_LIMITS: Keys = {"timeout": Key(read=whole(1), becomes="`max_run_duration_seconds`")}

# What a command is made of, in a job of its own, in a pipeline and as the trial of a sweep.
PARTS: Keys = {
    "command": Key(
        read=text, becomes="`python x.py …`: ScriptRunConfig(script, arguments); else its `command`", needed=True
    ),
    "code": Key(read=_code, becomes="`source_directory`; relative to the file"),
    "environment": Key(read=environment_file.read_use, becomes="`environment`", needed=True),
    "environment_variables": Key(read=texts, becomes="`environment_variables`", default={}),
    "distribution": Key(read=lambda place: read_keys(place, _DISTRIBUTION), becomes="`distributed_job_config`"),
    "resources": Key(read=lambda place: read_keys(place, _RESOURCES), becomes="nodes and docker's settings"),
}
RUNS: Keys = {
    "compute": Key(read=compute_name, becomes="`compute_target`"),
    "limits": Key(read=lambda place: read_keys(place, _LIMITS), becomes="`max_run_duration_seconds`"),
    "inputs": Key(read=mapping_of(read_input), becomes="see inputs", default={}),
    "outputs": Key(read=mapping_of(read_output), becomes="see outputs", default={}),
    "identity": Refused("SDK v1 runs jobs as the compute's identity"),
    "services": Refused("SDK v1 opens no ports of jobs"),
    "queue_settings": Refused("SDK v1 has no job tiers and no priorities"),
}
HEADER: Keys = {
    "$schema": SCHEMA,
    "name": Key(read=text, becomes="the run's id"),
    "display_name": Key(read=text, becomes="`display_name`"),
    "experiment_name": Key(read=text, becomes="the experiment; the current folder's name unless given"),
    "description": Key(read=text, becomes="`description`"),
    "tags": Key(read=texts, becomes="`tags`", default={}),
    "properties": Key(read=texts, becomes="`add_properties`", default={}),
}
KEYS: Keys = {
    **HEADER,
    "type": Key(read=one_of("command"), becomes="ScriptRunConfig; without type, a job is this", default="command"),
    **PARTS,
    **RUNS,
    "component": Refused("only jobs of a pipeline can have a component; copy its keys here"),
    "parent_job_name": Refused("SDK v1 makes child runs from within a run: run.submit_child"),
    "is_archived": Refused("SDK v1 archives experiments, not jobs"),
}
NESTED = {"distribution": _DISTRIBUTION, "resources": _RESOURCES, "limits": _LIMITS}


def read(place: Place) -> CommandJob:
    """A file of one command."""
    found = read_keys(place, KEYS)
    if not found["compute"] and "compute" not in place.value:
        place.fail("compute is missing: SDK v1 has no serverless compute. Name a cluster.")
    command = command_of(place, found)
    check_bindings(place, command, ("input", "output"))
    return CommandJob(header=header_of(found), command=command)


def header_of(found: Mapping[str, Any]) -> Header:
    """The keys that all kinds of jobs share."""
    return Header(
        name=found.get("name"),
        display_name=found["display_name"],
        experiment=found["experiment_name"],
        description=found["description"],
        tags=found["tags"],
        properties=found.get("properties") or {},
    )


def command_of(place: Place, found: Mapping[str, Any]) -> Command:
    """The command of what was read of PARTS and RUNS."""
    resources, limits = found.get("resources") or {}, found.get("limits") or {}
    return Command(
        command=found["command"] or "",
        code=found["code"],
        environment=found["environment"],
        variables=found["environment_variables"],
        distribution=_distribution(found.get("distribution")),
        compute=found.get("compute"),
        nodes=resources.get("instance_count") or 1,
        shared_memory=resources.get("shm_size"),
        docker_arguments=resources.get("docker_args"),
        timeout=limits.get("timeout"),
        inputs={name: value for name, value in (found.get("inputs") or {}).items() if value is not None},
        outputs={name: value for name, value in (found.get("outputs") or {}).items() if value is not None},
        where=place.where,
    )


def _distribution(found: Mapping[str, Any] | None) -> Distribution | None:
    if not found or not found["type"]:
        return None
    return Distribution(
        kind=found["type"],
        processes=found["process_count_per_instance"] or 1,
        workers=found["worker_count"],
        servers=found["parameter_server_count"] or 0,
    )


def check_bindings(place: Place, command: Command, allowed: Iterable[str]) -> None:
    """Add problems for unknown bindings of a command, and for a missing script."""
    if not isinstance(place.value, dict) or not command.command:
        return
    at = place.at("command") if "command" in place.value else place
    declared = {"input": place.value.get("inputs") or {}, "output": place.value.get("outputs") or {}}
    for binding in command_line.used(command.command):
        if binding.kind not in allowed:
            at.fail(f"{at} uses {binding}, which is unknown here.")
        elif binding.kind in declared and binding.name not in declared[binding.kind]:
            at.fail(f"{at} uses {binding}, an unknown {binding.kind}." + _hint(binding, declared))
    script = command.script
    if script and command.code and command.code.is_dir() and not (command.code / script.name).is_file():
        at.fail(f"{at} calls {script.name}, but {command.code / script.name} does not exist.")


def _hint(binding: Binding, declared: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(declared[binding.kind])
    return did_you_mean(binding.name, names) or f" Known: {', '.join(names) or 'none'}."
