"""What must hold between the parts of a pipeline's config.

These rules read the config as written, so that they also report problems if a model has refused a part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from azureml_wrapper.config.parameters import check_in_json, render_argument, used, used_as_keys
from azureml_wrapper.config.parsing import KeyPath, Problem, show_path
from azureml_wrapper.config.steps import cycle_of
from azureml_wrapper.errors import BadParameter, BadValue, did_you_mean

_WORKSPACE_KEYS = ("ws_name", "resource_group", "subscription_id")
_WITH_PARAMETERS = ("step_config", "arguments")


def pipeline_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Repeated names, inputs from unknown steps, differing workspaces, and invalid uses of parameters."""
    steps = data.get("steps")
    if not isinstance(steps, (Mapping, list)):
        # The model reports that it is missing or has the wrong type.
        return
    found = [(key, step) for key, step in _items(steps) if isinstance(step, Mapping)]
    yield from _repeated_names(found)
    yield from _unknown_inputs(found)
    yield from _cycles(found)
    yield from _other_workspaces(found, data)
    yield from parameter_problems(found, data.get("pipeline_parameters") or {})


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
            yield Problem(BadValue, path, f"{show_path(path)} is {name!r}, which is the name of another step, too.")
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
                    BadValue, path, f"{show_path(path)} is {name!r}, which is not a step of this pipeline.{hint}"
                )


def _cycles(found: list[tuple[Any, Mapping[str, Any]]]) -> Iterator[Problem]:
    known = _known(found)
    cycle = cycle_of(_waits(found, known))
    for key, step in found:
        if step.get("step_name") not in cycle:
            continue
        for argument, name in _inputs_of(step).items():
            if known.get(name) in cycle:
                path: KeyPath = ("steps", key, "input_steps", argument)
                steps = f"steps {', '.join(map(repr, cycle))} wait for each other in a cycle"
                steps = steps if len(cycle) > 1 else f"step {cycle[0]!r} waits for itself"
                yield Problem(BadValue, path, f"{show_path(path)}: {steps}. Change one of their inputs.")
                return


def _waits(found: list[tuple[Any, Mapping[str, Any]]], known: Mapping[str, str]) -> dict[str, list[str]]:
    """Step -> the steps whose folders it reads; without input_steps, that of the step before it."""
    waits: dict[str, list[str]] = {}
    before: list[str] = []
    for _, step in found:
        name = step.get("step_name")
        if not isinstance(name, str):
            continue
        given = step.get("input_steps")
        waits[name] = (
            before if given is None else [known[each] for each in _inputs_of(step).values() if each in known]
        )
        before = [name]
    return waits


def _inputs_of(step: Mapping[str, Any]) -> dict[str, str]:
    inputs = step.get("input_steps")
    found = inputs.items() if isinstance(inputs, Mapping) else ()
    return {argument: name for argument, name in found if isinstance(name, str)}


def _other_workspaces(found: list[tuple[Any, Mapping[str, Any]]], data: Mapping[str, Any]) -> Iterator[Problem]:
    for key, step in found:
        for name in _WORKSPACE_KEYS:
            if step.get(name) is not None and data.get(name) is not None and step[name] != data[name]:
                path: KeyPath = ("steps", key, name)
                yield Problem(BadValue, path, f"{show_path(path)} differs from the pipeline's; remove it.")


def parameter_problems(steps: Iterable[tuple[Any, Mapping[str, Any]]], defaults: Any) -> Iterator[Problem]:
    """Parameters that a step uses but the pipeline does not have, unused ones, and uses in other fields."""
    if not isinstance(defaults, Mapping):
        # The model reports that it has the wrong type.
        return
    found = list(steps)
    for key, step in found:
        for field, value in step.items():
            path: KeyPath = ("steps", key, field)
            if field in _WITH_PARAMETERS:
                yield from _unknown_parameters(path, value, defaults)
            elif used(value) | used_as_keys(value):
                where = " and in ".join(_WITH_PARAMETERS)
                yield Problem(
                    BadValue, path, f"{show_path(path)} uses a parameter; parameters are allowed in {where} only."
                )
    everywhere = {name for _, step in found for field in _WITH_PARAMETERS for name in used(step.get(field))}
    for name in defaults.keys() - everywhere:
        path = ("pipeline_parameters", name)
        yield Problem(BadValue, path, f"{show_path(path)} is not used by any step (as ${{{{parameters.{name}}}}}).")


def _unknown_parameters(path: KeyPath, value: Any, defaults: Mapping[str, Any]) -> Iterator[Problem]:
    for name in sorted(used(value) - defaults.keys()):
        hint = (
            did_you_mean(name, map(str, defaults)) or f" Its parameters: {', '.join(map(str, defaults)) or 'none'}."
        )
        yield Problem(
            BadValue, path, f"{show_path(path)} uses {name!r}, which is not a parameter of the pipeline.{hint}"
        )
    if keys := used_as_keys(value):
        yield Problem(
            BadValue, path, f"{show_path(path)} uses {min(keys)!r} in a key; parameters are allowed in values only."
        )
    try:
        if path[-1] == "step_config":
            for name in used(value) & defaults.keys():
                check_in_json(name, defaults[name])
        elif isinstance(value, Mapping):
            list(map(render_argument, filter(lambda item: isinstance(item, str), value.values())))
    except BadParameter as error:
        yield Problem(BadValue, path, f"{show_path(path)}: {error}")
