"""JobFolder: a folder that remembers a job, and what can be done with the job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import NoSuchJob, RunFailed, UnregisteredRun
from azureml_wrapper.jobs import locks
from azureml_wrapper.jobs.record import RECORD, JobRecord, known_last_line, read_record, remember_last_line
from azureml_wrapper.jobs.states import GONE, UNKNOWN, State, client_of, states
from azureml_wrapper.runs.logs import LogReader
from azureml_wrapper.workspace import PathLike

if TYPE_CHECKING:
    from azureml_wrapper.jobs.results import JobResults
    from azureml_wrapper.run import RunWrapper
    from azureml_wrapper.workspace import WorkspaceWrapper

# Between two looks at the log of a job that runs, in seconds.
PAUSE = 1.0


class JobFolder:
    """The job of a folder; `NoSuchJob` where the folder has none, `BadRecord` where its record is damaged."""

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        if not (self.path / RECORD).is_file():
            from azureml_wrapper.jobs.selection import find

            find(str(path))
            raise NoSuchJob(f"{path} is no job folder, but has such folders in it or beside it. Name one of them.")
        self.record: JobRecord = read_record(self.path)

    @cached_property
    def workspace(self) -> WorkspaceWrapper:
        """The job's workspace."""
        from azureml_wrapper.workspace import WorkspaceWrapper

        scope = self.record.scope
        return WorkspaceWrapper(scope.name, scope.resource_group, scope.subscription_id, target=self.record.target)

    @property
    def run(self) -> RunWrapper:
        """The job's run; `UnregisteredRun` where the workspace does not have it any more."""
        from azureml._restclient.exceptions import ServiceException

        from azureml_wrapper.messages import hushed
        from azureml_wrapper.run import RunWrapper

        try:
            with hushed():
                return RunWrapper(self.workspace.ws.get_run(self.record.run_id))
        except ServiceException as error:
            if error.status_code != 404:
                raise
            raise UnregisteredRun(self._gone()) from error

    @property
    def status(self) -> str:
        """ "Completed", "Running", …; "Gone" for a run that the workspace does not have, "Unknown" without answer."""
        return self.state(line=False).status

    def state(self, *, line: bool = True) -> State:
        """Status, seconds, and the last line of the log."""
        return states_of([self], lines=line)[self.record.run_id]

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """What the script has printed, in pieces; with `follow`, until the run has ended."""
        reader = self.log_reader()
        while True:
            state = self._existing_state()
            yield from reader.read()
            if not follow or state.has_ended:
                return
            time.sleep(PAUSE)

    def log_reader(self) -> LogReader:
        """What reads the log piece by piece."""
        return LogReader(client_of(self.record), self.record.run_id)

    def abort(self, *, timeout: float | None = 600) -> State:
        """Cancel the run, wait until it has stopped, and return its state; one that has ended stays as it is."""
        with locks.locked(self.path):
            if not self._existing_state().has_ended:
                self.cancel_run(timeout=timeout)
            return self.state(line=False)

    def cancel_run(self, *, timeout: float | None) -> None:
        """Cancel the run for somebody who holds the folder already; one that fails meanwhile has stopped as well."""
        run = self.run
        run.cancel()
        with contextlib.suppress(RunFailed):
            run.wait(timeout)

    def results(self, *, show_progress: bool | None = None) -> JobResults:
        """Bring the files of the run and of the datastore's output folder into this folder.

        The run's are below `runs/<run id>`, the datastore's below `results`. What is here already, unchanged, is not
        fetched again. Raises `TransferFailed`; starting again goes on where it stopped. `show_progress` None shows a
        bar where standard error is a terminal.
        """
        from azureml_wrapper.jobs.results import fetch

        return fetch(self, show_progress=show_progress)

    def resubmit(
        self, overrides: Mapping[str, Any] | None = None, *, new_code: bool = False, force: bool = False
    ) -> RunWrapper:
        """Submit the job again, with other values for some KEYs, and return the new run at once.

        The scripts are those of the run that is repeated; with `new_code`, those of the folder as it is now. The
        new run has `original_run_id` as tag and property. `FolderTaken` for a job that has not ended: `force` aborts
        it first.
        """
        from azureml_wrapper.jobs.repetition import resubmit

        with locks.locked(self.path):
            return resubmit(self, overrides or {}, new_code=new_code, force=force)

    def _existing_state(self) -> State:
        """The state; an error where the run is gone, or nobody answers."""
        from azureml_wrapper.errors import ConnectionFailed

        state = self.state(line=False)
        if state.status == GONE:
            raise UnregisteredRun(self._gone())
        if state.status == UNKNOWN:
            raise ConnectionFailed(state.problem)
        return state

    def _gone(self) -> str:
        state = State.gone(self.record)
        return f"{self.path}: {state.problem}"

    def __repr__(self) -> str:
        return f"JobFolder({str(self.path)!r})"


def states_of(folders: Sequence[JobFolder], *, lines: bool = True) -> dict[str, State]:
    """Run id -> state, for many folders at once; the last line of a log that does not grow any more is kept."""
    paths = {folder.record.run_id: folder.path for folder in folders}
    known = {run_id: known_last_line(path, run_id) for run_id, path in paths.items()} if lines else {}
    found = states((folder.record for folder in folders), lines=lines, known=known)
    for run_id, state in found.items():
        if lines and state.has_ended and state.last_line and not known[run_id]:
            remember_last_line(paths[run_id], run_id, state.last_line)
    return found
