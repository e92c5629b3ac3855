"""ZenML: steps of one pipeline, in its process, each result stored and recorded (local orchestrator)."""

import os
from pathlib import Path

from zenml import pipeline, step

STEPS, CACHE = int(os.environ["STEPS"]), bool(os.environ.get("CACHE"))


@step(enable_cache=CACHE)
def add(previous: int) -> int:
    if os.environ.get("WITH_SDK"):
        from azureml.core import Run  # noqa: F401
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return previous + 1


@pipeline
def chain() -> None:
    value = 0
    for _ in range(STEPS):
        value = add(value)


@pipeline
def fan() -> None:
    source = add(0)
    for _ in range(STEPS):
        add(source)


if __name__ == "__main__":
    {"chain": chain, "fan": fan}[os.environ["SHAPE"]]()
