"""JobFolder: a folder that remembers a job, and what can be done with the job."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import NoSuchJob
from azureml_wrapper.jobs.occupancy import HeldJob, locked
from azureml_wrapper.jobs.record import RECORD, JobRecord, find, known_last_line, remember_last_line
from azureml_wrapper.jobs.states import JobState, client_of, states
from azureml_wrapper.runs.logs import LogReader
from azureml_wrapper.workspace import PathLike

if TYPE_CHECKING:
    from azureml_wrapper.jobs.results import JobResults
    from azureml_wrapper.run import RunWrapper
    from azureml_wrapper.workspace import WorkspaceWrapper

# Between two looks at the log of a job that is running, in seconds.
PAUSE = 1.0


class JobFolder:
    """The job of a folder, as `aml submit` or `JobWrapper.submit` has left it.

    Args:
        path: The job folder, which `output_dir` named.

    Raises:
        NoSuchJob: The folder holds no job.
        BadRecord: The record of the job is damaged.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        if not (self.path / RECORD).is_file():
            find(str(path))
            raise NoSuchJob(f"{path} is not a job folder, but some are inside or beside it. Name one of those.")
        self._held = HeldJob(self.path)

    @property
    def record(self) -> JobRecord:
        """What the folder remembers of its job."""
        return self._held.record

    @property
    def workspace(self) -> WorkspaceWrapper:
        """The job's workspace."""
        return self._held.workspace

    @property
    def run(self) -> RunWrapper:
        """The job's run; `UnregisteredRun` if the workspace does not have it any more."""
        return self._held.run

    @property
    def status(self) -> str:
        """The run's status: "Completed", "Running", …; "Gone" or "Unknown" if the workspace cannot say."""
        return self.state(line=False).status

    def state(self, *, line: bool = True) -> JobState:
        """Return the status and the duration of the run.

        Args:
            line: Also read the last line of the log.
        """
        return states_of([self], lines=line)[self.record.run_id]

    def logs(self) -> str:
        """Return what the script has printed so far.

        Raises:
            UnregisteredRun: The workspace does not have the run any more.
            ConnectionFailed: The workspace does not answer.
        """
        self._held.known_state()
        return "".join(LogReader(client_of(self.record), self.record.run_id).read())

    def follow_logs(self) -> Iterator[str]:
        """Yield what the script prints, in pieces, until the run has ended; raises the same errors as `logs`."""
        reader = LogReader(client_of(self.record), self.record.run_id)
        while True:
            state = self._held.known_state()
            yield from reader.read()
            if state.has_ended:
                return
            time.sleep(PAUSE)

    def cancel(self) -> None:
        """Ask the run to stop, and return at once; `abort` waits until it has. A run that has ended is left alone."""
        with locked(self.path):
            if not self._held.known_state().has_ended:
                self._held.cancel()

    def abort(self, *, timeout: float | None = 600) -> JobState:
        """Cancel the run, wait until it has stopped, and return its state. A run that has ended is left alone.

        Args:
            timeout: Seconds to wait; None waits without a limit.

        Raises:
            RunTimeout: The run has not stopped after `timeout` seconds.
            FolderBusy: Another command works on the job.
        """
        with locked(self.path):
            if not self._held.known_state().has_ended:
                self._held.stop(timeout=timeout)
            return self.state(line=False)

    def results(self, *, show_progress: bool | None = None) -> JobResults:
        """Download the files of the run, and of the folder that the job fills on the datastore, into this folder.

        The run's files go below `runs/<run id>`, the datastore's below `results`. Unchanged files are skipped.

        Args:
            show_progress: Show a bar; by default if standard error is a terminal.

        Raises:
            TransferFailed: A file could not be downloaded. Call again to resume.
        """
        # Imported here because `aml status` must not wait for all that transfers need.
        from azureml_wrapper.jobs.results import fetch

        return fetch(self._held, show_progress=show_progress)

    def resubmit(
        self, parameters: Mapping[str, Any] | None = None, *, new_code: bool = False, force: bool = False
    ) -> RunWrapper:
        """Submit the job again, and return the new run at once. It has `original_run_id` as tag and property.

        Args:
            parameters: KEY -> value, which replace those of the job.
            new_code: Use the scripts as they are now; by default those of the run that is repeated.
            force: Abort the job first if it has not ended.

        Raises:
            FolderTaken: The job has not ended, and `force` is not set.
        """
        # Imported here because `aml status` must not wait for pydantic.
        from azureml_wrapper.jobs.submission import resubmit

        with locked(self.path):
            return resubmit(self._held, parameters or {}, new_code=new_code, force=force)

    def __repr__(self) -> str:
        return f"JobFolder({str(self.path)!r})"


def states_of(folders: Sequence[JobFolder], *, lines: bool = True) -> dict[str, JobState]:
    """Query the states of many folders' jobs at once; last lines that can no longer change are remembered.

    Args:
        lines: Also return the last line of each log.

    Returns:
        Run id -> state.
    """
    paths = {folder.record.run_id: folder.path for folder in folders}
    known = {run_id: known_last_line(path, run_id) for run_id, path in paths.items()} if lines else {}
    found = states((folder.record for folder in folders), lines=lines, known=known)
    for run_id, state in found.items():
        if lines and state.has_ended and state.last_line and not known[run_id]:
            remember_last_line(paths[run_id], run_id, state.last_line)
    return found
