"""Dagster: ops of one job, each in a process (its default), or all in one (IN_PROCESS)."""

import os
from pathlib import Path

from dagster import in_process_executor, job, multiprocess_executor, op

STEPS = int(os.environ["STEPS"])
EXECUTOR = (
    in_process_executor if os.environ.get("IN_PROCESS") else multiprocess_executor.configured({"max_concurrent": 2})
)


@op
def first() -> int:
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return 0


@op
def add(previous: int) -> int:
    if os.environ.get("WITH_SDK"):
        from azureml.core import Run  # noqa: F401
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return previous + 1


def chain() -> None:
    value = first()
    for number in range(STEPS - 1):
        value = add.alias(f"step{number}")(value)


def fan() -> None:
    source = first()
    for number in range(STEPS):
        add.alias(f"step{number}")(source)


# Dagster takes a file with one job.
flow = job(name="flow", executor_def=EXECUTOR)({"chain": chain, "fan": fan}[os.environ["SHAPE"]])
