"""Cancels the children of canceled runs: runs that a script created, and jobs, pipelines and sweeps it submitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.store.runs import RunStore

# `cancel` of an executor: takes workspace and run id, returns whether it stops that run.
Cancel = Callable[[str, str], bool]


class CancelCascade:
    """Listens for canceled runs.

    Create it before the executors: a pipeline may only end after the children of its steps, and listeners are called
    in the order in which they were added.
    """

    def __init__(self, runs: RunStore, queue: WorkQueue) -> None:
        self._runs, self._queue = runs, queue
        self._cancels: tuple[Cancel, ...] = ()
        runs.listen(self._listen)

    def cancel_with(self, *cancels: Cancel) -> None:
        """Set the executors' `cancel` methods, which are tried in this order."""
        self._cancels = cancels

    def _listen(self, run: Run) -> None:
        # Not earlier: only now are the job's processes gone, so its script cannot create further children.
        if run.status is RunStatus.CANCELED:
            self._queue.put(partial(self._cancel_children, run))

    def _cancel_children(self, parent: Run) -> None:
        for child in self._runs.children(parent.workspace_id, parent.run_id):
            if not child.status.is_terminal:
                self._cancel(child)

    def _cancel(self, run: Run) -> None:
        try:
            if not any(cancel(run.workspace_id, run.run_id) for cancel in self._cancels):
                self._runs.advance(run.workspace_id, run.run_id, RunStatus.CANCELED)
        except Conflict:
            # It ended by itself in the meantime.
            return
