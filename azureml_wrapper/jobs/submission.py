"""Submits jobs, and the job of a folder again.

All that a job needs is checked first, and the job is recorded before its run begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any

from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.loader import check
from azureml_wrapper.connection.target import LOCAL
from azureml_wrapper.errors import BadArgument, ConnectionFailed, FolderTaken
from azureml_wrapper.jobs import preparation, script_run
from azureml_wrapper.jobs.occupancy import HeldJob, check_place, locked, make_room
from azureml_wrapper.jobs.record import RECORD, JobRecord, git_state
from azureml_wrapper.jobs.script_run import check_files
from azureml_wrapper.jobs.states import GONE, JobState
from azureml_wrapper.messages import inform
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.resubmission import RESUBMITTED_FROM
from azureml_wrapper.workspace import WorkspaceWrapper

# The property and tag of a run that repeats another one.
ORIGINAL = "original_run_id"


class Submission:
    """One submit of a job. What is missing is reported before anything changes; the record precedes the run.

    Args:
        config: The job.
        workspace: The workspace to run it in.
        experiment: The name of an experiment, already checked.
        tags: Tags of the run besides those of the config.
        again: The record of the job that this one repeats.
        new_code: Use the scripts as they are now, not those of the run that is repeated.
    """

    def __init__(
        self,
        config: JobConfig,
        workspace: WorkspaceWrapper,
        experiment: str,
        tags: Mapping[str, str],
        *,
        again: JobRecord | None = None,
        new_code: bool = False,
    ) -> None:
        self._config, self._workspace, self._experiment = config, workspace, experiment
        self._again, self._new_code = again, new_code
        origin = {ORIGINAL: again.original_run_id or again.run_id} if again else {}
        self._tags = {**(config.tags or {}), **tags, **origin}
        self._made: Any = None
        self._snapshot: str | None = None

    def prepare(self) -> Submission:
        """Look up everything that the job names.

        Raises:
            NotRegistered: The workspace lacks something.
            MissingInput: The datastore has no file in `input_dir`.
        """
        ws, config = self._workspace.ws, self._config
        store = script_run.datastore_of(ws, config)
        preparation.check_container(store)
        preparation.check_input(store, config.input_dir)
        if self._again is None or self._new_code:
            self._made = script_run.build(ws, config, script_run.script_folder(config))
        else:
            raw = ws.get_run(self._again.run_id)
            self._made = script_run.build(ws, config, Path.cwd(), raw.get_environment())
            self._snapshot = raw.get_snapshot_id()
        return self

    def submit(self, *, force: bool = False) -> RunWrapper:
        """Submit into the job's folder, if it has one; `force` replaces the job that the folder holds."""
        folder = script_run.job_folder(self._config)
        if folder is None:
            return RunWrapper(self._send(script_run.new_run_id(self._experiment)))
        check_place(folder)
        with locked(folder):
            return self.submit_into(folder, make_room(folder, force=force))

    def submit_into(self, folder: Path, earlier: JobRecord | None) -> RunWrapper:
        """Submit into a folder that the caller has locked; `earlier` is the job that it held before."""
        run_id = script_run.new_run_id(self._experiment)
        record = self._record(run_id, earlier)
        with kept(folder, record, earlier, self._workspace):
            raw = self._send(run_id)
            if self._again:
                raw.add_properties({ORIGINAL: self._tags[ORIGINAL], RESUBMITTED_FROM: self._again.run_id})
        run = RunWrapper(raw)
        record.evolve(portal_url=run.portal_url).write(folder)
        return run

    def _send(self, run_id: str) -> Any:
        ws, tags = self._workspace.ws, self._tags
        if self._snapshot is None:
            return script_run.send(ws, self._experiment, self._made, run_id=run_id, tags=tags)
        return script_run.send_again(
            ws, self._experiment, self._made, run_id=run_id, tags=tags, snapshot_id=self._snapshot
        )

    def _record(self, run_id: str, earlier: JobRecord | None) -> JobRecord:
        again, scope, ws = self._again, self._workspace.scope, self._workspace.ws
        folder = script_run.script_folder(self._config)
        return JobRecord(
            run_id=run_id,
            experiment=self._experiment,
            subscription_id=scope.subscription_id,
            resource_group=scope.resource_group,
            ws_name=scope.name,
            target=LOCAL if self._workspace.is_local else "azure",
            address=str(ws.service_context._get_run_history_url()),
            portal_url="",
            submitted=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            asked=self._asked(folder),
            git=again.git if again and not self._new_code else git_state(folder),
            tags=self._tags,
            variables=tuple(self._config.environment_variables or ()),
            original_run_id=self._tags.get(ORIGINAL) if again else None,
            resubmitted_from=again.run_id if again else None,
            earlier=(*earlier.earlier, earlier.run_id) if earlier else (),
        )

    def _asked(self, folder: Path) -> dict[str, Any]:
        """The config with its defaults filled in."""
        used = {"script_directory": folder, "output_path": script_run.output_path(self._config)}
        asked: dict[str, Any] = self._config.model_copy(update=used).model_dump(
            mode="json", exclude_none=True, exclude={"environment_variables"}
        )
        return asked


@contextmanager
def kept(folder: Path, record: JobRecord, earlier: JobRecord | None, workspace: WorkspaceWrapper) -> Iterator[None]:
    """Record a job while it is submitted; if that fails before the run exists, restore the `earlier` record."""
    record.write(folder)
    try:
        yield
    except BaseException:
        if _was_sent(workspace, record.run_id):
            inform(f"Run {record.run_id} was submitted nevertheless; {folder} keeps it.")
        elif earlier:
            earlier.write(folder)
        else:
            (folder / RECORD).unlink(missing_ok=True)
        raise


def _was_sent(workspace: WorkspaceWrapper, run_id: str) -> bool:
    """Whether the workspace has the run, or may have it because it does not answer."""
    from azureml._restclient.exceptions import ServiceException
    from azureml.exceptions import AzureMLException
    from msrest.exceptions import ClientException

    try:
        workspace.ws.get_run(run_id)
    except ServiceException as error:
        return bool(error.status_code != HTTPStatus.NOT_FOUND)
    except (AzureMLException, ClientException, ConnectionFailed, OSError):
        return True
    return True


def resubmit(held: HeldJob, parameters: Mapping[str, Any], *, new_code: bool, force: bool) -> RunWrapper:
    """Submit the job again into its folder, which the caller has locked, and return the new run.

    Args:
        parameters: KEY -> value, which replace those of the job.
        new_code: Use the scripts as they are now, not those of the run that is repeated.
        force: Abort the job first if it has not ended.

    Raises:
        FolderTaken: The job has not ended, and `force` is not set.
        BadArgument: The run is gone, and with it the scripts or the environment variables.
    """
    state = held.state()
    if state.status == GONE and not new_code:
        raise BadArgument(
            f"The run of {held.path} is gone, and its scripts with it. Use --new-code (in Python, new_code=True) "
            f"to submit the job with the scripts of {held.record.asked.get('script_directory')} as they are now."
        )
    if state.may_run and not force:
        raise FolderTaken(
            f"The job of {held.path} is {state.status}: run {held.record.run_id}. Wait until it ends, abort it "
            f"(`aml abort {held.path}`), or use --force (in Python, force=True) to do both at once."
        )
    config = asked(held, parameters).model_copy(update={"environment_variables": _variables(held, state)})
    if new_code:
        check_files(config)
    submission = Submission(config, held.workspace, held.record.experiment, {}, again=held.record, new_code=new_code)
    submission.prepare()
    if state.may_run:
        held.stop(timeout=None)
    return submission.submit_into(held.path, held.record)


def asked(held: HeldJob, parameters: Mapping[str, Any]) -> JobConfig:
    """Return the config of a folder's job, with other values for some KEYs."""
    given = dict(held.record.asked)
    # Records of earlier versions call them overrides.
    before = given.pop("overrides", None) or given.get("parameters") or {}
    return check(JobConfig, {**given, "parameters": {**before, **parameters} or None, "output_dir": str(held.path)})


def _variables(held: HeldJob, state: JobState) -> dict[str, str] | None:
    """The environment variables of the previous run, which the record does not hold."""
    names = held.record.variables
    if not names:
        return None
    if state.status == GONE:
        raise BadArgument(
            f"The run of {held.path} is gone, and with it the values of {', '.join(names)}. Use `aml submit --force`."
        )
    definition = held.run.raw.get_details()["runDefinition"]
    return {str(name): str(value) for name, value in definition["environmentVariables"].items()}
