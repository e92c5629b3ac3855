"""Ends the children of canceled runs: those that a script made, and jobs, pipelines and sweeps that it submitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.store.runs import RunStore

# Workspace and id of a run → whether its end has been asked for: `cancel` of the executors.
Cancel = Callable[[str, str], bool]


class Offspring:
    """To be made before the executors: a pipeline is over after the children of its steps are."""

    def __init__(self, runs: RunStore) -> None:
        self._runs, self._queue = runs, WorkQueue()
        self._cancels: tuple[Cancel, ...] = ()
        runs.listen(self._listen)

    def ask(self, *cancels: Cancel) -> None:
        """What can end a run that the service itself carries out."""
        self._cancels = cancels

    def _listen(self, run: Run) -> None:
        # Not sooner: the processes of a job are gone then, so that its script makes no further children.
        if run.status is RunStatus.CANCELED:
            self._queue.put(partial(self._end_children, run))

    def _end_children(self, parent: Run) -> None:
        for child in self._runs.children(parent.workspace_id, parent.run_id):
            if not child.status.is_terminal:
                self._end(child)

    def _end(self, run: Run) -> None:
        try:
            if not any(cancel(run.workspace_id, run.run_id) for cancel in self._cancels):
                self._runs.advance(run.workspace_id, run.run_id, RunStatus.CANCELED)
        except Conflict:
            # It came to its own end meanwhile.
            return
