"""Who has a job folder: the job that it holds, the command that works in it, and whether another job may have it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from azureml_wrapper.errors import ConnectionFailed, FolderBusy, FolderClosed, FolderTaken, UnregisteredRun
from azureml_wrapper.file_lock import FileLock
from azureml_wrapper.jobs.record import RECORD, JobRecord, job_folders, read_record
from azureml_wrapper.jobs.states import GONE, UNKNOWN, JobState, client_of, states
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.http_run import HttpRun
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

JOB, RESULTS = "job", "results"


class HeldJob:
    """The job that the folder `path` holds; `BadRecord` if its record cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: JobRecord = read_record(path)

    @cached_property
    def workspace(self) -> WorkspaceWrapper:
        """The job's workspace."""
        scope = self.record.scope
        return WorkspaceWrapper(scope.name, scope.resource_group, scope.subscription_id, target=self.record.target)

    @property
    def run(self) -> RunWrapper:
        """The job's run; `UnregisteredRun` if the workspace does not have it any more."""
        from azureml._restclient.exceptions import ServiceException

        try:
            return RunWrapper(self.workspace.ws.get_run(self.record.run_id))
        except ServiceException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            raise UnregisteredRun(self._gone()) from error

    def state(self) -> JobState:
        """Query the state of the run, without the last line of its log."""
        return states([self.record], lines=False)[self.record.run_id]

    def known_state(self) -> JobState:
        """Query the state; `UnregisteredRun` if the run is gone, `ConnectionFailed` if nothing answers."""
        state = self.state()
        if state.status == GONE:
            raise UnregisteredRun(self._gone())
        if state.status == UNKNOWN:
            raise ConnectionFailed(state.problem)
        return state

    def stop(self, *, timeout: float | None) -> None:
        """Cancel the run, and wait until it has stopped; `RunTimeout` after `timeout` seconds."""
        self.cancel().wait(timeout)

    def cancel(self) -> HttpRun:
        """Ask the run to stop, and return it at once."""
        run = self.http_run()
        if run.is_canceled_by_sdk:
            self.run.cancel()
        elif not run.has_ended:
            run.cancel()
        return run

    def http_run(self) -> HttpRun:
        """The run, for what needs no SDK; `UnregisteredRun` if the workspace does not have it any more."""
        try:
            return HttpRun.find(client_of(self.record), self.record.run_id)
        except UnregisteredRun as error:
            raise UnregisteredRun(self._gone()) from error

    def _gone(self) -> str:
        return f"{self.path}: {JobState.gone(self.record).problem}"


@contextlib.contextmanager
def locked(folder: Path, what: str = JOB) -> Iterator[None]:
    """Keep other commands away from the job, or from the results, of a folder.

    Raises:
        FolderBusy: Another command works on it; the message names the command and its process.
        FolderClosed: The folder cannot be created, or not be written to.
    """
    lock = FileLock(folder / f".aml_{what}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        holder = lock.try_acquire()
    except OSError as error:
        lock.release()
        raise FolderClosed(f"Cannot write to {folder}: {error.strerror}. Use another folder.") from error
    try:
        if holder:
            raise FolderBusy(f"{folder} is in use by another command ({holder}). Try again when it has finished.")
        yield
    finally:
        lock.release()


def check_place(folder: PathLike) -> None:
    """Raise `FolderTaken` for a folder inside another job's folder, or around one: `all` would not find both."""
    path = Path(folder).absolute()
    for above in path.parents:
        if (above / RECORD).is_file():
            raise FolderTaken(f"{folder} is inside the job folder {above}. Use a folder beside it.")
    inner = next(job_folders(path), None)
    if inner is not None and inner != path:
        raise FolderTaken(f"{folder} contains the job folder {inner}. Use a separate folder for each job.")


def refuse_taken(folder: Path) -> None:
    """Raise `FolderTaken` if a folder holds a job."""
    if (folder / RECORD).is_file():
        held = HeldJob(folder)
        raise FolderTaken(
            f"{folder} already holds a job: run {held.record.run_id}, {held.state().status}. Use another folder, or "
            "--force (in Python, force=True) to abort that job and replace it."
        )


def make_room(folder: Path, *, force: bool) -> JobRecord | None:
    """Return the record of the job that a folder held, if any; a job that has not ended is aborted first.

    Raises:
        FolderTaken: The folder holds a job, and `force` is not set.
    """
    if not (folder / RECORD).is_file():
        return None
    if not force:
        refuse_taken(folder)
    held = HeldJob(folder)
    if held.state().may_run:
        held.stop(timeout=None)
    return held.record
