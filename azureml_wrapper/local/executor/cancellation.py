"""Cancels the children of canceled runs: runs that a script created, and jobs, pipelines and sweeps it submitted.

`abandon` is the last resort for a pipeline or a sweep whose end cannot be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.errors import Conflict, is_temporary
from azureml_wrapper.local.domain.runs import JSON, Run, RunStatus
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.store.runs import RunStore

# `cancel` of an executor: takes workspace and run id, returns whether it stops that run.
Cancel = Callable[[str, str], bool]
Key = TypeVar("Key")
Value = TypeVar("Value")


class CancelCascade:
    """Listens for canceled runs.

    Create it before the executors: a pipeline may only end after the children of its steps, and listeners are called
    in the order in which they were added.
    """

    def __init__(self, runs: RunStore, queue: WorkQueue) -> None:
        self._runs, self._queue = runs, queue
        self._cancels: tuple[Cancel, ...] = ()
        runs.listen(lambda run: self._listen([run]), self._listen)

    def cancel_with(self, *cancels: Cancel) -> None:
        """Set the executors' `cancel` methods, which are tried in this order."""
        self._cancels = cancels

    def _listen(self, runs: list[Run]) -> None:
        # Not earlier: only now are the jobs' processes gone, so their scripts cannot create further children.
        if canceled := [run.run_id for run in runs if run.status is RunStatus.CANCELED]:
            self._queue.put(partial(self._cancel_children, runs[0].workspace_id, canceled))

    def _cancel_children(self, workspace_id: str, parents: list[str]) -> None:
        for child in self._runs.children(workspace_id, *parents):
            if not child.status.is_terminal:
                # A defect in one of them does not keep the others from being canceled.
                error = Attempts(f"canceling run {child.run_id}").attempt(partial(self._cancel, child))
                if error and is_temporary(error):
                    raise error

    def _cancel(self, run: Run) -> None:
        try:
            if not any(cancel(run.workspace_id, run.run_id) for cancel in self._cancels):
                self._runs.advance(run.workspace_id, run.run_id, RunStatus.CANCELED)
        except Conflict:
            # It ended by itself in the meantime.
            return


@contextmanager
def popped(active: dict[Key, Value], key: Key) -> Iterator[None]:
    """Remove what is about to end: by the time its run has ended, nothing may count it. An error puts it back."""
    value = active.pop(key)
    try:
        yield
    except BaseException:
        active[key] = value
        raise


def abandon(runs: RunStore, key: tuple[str, str], error: JSON, cancel: Cancel) -> None:
    """Fail a run that could not even be broken off, and end each of its children by itself."""

    def end_child(child: Run) -> None:
        if not child.status.is_terminal and not cancel(child.workspace_id, child.run_id):
            runs.abandon(child.workspace_id, child.run_id, error)

    def end_children() -> None:
        for child in runs.children(*key):
            Attempts(f"ending run {child.run_id}").attempt(partial(end_child, child))

    Attempts(f"ending the children of run {key[1]}").attempt(end_children)
    runs.abandon(*key, error)
