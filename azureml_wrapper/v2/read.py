"""Reads a file of `az ml`: its noun's kind, checked, every problem told at once with its line."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from azureml_wrapper.config import readers
from azureml_wrapper.config.problems import Problem
from azureml_wrapper.config.readers import CoreLoader
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
# What SDK v1 has otherwise, or not at all.
_OTHERS = {
    "compute": (amlcompute.TYPES, "only clusters (amlcompute) are made from a file"),
    "datastore": (blob_datastore.TYPES, "only blob containers (azure_blob) are registered from a file"),
    "job": (tuple(JOBS), "SDK v1 runs command, pipeline and sweep from a file"),
}


def read_compute(file: Path, given: Sequence[str] = ()) -> tuple[Compute, list[str]]:
    """A cluster, and notes for the user. `given` are `path=value` settings that replace those of the file."""
    return _read(file, given, "compute", amlcompute.read)


def read_datastore(file: Path, given: Sequence[str] = ()) -> tuple[BlobDatastore, list[str]]:
    """A datastore, and notes for the user."""
    return _read(file, given, "datastore", blob_datastore.read)


def read_environment(file: Path, given: Sequence[str] = ()) -> tuple[EnvironmentFile, list[str]]:
    """An environment, and notes for the user."""
    return _read(file, given, "environment", environment_file.read)


def read_job(file: Path, given: Sequence[str] = ()) -> tuple[Job, list[str]]:
    """A job of any of the kinds, and notes for the user."""

    def read(place: Place) -> Job | None:
        kind = place.value.get("type", "command") if isinstance(place.value, dict) else "command"
        return JOBS[kind](place)

    return _read(file, given, "job", read)


def _read(file: Path, given: Sequence[str], noun: str, read: Callable[[Place], Any]) -> tuple[Any, list[str]]:
    document = readers.read(file)
    if given:
        document = replace(document, data=_with(document.data, given))
    reading = Reading(document)
    reading.problems += [Problem(BadValue, path, f"{path[-1]} is there twice.") for path in document.duplicates]
    found = read(reading.top) if _is_of_kind(reading.top, noun) else None
    reading.finish(noun)
    return found, reading.notes


def _is_of_kind(place: Place, noun: str) -> bool:
    """Whether the file's type is one that is read; a problem, which says what is, where it is not."""
    if not isinstance(place.value, dict):
        place.fail(f"A file of a {noun} is a mapping of keys.", WrongType)
        return False
    allowed, why = _OTHERS.get(noun, ((), ""))
    kind = place.value.get("type", "command" if noun == "job" else None)
    if not allowed or kind is None or kind in allowed:
        return True
    place.at("type").fail(f"type is {kind!r}: {why}.")
    return False


def _with(data: Any, given: Sequence[str]) -> Any:
    """The data with `path.to.key=value` settings of the command line; a value is read as YAML."""
    changed = copy.deepcopy(data)
    for setting in given:
        path, equals, value = setting.partition("=")
        if not (path and equals):
            raise BadValue(f"--set {setting!r} is to be written path.to.key=VALUE.")
        target = changed
        *above, last = path.split(".")
        for part in above:
            target = target.setdefault(part, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise BadValue(f"--set {setting!r}: there is no mapping at {'.'.join(above)}.")
        target[last] = yaml.load(value, Loader=CoreLoader)  # noqa: S506 - a safe one
    return changed
