"""The driver itself: divides the inputs, has the workers process them, and gathers what they return."""

from __future__ import annotations

import multiprocessing
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .batches import Batch, make_batches
from .crew import Crew
from .settings import Settings, StepFailed, read_settings
from .tally import Tally

_FORK = multiprocessing.get_context("fork")


def main(arguments: Sequence[str], flush: Callable[[], None]) -> int:
    """The exit code; the reason of a failure is the last that is printed."""
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
        raise StepFailed("ParallelRunStep failed: there is nothing to process, the inputs are empty.")
    print(f"{items} items in {len(batches)} mini-batches, {settings.workers} worker processes", flush=True)
    tally = Tally(settings, len(batches))
    crew = Crew(settings, flush)
    try:
        for batch, answer in crew.work(batches):
            tally.add(batch, answer)
            print(f"{_counted(tally)} of {len(batches)} mini-batches", flush=True)
        tally.finish()
        crew.dismiss()
    finally:
        crew.kill()
    print(f"Done: {tally.done} mini-batches, {tally.failed} failed; {tally.failed_items} of {items} items failed")


def _counted(tally: Tally) -> int:
    return tally.done + tally.failed


def _batches(settings: Settings) -> list[Batch]:
    """In a process of its own: reading tables starts threads, and the workers are forked from this one."""
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
