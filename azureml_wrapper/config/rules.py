"""What must hold between the parts of a pipeline's config.

These rules read the config as it was written, so that they also tell what is wrong where a model has refused a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from azureml_wrapper.config.problems import Problem, show_path
from azureml_wrapper.config.readers import KeyPath
from azureml_wrapper.errors import BadValue, did_you_mean

_WORKSPACE_KEYS = ("ws_name", "resource_group", "subscription_id")


def pipeline_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that are there twice, steps that read from nowhere or in a circle, workspaces that differ."""
    steps = data.get("steps")
    if not isinstance(steps, (Mapping, list)):
        # The model tells that it is missing or of the wrong type.
        return
    found = [(key, step) for key, step in _items(steps) if isinstance(step, Mapping)]
    yield from _repeated_names(found)
    yield from _unknown_inputs(found)
    yield from _other_workspaces(found, data)


def _items(steps: Mapping[Any, Any] | list[Any]) -> list[tuple[Any, Any]]:
    return list(enumerate(steps)) if isinstance(steps, list) else list(steps.items())


def _known(found: list[tuple[Any, Mapping[str, Any]]]) -> dict[str, str]:
    names = [(key, step["step_name"]) for key, step in found if isinstance(step.get("step_name"), str)]
    keys = {key: name for key, name in names if isinstance(key, str)}
    return keys | {name: name for _, name in names}


def _repeated_names(found: list[tuple[Any, Mapping[str, Any]]]) -> Iterator[Problem]:
    counts = Counter(step["step_name"] for _, step in found if isinstance(step.get("step_name"), str))
    seen = set()
    for key, step in found:
        name = step.get("step_name")
        if isinstance(name, str) and counts[name] > 1 and name in seen:
            path: KeyPath = ("steps", key, "step_name")
            yield Problem(BadValue, path, f"{show_path(path)} is {name!r}, as that of another step is.")
        seen.add(name if isinstance(name, str) else None)


def _unknown_inputs(found: list[tuple[Any, Mapping[str, Any]]]) -> Iterator[Problem]:
    known = _known(found)
    for key, step in found:
        inputs = step.get("input_steps")
        for argument, name in inputs.items() if isinstance(inputs, Mapping) else ():
            if isinstance(name, str) and name not in known:
                path: KeyPath = ("steps", key, "input_steps", argument)
                hint = did_you_mean(name, known) or f" The steps are {', '.join(known)}."
                yield Problem(
                    BadValue, path, f"{show_path(path)} is {name!r}, which is no step of this pipeline.{hint}"
                )


def _other_workspaces(found: list[tuple[Any, Mapping[str, Any]]], data: Mapping[str, Any]) -> Iterator[Problem]:
    for key, step in found:
        for name in _WORKSPACE_KEYS:
            if step.get(name) is not None and data.get(name) is not None and step[name] != data[name]:
                path: KeyPath = ("steps", key, name)
                yield Problem(BadValue, path, f"{show_path(path)} differs from the pipeline's; leave it out.")
