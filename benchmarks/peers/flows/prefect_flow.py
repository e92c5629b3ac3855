"""Prefect: tasks of one flow, in the flow's process; the results of cached ones are kept in PREFECT_HOME."""

import os
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import INPUTS, NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

STEPS, CACHE = int(os.environ["STEPS"]), bool(os.environ.get("CACHE"))


@task(cache_policy=INPUTS if CACHE else NO_CACHE, persist_result=CACHE)
def step(number: int, previous: int) -> int:
    if os.environ.get("WITH_SDK"):
        from azureml.core import Run  # noqa: F401
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return previous + 1


@flow
def chain() -> None:
    value = 0
    for number in range(STEPS):
        value = step(number, value)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def fan() -> None:
    source = step.submit(0, 0)
    wait([step.submit(number + 1, source) for number in range(STEPS)])


if __name__ == "__main__":
    {"chain": chain, "fan": fan}[os.environ["SHAPE"]]()
