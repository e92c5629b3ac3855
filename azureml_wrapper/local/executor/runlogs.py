"""The logs that the service itself writes for pipelines, their steps and sweeps, in the form of real saved logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.pipelines import ERROR_LOG, EXECUTION_LOG, LOGS, OUT_LOG
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.sweeps import LOG
from azureml_wrapper.local.executor.context import ExecutorContext

log = logging.getLogger("azureml_wrapper.local")


class PipelineLogs:
    """The logs of a pipeline's run and of its steps' runs (lines as in saved logs of 2022)."""

    def __init__(self, context: ExecutorContext) -> None:
        self._clock = context.clock
        # A step writes ten lines, and looking up its file costs more than writing them.
        self._file = lru_cache(maxsize=256)(context.artifact)

    def open(self, workspace_id: str, run_id: str) -> None:
        """Create the three files, empty: real runs have them from the start."""
        for path in LOGS:
            _append(partial(self._file, workspace_id, run_id, path), "")

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
