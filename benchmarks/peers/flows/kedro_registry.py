"""Kedro: nodes of one pipeline, in its process (SequentialRunner); this becomes pipeline_registry.py of a project."""

import os
from pathlib import Path

from kedro.pipeline import Pipeline, node

STEPS = int(os.environ["STEPS"])


def first() -> int:
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return 0


def add(previous: int) -> int:
    if os.environ.get("WITH_SDK"):
        from azureml.core import Run  # noqa: F401
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return previous + 1


def register_pipelines() -> dict[str, Pipeline]:
    fan = os.environ["SHAPE"] == "fan"
    steps = [
        node(add, "value0" if fan else f"value{number - 1}", f"value{number}", name=f"step{number}")
        for number in range(1, STEPS + fan)
    ]
    return {"__default__": Pipeline([node(first, None, "value0", name="step0"), *steps])}
