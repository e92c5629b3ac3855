"""Finds mistakes in files of `az ml` that azure-ai-ml accepts and that the service or the job then fails on.

azure-ai-ml 1.35 loads a file with any of these mistakes without an error (tried).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from azureml_wrapper.config import parsing
from azureml_wrapper.config.parsing import Problem
from azureml_wrapper.config.steps import cycle_of
from azureml_wrapper.errors import BadValue, ConfigError, MissingKey, WrongType, did_you_mean
from azureml_wrapper.v2 import references
from azureml_wrapper.v2.references import Binding
from azureml_wrapper.v2.yaml_keys import Place, Reading

COMPUTE, DATASTORE, ENVIRONMENT, JOB, SCHEDULE = "compute", "datastore", "environment", "job", "schedule"
_COMPUTES = ("amlcompute", "computeinstance", "kubernetes", "virtualmachine", "synapsespark")
# Every file of `az ml` whose type is not known has at least one of these keys.
_KEYS = frozenset({"$schema", "type", "command", "component", "name"})
_NODE = re.compile(r"[a-z_][a-z0-9_]*")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def lint(file: Path) -> ConfigError | None:
    """Return all problems of a file as one error; None if it has no problems."""
    reading = Reading(parsing.read(file))
    reading.problems += [
        Problem(BadValue, path, f"Duplicate key {path[-1]}.") for path in reading.document.duplicates
    ]
    if isinstance(reading.document.data, dict):
        _check(reading.top)
    else:
        reading.top.fail("Not a file of `az ml`: must be a mapping of keys.", WrongType)
    try:
        reading.finish("file")
    except ConfigError as error:
        return error
    return None


def kind_of(data: Mapping[str, Any]) -> str:
    """Return the noun of `az ml` that a file describes."""
    kind = data.get("type")
    if "trigger" in data:
        return SCHEDULE
    if kind in _COMPUTES or (isinstance(kind, str) and kind.startswith("amlcompute")):
        return COMPUTE
    if isinstance(kind, str) and kind.startswith("azure_"):
        return DATASTORE
    if (
        "type" not in data
        and not data.keys() & {"command", "jobs"}
        and data.keys() & {"image", "conda_file", "build"}
    ):
        return ENVIRONMENT
    return JOB


def _check(place: Place) -> None:
    kind = kind_of(place.value)
    if kind == COMPUTE and place.value.get("type") == "amlcompute":
        _cluster(place)
    elif kind == SCHEDULE:
        _schedule(place)
    elif kind == JOB and isinstance(place.value.get("jobs"), dict):
        _pipeline(place)
    elif kind == JOB and _KEYS & place.value.keys():
        _job(place)
    elif kind == JOB:
        place.fail(f"Not a file of `az ml`: has none of the keys {', '.join(sorted(_KEYS))}.")


def _cluster(place: Place) -> None:
    if not place.value.get("size"):
        _missing(place, "size", "the service refuses a cluster without one. Give STANDARD_DS3_V2, for instance.")
    low, high = place.value.get("min_instances", 0), place.value.get("max_instances", 1)
    if isinstance(low, int) and isinstance(high, int) and low > high:
        key = "min_instances" if "min_instances" in place.value else "max_instances"
        place.at(key).fail(f"min_instances is {low}, more than max_instances, {high}.")


def _schedule(place: Place) -> None:
    trigger, job = place.value.get("trigger"), place.value.get("create_job")
    start = trigger.get("start_time") if isinstance(trigger, dict) else None
    if isinstance(start, str) and _OFFSET.search(start):
        at = place.at("trigger").at("start_time")
        at.fail(f"{at} is {start!r}, and azure-ai-ml drops the offset. Give the local time, and time_zone.")
    if isinstance(job, str) and not job.startswith("azureml:") and not (place.folder / job).is_file():
        place.at("create_job").fail(f"create_job is {job!r}, but {place.folder / job} does not exist.")


def _job(place: Place) -> None:
    trial = place.value.get("trial")
    allowed = _declared(place)
    allowed["search"] = _mapping(place.value.get("search_space"))
    _command(place, allowed)
    if isinstance(trial, dict):
        _command(place.at("trial"), allowed)


def _pipeline(place: Place) -> None:
    jobs = place.at("jobs")
    nodes = [node for node in jobs.items() if isinstance(node.value, dict)]
    for node in nodes:
        if not _NODE.fullmatch(node.key):
            node.fail(f"Invalid job name {node.key!r}: use lowercase letters, digits and '_', and no digit first.")
        component = node.value.get("component")
        _command(node, _declared(node))
        if isinstance(component, dict):
            _command(node.at("component"), _declared(node.at("component")))
        for source in _sources(node):
            _source(source, place, node)
    _check_cycles(jobs, nodes)


def _declared(place: Place) -> dict[str, Any]:
    found = {}
    for kind, key in (("input", "inputs"), ("output", "outputs")):
        given = place.value.get(key)
        found[kind] = _mapping(given)
    return found


def _mapping(value: Any) -> dict[str, Any]:
    """azure-ai-ml itself reports values of another type."""
    return value if isinstance(value, dict) else {}


def _command(place: Place, declared: Mapping[str, Any]) -> None:
    """Add problems for unknown bindings of a command."""
    command = place.value.get("command")
    for binding in references.within(command) if isinstance(command, str) else ():
        at = place.at("command")
        if binding.kind not in declared:
            at.fail(f"{at} uses {binding}; a command can only use ${{{{inputs.NAME}}}} and ${{{{outputs.NAME}}}}.")
        elif binding.name not in declared[binding.kind]:
            at.fail(f"{at} uses {binding}, an unknown {binding.kind}." + _hint(binding.name, declared[binding.kind]))


def _sources(node: Place) -> Iterator[tuple[Place, Binding]]:
    """Iterate over the bindings of a node's inputs and outputs."""
    for key in ("inputs", "outputs"):
        if isinstance(node.value.get(key), dict):
            for item in node.at(key).items():
                at = item.at("path") if isinstance(item.value, dict) and "path" in item.value else item
                if (binding := references.whole(at.value)) is not None:
                    yield at, binding


def _source(found: tuple[Place, Binding], place: Place, node: Place) -> None:
    at, binding = found
    if binding.kind in ("parent input", "parent output"):
        key = "inputs" if binding.kind == "parent input" else "outputs"
        known = _mapping(place.value.get(key))
        if binding.name not in known:
            at.fail(f"{at} is {binding}, an unknown {key[:-1]} of the pipeline.{_hint(binding.name, known)}")
    elif binding.kind != "job output":
        at.fail(
            f"{at} is {binding}; an input of a pipeline's job is bound to ${{{{parent.inputs.NAME}}}} or "
            "${{parent.jobs.JOB.outputs.NAME}}."
        )
    else:
        _job_output(at, binding, place.value["jobs"], node)


def _job_output(at: Place, binding: Binding, jobs: Mapping[str, Any], node: Place) -> None:
    producer = jobs.get(binding.job)
    if not isinstance(producer, dict):
        at.fail(f"{at} is {binding}, but the pipeline has no job {binding.job!r}.{_hint(binding.job, jobs)}")
        return
    component = producer.get("component")
    if isinstance(component, str):
        # The outputs of a component in another file or in the workspace are unknown here.
        return
    known = {**_mapping(producer.get("outputs")), **_mapping(_mapping(component).get("outputs"))}
    if binding.name not in known:
        at.fail(f"{at} is {binding}, an unknown output of {binding.job}.{_hint(binding.name, known)}")


def _check_cycles(jobs: Place, nodes: Iterable[Place]) -> None:
    """Add a problem if jobs wait for each other."""
    waiting = {
        node.key: {binding.job for _, binding in _sources(node) if binding.kind == "job output"} for node in nodes
    }
    if cycle := cycle_of(waiting):
        jobs.at(cycle[0]).fail(f"The jobs {', '.join(cycle)} wait for each other in a cycle.")


def _missing(place: Place, key: str, why: str) -> None:
    missing = Place(place.reading, (*place.path, key), None)
    missing.fail(f"{missing} is missing: {why}", MissingKey)


def _hint(name: str, known: Iterable[str]) -> str:
    names = [str(each) for each in known]
    return did_you_mean(name, names) or f" There are: {', '.join(names) or 'none'}."
