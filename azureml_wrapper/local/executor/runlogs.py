"""The logs that the service itself writes for pipelines, their steps and sweeps, in the form of real saved logs."""

from __future__ import annotations

import json
import logging
import posixpath
import threading
import time
import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.pipelines import ERROR_LOG, EXECUTION_LOG, LOGS, OUT_LOG
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.sweeps import LOG
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.store.blobfiles import copy_file, link_file

FOLLOW_SECONDS = 1.0

log = logging.getLogger("azureml_wrapper.local")


class Logs(Protocol):
    """Where a pipeline reports what it does."""

    def open(self, workspace_id: str, run_id: str) -> None:
        """Create a run's logs."""

    def say(self, workspace_id: str, run_id: str, *lines: str) -> None:
        """Append lines."""

    def complain(self, workspace_id: str, run_id: str, text: str) -> None:
        """Append a line to the error log."""


def say_started(logs: Logs, run: Run) -> None:
    """Log that a step's job is submitted."""
    logs.say(
        run.workspace_id,
        run.run_id,
        f"Experiment:             {run.experiment}",
        f"Run Id:                 {run.run_id}",
        f"Run target:             {run.target}",
        "Starting run in Execution Service",
    )


def say_ended(logs: Logs, run: Run, reason: str) -> None:
    """Log how a step's run has ended; `reason` counts only if it did not complete."""
    key = run.workspace_id, run.run_id
    if run.status is RunStatus.COMPLETED:
        logs.say(*key, f"Job finished, job RunId is {run.run_id}")
        return
    logs.say(*key, f"Job failed, job RunId is {run.run_id}. Error: {reason}")
    logs.complain(*key, reason)


class PipelineLogs:
    """The logs of a pipeline's run and of its steps' runs (lines as in saved logs of 2022)."""

    def __init__(self, context: ExecutorContext) -> None:
        self._clock = context.clock
        # A step writes ten lines into three files of one folder; looking it up costs more than writing them.
        self._log = lru_cache(maxsize=256)(partial(context.artifact, path=EXECUTION_LOG))

    def open(self, workspace_id: str, run_id: str) -> None:
        """Create the three files, empty: real runs have them from the start."""
        for path in LOGS:
            _append(partial(self._file, workspace_id, run_id, path), "")

    def _file(self, workspace_id: str, run_id: str, path: str) -> Path:
        return self._log(workspace_id, run_id).with_name(posixpath.basename(path))

    def say(self, workspace_id: str, run_id: str, *lines: str) -> None:
        """Append lines with the current time to the execution log."""
        now = self._clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        text = "".join(f"[{now}] {line}\n" for line in lines)
        _append(partial(self._file, workspace_id, run_id, EXECUTION_LOG), text)

    def print(self, workspace_id: str, run_id: str, *lines: str) -> None:
        """Append lines with the current time to the output log."""
        now = self._clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        _append(partial(self._file, workspace_id, run_id, OUT_LOG), "".join(f"[{now}] {line}\n" for line in lines))

    def complain(self, workspace_id: str, run_id: str, text: str) -> None:
        """Append a line to the error log."""
        _append(partial(self._file, workspace_id, run_id, ERROR_LOG), f"{text}\n")


class SecondName:
    """Another name of a growing log. On a file system without hard links it is a copy, a second behind.

    Args:
        folder: For incomplete copies, on the file system of both.
    """

    def __init__(self, file: Path, name: Path, folder: Path) -> None:
        self._file, self._name, self._folder = file, name, folder
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if not link_file(file, name):
            self._thread = threading.Thread(target=self._follow, name=f"copies {file.name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Complete the copy; the log does not grow any more."""
        self._ended.set()
        if self._thread:
            self._thread.join()
            self._copy()

    def _follow(self) -> None:
        pause = FOLLOW_SECONDS
        while not self._ended.wait(pause):
            began = time.monotonic()
            self._copy()
            # Copies of a log of gigabytes take a tenth of the time.
            pause = max(FOLLOW_SECONDS, 9 * (time.monotonic() - began))

    def _copy(self) -> None:
        copy = self._folder / uuid.uuid4().hex
        try:
            # A log only grows; a line that is inserted at its top makes it longer, too.
            if self._file.stat().st_size != self._name.stat().st_size:
                copy_file(self._file, copy)
                copy.replace(self._name)
        except OSError as error:
            log.warning("%s is not up to date: %s", self._name, error)


class SweepLogs:
    """The log that the SDK streams while it waits for a sweep (saved logs of 2021-2023)."""

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context

    def begin(self, parent: Run, samples: int) -> None:
        """Write the first entries of a sweep with that many samples."""
        self.say(parent, "API", "Experiment created")
        self.say(parent, "GENERATOR", f"Trying to sample '{samples}' jobs from the hyperparameter space")
        self.say(
            parent,
            "GENERATOR",
            f"Successfully sampled '{samples}' jobs, they will soon be submitted to the execution target.",
        )

    def say(self, parent: Run, part: str, text: str) -> None:
        """Append an entry with the current time; entries are quoted and not separated by line breaks."""
        moment = self._context.clock.now().replace(tzinfo=None).isoformat(timespec="microseconds")
        entry = json.dumps(f"<START>[{moment}][{part}][INFO]{text}<END>\n", ensure_ascii=False)
        _append(partial(self._context.artifact, parent.workspace_id, parent.run_id, LOG), entry)


def _append(find: Callable[[], Path], text: str) -> None:
    """Append to a log, whose file `find` creates. Failing to (on a full disk) must not stop the pipeline or sweep."""
    try:
        with find().open("a", encoding="utf-8", errors="replace") as end:
            end.write(text)
    except (OSError, ServiceFault) as error:
        log.warning("a line of a run's log is lost: %s", error)
