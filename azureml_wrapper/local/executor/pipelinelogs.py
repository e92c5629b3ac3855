"""The logs that the pipeline service itself writes, for a pipeline's run and for its steps' runs.

Lines as in saved logs of real pipelines (2022).
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from azureml_wrapper.local.domain.artifacts import CONTAINER, of_run
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.pipelines import ERROR_LOG, EXECUTION_LOG, LOGS
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore

log = logging.getLogger("azureml_wrapper.local")


class PipelineLogs:
    """Files of runs, to whose end lines are added."""

    def __init__(self, blobs: BlobStore, workspaces: WorkspaceStore, clock: Clock) -> None:
        self._blobs, self._workspaces, self._clock = blobs, workspaces, clock
        # A step's run has ten lines, and to find its file costs more than to write them.
        self._file = lru_cache(maxsize=256)(self._find)

    def open(self, workspace_id: str, run_id: str) -> None:
        """Make the three files, empty: real runs have them from the start."""
        for path in LOGS:
            self._append(workspace_id, run_id, path, "")

    def say(self, workspace_id: str, run_id: str, *lines: str) -> None:
        """Add lines with the time to the execution log."""
        now = self._clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        self._append(workspace_id, run_id, EXECUTION_LOG, "".join(f"[{now}] {line}\n" for line in lines))

    def complain(self, workspace_id: str, run_id: str, text: str) -> None:
        """Add a line to the log of errors."""
        self._append(workspace_id, run_id, ERROR_LOG, f"{text}\n")

    def _append(self, workspace_id: str, run_id: str, path: str, text: str) -> None:
        try:
            file = self._file(workspace_id, run_id, path)
            with file.open("a", encoding="utf-8", errors="replace") as end:
                end.write(text)
        except OSError as error:
            # A log that cannot be written (a full disk) does not stop the pipeline.
            log.warning("%s of run %s: %s", path, run_id, error)

    def _find(self, workspace_id: str, run_id: str, path: str) -> Path:
        account = self._workspaces.by_id(workspace_id).storage_account
        self._blobs.ensure_container(account, CONTAINER)
        file = self._blobs.path(account, CONTAINER, of_run(run_id).name(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        return file
