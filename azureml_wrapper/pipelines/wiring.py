"""Which step reads whose folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from azureml_wrapper.config.steps import cycle_of
from azureml_wrapper.errors import BadPipeline, did_you_mean

INPUT_ARGUMENT, OUTPUT_ARGUMENT = "--input-folder", "--output-folder"


@dataclass(frozen=True)
class Wires:
    """The folders of one step: argument -> the step that fills it; and whether it fills one itself."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    has_output: bool = False


def wire(steps: Sequence[tuple[str, Mapping[str, str] | None]]) -> list[Wires]:
    """The wires of each step, given its name and its `input_steps`.

    With None as `input_steps`, a step reads the folder of the step before it; an empty mapping means none. Every step
    fills a folder, except the last one if no step reads it. Raises `BadPipeline`.
    """
    names = [name for name, _ in steps]
    _check_names(names)
    inputs = [_inputs(index, names, given) for index, (_, given) in enumerate(steps)]
    _check_cycles(dict(zip(names, inputs, strict=True)))
    read = {producer for each in inputs for producer in each.values()}
    return [
        Wires(each, has_output=name in read or name != names[-1]) for name, each in zip(names, inputs, strict=True)
    ]


def _inputs(index: int, names: list[str], given: Mapping[str, str] | None) -> dict[str, str]:
    if given is None:
        return {INPUT_ARGUMENT: names[index - 1]} if index else {}
    for argument, producer in given.items():
        if producer not in names:
            raise BadPipeline(
                f"Step {names[index]!r} reads {argument} from {producer!r}, which is not a step of this pipeline."
                + (did_you_mean(producer, names) or f" The steps are {', '.join(names)}.")
            )
    return dict(given)


def _check_names(names: list[str]) -> None:
    if not names:
        raise BadPipeline("A pipeline needs at least one step.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BadPipeline(f"Two steps have the name {repeated[0]!r}. Give each step a name of its own.")


def _check_cycles(inputs: Mapping[str, Mapping[str, str]]) -> None:
    if cycle := cycle_of({name: each.values() for name, each in inputs.items()}):
        raise BadPipeline(
            f"Steps {', '.join(cycle)} wait for each other in a cycle. Change the input_steps of one of them."
        )
