"""The driver: divides the inputs, lets the workers process them, and collects the results."""

from __future__ import annotations

import multiprocessing
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .batches import Batch, make_batches
from .outcome import Outcome
from .pool import WorkerPool
from .settings import Settings, StepFailed, read_settings

_FORK = multiprocessing.get_context("fork")


def main(arguments: Sequence[str], flush: Callable[[], None]) -> int:
    """Run the step and return its exit code. A failure's reason is printed last."""
    try:
        _run(read_settings(arguments), flush)
    except StepFailed as fault:
        print(fault, file=sys.stderr, flush=True)
        return 1
    return 0


def _run(settings: Settings, flush: Callable[[], None]) -> None:
    if settings.output:
        Path(settings.output).mkdir(parents=True, exist_ok=True)
    batches = _batches(settings)
    items = sum(batch.count for batch in batches)
    if not batches:
        raise StepFailed("ParallelRunStep failed: the inputs are empty.")
    print(f"{items} items in {len(batches)} mini-batches, {settings.workers} worker processes", flush=True)
    outcome = Outcome(settings, len(batches))
    pool = WorkerPool(settings, flush)
    try:
        for batch, answer in pool.work(batches):
            outcome.add(batch, answer)
            print(f"{_counted(outcome)} of {len(batches)} mini-batches", flush=True)
        outcome.finish()
        pool.dismiss()
    finally:
        pool.kill()
    print(
        f"Done: {outcome.done} mini-batches, {outcome.failed} failed; {outcome.failed_items} of {items} items failed"
    )


def _counted(outcome: Outcome) -> int:
    return outcome.done + outcome.failed


def _batches(settings: Settings) -> list[Batch]:
    """Divide the inputs in another process: reading tables starts threads, and workers are forked from this one."""
    ours, theirs = _FORK.Pipe()
    process = _FORK.Process(target=_plan, args=(settings, theirs))
    process.start()
    theirs.close()
    try:
        made: Any = ours.recv()
    except EOFError:
        made = "The process that divides the inputs ended."
    process.join()
    if isinstance(made, str):
        raise StepFailed(f"{made.rstrip()}\nParallelRunStep failed: the inputs could not be divided.")
    found: list[Batch] = made
    return found


def _plan(settings: Settings, answer: Any) -> None:
    try:
        answer.send(make_batches(settings))
    except BaseException:  # noqa: BLE001 - the master reports it
        answer.send(traceback.format_exc())
