"""Which step reads whose folder: pure, before anything of Azure is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from azureml_wrapper.errors import BadPipeline, did_you_mean

INPUT_ARGUMENT, OUTPUT_ARGUMENT = "--input-folder", "--output-folder"


@dataclass(frozen=True)
class Wires:
    """The folders of one step: argument -> the step that fills it; and whether it fills one itself."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    has_output: bool = False


def wire(steps: Sequence[tuple[str, Mapping[str, str] | None]]) -> list[Wires]:
    """The wires of each step, given its name and its `input_steps`.

    Where `input_steps` is None, a step reads the folder of the step before it; an empty mapping means none. Every
    step but the last fills a folder, and so does the last where somebody reads it. Raises `BadPipeline`.
    """
    names = [name for name, _ in steps]
    _check_names(names)
    inputs = [_inputs(index, names, given) for index, (_, given) in enumerate(steps)]
    _check_circles(dict(zip(names, inputs, strict=True)))
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
                f"Step {names[index]!r} reads {argument} from {producer!r}, which is no step of this pipeline."
                + (did_you_mean(producer, names) or f" The steps are {', '.join(names)}.")
            )
    return dict(given)


def _check_names(names: list[str]) -> None:
    if not names:
        raise BadPipeline("A pipeline needs at least one step.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BadPipeline(f"Two steps have the name {repeated[0]!r}. Give each step a name of its own.")


def _check_circles(inputs: Mapping[str, Mapping[str, str]]) -> None:
    """Take away what waits for nothing, again and again; what stays waits for itself."""
    waiting = {name: set(each.values()) for name, each in inputs.items()}
    while waiting:
        free = {name for name, producers in waiting.items() if not producers & waiting.keys()}
        if not free:
            raise BadPipeline(
                f"The steps {', '.join(waiting)} wait for each other in a circle. Change an input_steps."
            )
        waiting = {name: producers for name, producers in waiting.items() if name not in free}
