"""The driver: divides the inputs, lets the workers process them, and collects the results."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from .batches import Batch, make_batches
from .pool import WorkerPool
from .settings import Settings, StepFailed, read_settings
from .worker import LOGS, Done, Failed

_FORK = multiprocessing.get_context("fork")
_ROWS = "../parallel_run_rows"


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


class Outcome:
    """Counts results and failures of `batches` mini-batches."""

    def __init__(self, settings: Settings, batches: int) -> None:
        self._settings, self._batches = settings, batches
        self.done = self.failed = self.items = self.failed_items = 0
        self._last = ""
        Path(LOGS).mkdir(parents=True, exist_ok=True)
        now = datetime.now(timezone.utc)
        self._progress = self._open(f"logs/job_progress_overview.{now:%Y%m%d}.0.txt")
        # Outside of the working directory: the output appears completely, or not at all.
        self._rows = self._open(_ROWS) if settings.append_to else None

    def add(self, batch: Batch, answer: Done | Failed) -> None:
        """Count a mini-batch; `StepFailed` if that exceeds a limit of the configuration."""
        self.items += batch.count
        if isinstance(answer, Done):
            self.done += 1
            self.failed_items += max(0, batch.count - answer.count)
            self._keep(answer.text)
        else:
            self.failed += 1
            self.failed_items += batch.count
            self._note(batch, answer.reason)
        self._progress.write(
            f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} mini-batches: {self.done} done, {self.failed} failed, "
            f"{self._batches} in total; items: {self.items} processed, {self.failed_items} failed\n"
        )
        self._check("items", self.failed_items, "error_threshold", self._settings.error_threshold)
        self._check("mini-batches", self.failed, "allowed_failed_count", self._settings.allowed_failed_count)

    def finish(self) -> None:
        """Check the limits that apply to all mini-batches, and move the rows to the output."""
        percent = 100 * self.failed / max(1, self._batches)
        limit = self._settings.allowed_failed_percent
        if limit is not None and limit < 100 and percent > limit:
            self._fail(f"{percent:g} % of the mini-batches failed, more than allowed_failed_percent={limit:g} allows")
        if self._rows and self._settings.append_to:
            self._rows.close()
            shutil.move(_ROWS, Path(self._settings.output or "", self._settings.append_to))

    def _keep(self, text: str) -> None:
        if self._rows:
            self._rows.write(text if not text or text.endswith("\n") else f"{text}\n")

    def _note(self, batch: Batch, reason: str) -> None:
        self._last = f"Mini-batch {batch.number} failed {batch.tries} times. {reason}"
        print(self._last, flush=True)

    def _check(self, what: str, count: int, name: str, limit: int | None) -> None:
        if limit is not None and limit >= 0 and count > limit:
            self._fail(f"{count} {what} failed, more than {name}={limit} allows")

    def _fail(self, why: str) -> None:
        hint = (
            "run() returned fewer results than items: it must return one result for each item that succeeded."
            if not self._last
            else self._last
        )
        raise StepFailed(f"{hint.rstrip()}\nParallelRunStep failed: {why}. Logs of the workers: {LOGS}/.")

    def _open(self, path: str) -> TextIO:
        return Path(path).open("w", buffering=1, encoding="utf-8")
