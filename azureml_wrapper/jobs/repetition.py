"""Submits the job of a folder again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import BadArgument, FolderTaken
from azureml_wrapper.jobs.states import GONE, State
from azureml_wrapper.run import RunWrapper

if TYPE_CHECKING:
    from azureml_wrapper.config.job_models import JobConfig
    from azureml_wrapper.jobs.folder import JobFolder


def resubmit(folder: JobFolder, overrides: Mapping[str, Any], *, new_code: bool, force: bool) -> RunWrapper:
    """The new run, for somebody who holds the folder."""
    from azureml_wrapper.job import JobWrapper, Submission

    state = folder.state(line=False)
    if state.status == GONE and not new_code:
        raise BadArgument(
            f"The run of {folder.path} is gone, and its scripts with it. Give --new-code (in Python, new_code=True) "
            f"to submit the job with the scripts of {folder.record.asked.get('script_directory')} as they are now."
        )
    runs_still = not (state.has_ended or state.status == GONE)
    if runs_still and not force:
        raise FolderTaken(
            f"The job of {folder.path} is {state.status}: run {folder.record.run_id}. Wait for its end, abort it "
            f"(`aml abort {folder.path}`), or give --force (in Python, force=True) for both at once."
        )
    config = asked(folder, overrides).model_copy(update={"environment_variables": _variables(folder, state)})
    job = JobWrapper._of(config, folder.workspace)
    if new_code:
        job.check()
    made = Submission(job, folder.record.experiment, {}, again=folder.record, new_code=new_code).prepare()
    if runs_still:
        folder.cancel_run(timeout=None)
    return made.submit_into(folder.path, folder.record)


def _variables(folder: JobFolder, state: State) -> dict[str, str] | None:
    """The environment variables of the run before, which the record does not hold."""
    names = folder.record.variables
    if not names:
        return None
    if state.status == GONE:
        raise BadArgument(
            f"The run of {folder.path} is gone, and with it the values of {', '.join(names)}. Submit the job anew."
        )
    definition = folder.run.raw.get_details()["runDefinition"]
    return {str(name): str(value) for name, value in definition["environmentVariables"].items()}


def asked(folder: JobFolder, overrides: Mapping[str, Any]) -> JobConfig:
    """The config of a job folder's job, with other values for some keys."""
    from azureml_wrapper.config.job_models import JobConfig
    from azureml_wrapper.config.loader import check

    given = folder.record.asked
    before = given.get("overrides") or {}
    return check(JobConfig, {**given, "overrides": {**before, **overrides} or None, "output_dir": str(folder.path)})
