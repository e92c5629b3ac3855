"""Submits the job of a folder again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.loader import check
from azureml_wrapper.errors import BadArgument, FolderTaken
from azureml_wrapper.jobs.occupancy import HeldJob
from azureml_wrapper.jobs.script_run import check_files
from azureml_wrapper.jobs.states import GONE, JobState
from azureml_wrapper.jobs.submission import Submission
from azureml_wrapper.run import RunWrapper


def resubmit(held: HeldJob, overrides: Mapping[str, Any], *, new_code: bool, force: bool) -> RunWrapper:
    """Submit the job again into its folder, which the caller has locked, and return the new run.

    Args:
        overrides: KEY -> value, which replace those of the job.
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
    config = asked(held, overrides).model_copy(update={"environment_variables": _variables(held, state)})
    if new_code:
        check_files(config)
    submission = Submission(config, held.workspace, held.record.experiment, {}, again=held.record, new_code=new_code)
    submission.prepare()
    if state.may_run:
        held.stop(timeout=None)
    return submission.submit_into(held.path, held.record)


def asked(held: HeldJob, overrides: Mapping[str, Any]) -> JobConfig:
    """Return the config of a folder's job, with other values for some KEYs."""
    given = held.record.asked
    before = given.get("overrides") or {}
    return check(JobConfig, {**given, "overrides": {**before, **overrides} or None, "output_dir": str(held.path)})


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
