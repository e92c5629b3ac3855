"""The outcome of the mini-batches: rows, failures, and whether there are too many failures."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from .batches import Batch
from .settings import Settings, StepFailed
from .worker import LOGS, Done, Failed

_ROWS = "../parallel_run_rows"


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
