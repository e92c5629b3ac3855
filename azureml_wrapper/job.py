"""JobWrapper: one script as one job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_experiment_name
from azureml_wrapper.connection.target import DEFAULT_LOCATION, LOCAL
from azureml_wrapper.errors import ConnectionFailed, FolderTaken
from azureml_wrapper.messages import hushed, say
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.resubmission import RESUBMITTED_FROM
from azureml_wrapper.snapshots.script_folder import check_script, check_sent, check_size
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import ScriptRunConfig, Workspace

    from azureml_wrapper.config.job_models import JobConfig
    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.jobs.record import JobRecord

# Property and tag of a run that repeats another one.
ORIGINAL = "original_run_id"


class JobWrapper:
    """A job: making one asks Azure nothing, and checks what it is given as a config is checked.

    The script gets `--config_file`, `--input_dir` and `--output_dir` (mounted folders of the datastore),
    `--num_gpus`, then `arguments`, then `overrides` as `KEY VALUE`; see config/jobs.py. With an `output_dir`, that
    folder remembers the job, and JobFolder works with it. `options` are those of WorkspaceWrapper.
    """

    def __init__(
        self, ws_name: str, resource_group: str, subscription_id: str, script_name: str, **fields: Any
    ) -> None:
        from azureml_wrapper.config.job_models import JobConfig
        from azureml_wrapper.config.loader import check

        options = {name: fields.pop(name) for name in ("auth", "target", "workspace", "location") if name in fields}
        names = {"ws_name": ws_name, "resource_group": resource_group, "subscription_id": subscription_id}
        self._fields: JobConfig = check(JobConfig, {**names, "script_name": script_name, **fields})
        self.workspace = WorkspaceWrapper(ws_name, resource_group, subscription_id, **options)

    @classmethod
    def from_config(
        cls,
        config: Config = None,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> JobWrapper:
        """The job of a dict or of a .json or .yml file; `ConfigError` tells all that is wrong with it.

        `script_directory` is relative to the file's folder. The keywords are those of WorkspaceWrapper.
        """
        from azureml_wrapper.config.job_models import JobConfig
        from azureml_wrapper.config.loader import load

        found, document = load(JobConfig, config)
        if document.path is not None:
            folder = document.folder / (found.script_directory or ".")
            found = found.model_copy(update={"script_directory": folder})
        names = (found.ws_name, found.resource_group, found.subscription_id)
        opened = WorkspaceWrapper(*names, auth=auth, target=target, workspace=workspace, location=location)
        return cls._of(found, opened)

    @classmethod
    def _of(cls, fields: JobConfig, workspace: WorkspaceWrapper) -> JobWrapper:
        """A job whose fields were checked already."""
        job = cls.__new__(cls)
        job._fields, job.workspace = fields, workspace
        return job

    @property
    def script_directory(self) -> Path:
        """The folder that is sent with the script: the current one unless given."""
        return Path(self._fields.script_directory or ".").expanduser().resolve()

    @property
    def output_dir(self) -> Path | None:
        """The job folder."""
        return Path(self._fields.output_dir).expanduser() if self._fields.output_dir else None

    @property
    def arguments(self) -> list[str]:
        """What the script gets; `$AZUREML_DATAREFERENCE_…` stands for the path of a mounted folder."""
        from azureml_wrapper.jobs.submission import arguments

        return arguments(self._fields)

    def check(self) -> None:
        """Raise `ScriptNotFound` or `SnapshotTooLarge` where the script folder cannot be sent."""
        check_script(self.script_directory, self._fields.script_name)
        for name in filter(None, (self._fields.script_name, self._fields.config_file)):
            check_sent(self.script_directory, name)
        check_size(self.script_directory)

    def build(self) -> ScriptRunConfig:
        """The SDK's ScriptRunConfig, with the newest version of the environment."""
        from azureml_wrapper.jobs.submission import build

        return build(self.workspace.ws, self._fields, self.script_directory)

    def submit(
        self, experiment_name: str, *, force: bool = False, tags: Mapping[str, str] | None = None
    ) -> RunWrapper:
        """Submit the job, and return its run at once.

        An `output_dir` that holds a job raises `FolderTaken`; with `force`, that job is aborted if it has not ended,
        and the new one takes its place. Raises `ConfigError`, `ScriptNotFound`, `SnapshotTooLarge`, `NotRegistered`
        and `MissingInput` before anything is sent.
        """
        self.check()
        submission = Submission(self, check_experiment_name(experiment_name), tags or {})
        if self.output_dir and not force:
            refuse_taken(self.output_dir)
        return submission.prepare().submit(force=force)

    def __repr__(self) -> str:
        return f"JobWrapper({self._fields.script_name!r}, {self._fields.output_dir!r})"


class Submission:
    """One submit. What is missing is told before anything is changed; the record is written before the run begins.

    `again` is the record of the job that is repeated, with its scripts of then unless `new_code`.
    """

    def __init__(
        self,
        job: JobWrapper,
        experiment: str,
        tags: Mapping[str, str],
        *,
        again: JobRecord | None = None,
        new_code: bool = False,
    ) -> None:
        self._job, self._experiment, self._fields = job, experiment, job._fields
        self._again, self._new_code = again, new_code
        origin = {ORIGINAL: again.original_run_id or again.run_id} if again else {}
        self._tags = {**(job._fields.tags or {}), **tags, **origin}
        self._made: Any = None
        self._snapshot: str | None = None

    def prepare(self) -> Submission:
        """Look up all that the job names."""
        from azureml_wrapper.jobs import preparation, submission

        ws = self._job.workspace.ws
        store = submission.datastore_of(ws, self._fields)
        preparation.check_container(store)
        preparation.check_input(store, self._fields.input_dir)
        if self._again is None or self._new_code:
            self._made = self._job.build()
        else:
            raw = ws.get_run(self._again.run_id)
            self._made = submission.build(ws, self._fields, Path.cwd(), raw.get_environment())
            self._snapshot = raw.get_snapshot_id()
        return self

    def submit(self, *, force: bool = False) -> RunWrapper:
        """Into the job's folder, if it has one."""
        from azureml_wrapper.jobs import locks, submission

        folder = self._job.output_dir
        if folder is None:
            return RunWrapper(self._send(submission.new_run_id(self._experiment)))
        check_place(folder)
        with locks.locked(folder):
            return self.submit_into(folder, make_room(folder, force=force))

    def submit_into(self, folder: Path, earlier: JobRecord | None) -> RunWrapper:
        """For somebody who holds the folder; `earlier` is what it held."""
        from azureml_wrapper.jobs.submission import new_run_id

        run_id = new_run_id(self._experiment)
        record = self._record(run_id, earlier)
        with kept(folder, record, earlier, self._job.workspace):
            raw = self._send(run_id)
            if self._again:
                raw.add_properties({ORIGINAL: self._tags[ORIGINAL], RESUBMITTED_FROM: self._again.run_id})
        run = RunWrapper(raw)
        record.evolve(portal_url=run.portal_url).write(folder)
        return run

    def _send(self, run_id: str) -> Any:
        from azureml_wrapper.jobs import submission

        ws, tags = self._job.workspace.ws, self._tags
        if self._snapshot is None:
            return submission.send(ws, self._experiment, self._made, run_id=run_id, tags=tags)
        return submission.send_again(
            ws, self._experiment, self._made, run_id=run_id, tags=tags, snapshot_id=self._snapshot
        )

    def _record(self, run_id: str, earlier: JobRecord | None) -> JobRecord:
        from azureml_wrapper.jobs import git
        from azureml_wrapper.jobs.record import JobRecord

        again = self._again
        scope, ws = self._job.workspace.scope, self._job.workspace.ws
        return JobRecord(
            run_id=run_id,
            experiment=self._experiment,
            subscription_id=scope.subscription_id,
            resource_group=scope.resource_group,
            ws_name=scope.name,
            target=LOCAL if self._job.workspace.is_local else "azure",
            address=str(ws.service_context._get_run_history_url()),
            portal_url="",
            submitted=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            asked=self._asked(),
            git=again.git if again and not self._new_code else git.state(self._job.script_directory),
            tags=self._tags,
            variables=tuple(self._fields.environment_variables or ()),
            original_run_id=self._tags.get(ORIGINAL) if again else None,
            resubmitted_from=again.run_id if again else None,
            earlier=(*earlier.earlier, earlier.run_id) if earlier else (),
        )

    def _asked(self) -> dict[str, Any]:
        from azureml_wrapper.jobs.submission import output_path

        given = self._fields.model_copy(
            update={"script_directory": self._job.script_directory, "output_path": output_path(self._fields)}
        )
        asked: dict[str, Any] = given.model_dump(mode="json", exclude_none=True, exclude={"environment_variables"})
        return asked


@contextmanager
def kept(folder: Path, record: JobRecord, earlier: JobRecord | None, workspace: WorkspaceWrapper) -> Iterator[None]:
    """Remember a job while it is submitted; what was there before comes back where no run has come of it."""
    from azureml_wrapper.jobs.record import RECORD

    record.write(folder)
    try:
        yield
    except BaseException:
        if _was_sent(workspace, record.run_id):
            say(f"Run {record.run_id} was sent all the same; {folder} keeps it.")
        elif earlier:
            earlier.write(folder)
        else:
            (folder / RECORD).unlink(missing_ok=True)
        raise


def _was_sent(workspace: WorkspaceWrapper, run_id: str) -> bool:
    """Whether the workspace has the run; where it does not answer, it may."""
    from azureml._restclient.exceptions import ServiceException
    from azureml.exceptions import AzureMLException
    from msrest.exceptions import ClientException

    try:
        with hushed():
            workspace.ws.get_run(run_id)
    except ServiceException as error:
        return bool(error.status_code != HTTPStatus.NOT_FOUND)
    except (AzureMLException, ClientException, ConnectionFailed, OSError):
        return True
    return True


def check_place(folder: PathLike) -> None:
    """Raise `FolderTaken` for a folder in another job's folder, or around one: `all` would not find both."""
    from azureml_wrapper.jobs.record import RECORD
    from azureml_wrapper.jobs.selection import job_folders

    place = Path(folder).absolute()
    for above in place.parents:
        if (above / RECORD).is_file():
            raise FolderTaken(f"{folder} lies in the job folder {above}. Use a folder beside it.")
    inner = next(job_folders(place), None)
    if inner is not None and inner != place:
        raise FolderTaken(f"{folder} has the job folder {inner} in it. Use a folder of its own for each job.")


def make_room(folder: Path, *, force: bool) -> JobRecord | None:
    """The job that the folder held; aborted where it had not ended. `FolderTaken` without `force`."""
    from azureml_wrapper.jobs.folder import JobFolder
    from azureml_wrapper.jobs.record import RECORD
    from azureml_wrapper.jobs.states import GONE

    if not (folder / RECORD).is_file():
        return None
    if not force:
        refuse_taken(folder)
    held = JobFolder(folder)
    state = held.state(line=False)
    if not (state.has_ended or state.status == GONE):
        held.cancel_run(timeout=None)
    return held.record


def refuse_taken(folder: Path) -> None:
    """Raise `FolderTaken` where a folder holds a job."""
    from azureml_wrapper.jobs.folder import JobFolder
    from azureml_wrapper.jobs.record import RECORD

    if (folder / RECORD).is_file():
        held = JobFolder(folder)
        raise FolderTaken(
            f"{folder} holds a job already: run {held.record.run_id}, {held.status}. Use another folder, or --force "
            "(in Python, force=True) to abort it and put the new job in its place."
        )
