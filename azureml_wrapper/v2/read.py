"""Reads a file of `az ml` and checks it; all problems are reported at once, with their lines."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from azureml_wrapper.config import parsing
from azureml_wrapper.config.parsing import CoreLoader, Problem
from azureml_wrapper.errors import BadValue, WrongType
from azureml_wrapper.v2 import amlcompute, blob_datastore, command_job, environment_file, pipeline_job, sweep_job
from azureml_wrapper.v2.amlcompute import Compute
from azureml_wrapper.v2.blob_datastore import BlobDatastore
from azureml_wrapper.v2.command_job import CommandJob
from azureml_wrapper.v2.environment_file import EnvironmentFile
from azureml_wrapper.v2.pipeline_job import PipelineJob
from azureml_wrapper.v2.sweep_job import SweepJob
from azureml_wrapper.v2.yaml_keys import Place, Reading

Job = CommandJob | PipelineJob | SweepJob
JOBS: Mapping[str, Callable[[Place], Job | None]] = {
    "command": command_job.read,
    "pipeline": pipeline_job.read,
    "sweep": sweep_job.read,
}
# The types of each noun that SDK v1 supports.
_OTHERS = {
    "compute": (amlcompute.TYPES, "only clusters (amlcompute) can be created from a file"),
    "datastore": (blob_datastore.TYPES, "only blob containers (azure_blob) can be registered from a file"),
    "job": (tuple(JOBS), "SDK v1 can run command, pipeline and sweep"),
}


def read_compute(file: Path, given: Sequence[str] = ()) -> tuple[Compute, list[str]]:
    """Read a cluster, and notes for the user. `given` are `path=value` settings that override those of the file."""
    return _read(file, given, "compute", amlcompute.read)


def read_datastore(file: Path, given: Sequence[str] = ()) -> tuple[BlobDatastore, list[str]]:
    """Read a datastore, and notes for the user."""
    return _read(file, given, "datastore", blob_datastore.read)


def read_environment(file: Path, given: Sequence[str] = ()) -> tuple[EnvironmentFile, list[str]]:
    """Read an environment, and notes for the user."""
    return _read(file, given, "environment", environment_file.read)


def read_job(file: Path, given: Sequence[str] = ()) -> tuple[Job, list[str]]:
    """Read a job of any type, and notes for the user."""

    def read(place: Place) -> Job | None:
        kind = place.value.get("type", "command") if isinstance(place.value, dict) else "command"
        return JOBS[kind](place)

    return _read(file, given, "job", read)


def _read(file: Path, given: Sequence[str], noun: str, read: Callable[[Place], Any]) -> tuple[Any, list[str]]:
    document = parsing.read(file)
    if given:
        document = replace(document, data=_with(document.data, given))
    reading = Reading(document)
    reading.problems += [Problem(BadValue, path, f"Duplicate key {path[-1]}.") for path in document.duplicates]
    found = read(reading.top) if _is_of_kind(reading.top, noun) else None
    reading.finish(noun)
    return found, reading.notes


def _is_of_kind(place: Place, noun: str) -> bool:
    """Return whether the type of the file is supported; if not, add a problem that lists those that are."""
    if not isinstance(place.value, dict):
        place.fail(f"A file for {noun} must be a mapping of keys.", WrongType)
        return False
    allowed, why = _OTHERS.get(noun, ((), ""))
    kind = place.value.get("type", "command" if noun == "job" else None)
    if not allowed or kind is None or kind in allowed:
        return True
    place.at("type").fail(f"type is {kind!r}: {why}.")
    return False


def _with(data: Any, given: Sequence[str]) -> Any:
    """Return the data with the `path.to.key=value` settings of the command line; values are parsed as YAML."""
    changed = copy.deepcopy(data)
    for setting in given:
        path, equals, value = setting.partition("=")
        if not (path and equals):
            raise BadValue(f"Invalid --set {setting!r}: must be path.to.key=VALUE.")
        target = changed
        *above, last = path.split(".")
        for part in above:
            target = target.setdefault(part, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise BadValue(f"Invalid --set {setting!r}: {'.'.join(above)} is not a mapping.")
        target[last] = yaml.load(value, Loader=CoreLoader)  # noqa: S506 - a safe one
    return changed
