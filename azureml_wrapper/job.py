"""JobWrapper: one script as one job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_experiment_name
from azureml_wrapper.connection.target import DEFAULT_LOCATION
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import ScriptRunConfig, Workspace

    from azureml_wrapper.config.job_models import JobConfig
    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.run import RunWrapper


class JobWrapper:
    """One script as one job. The constructor checks its arguments; it does not connect to Azure ML.

    The script gets `--config_file`, `--input_dir` and `--output_dir` (mounted folders of the datastore) and
    `--num_gpus`, then `arguments`, then `parameters` as `KEY VALUE`. With an `output_dir`, that folder remembers the
    job, and JobFolder works with it.

    Args:
        ws_name: The name of the workspace.
        resource_group: Its resource group.
        subscription_id: Its subscription; "local" is the local Azure ML.
        script_name: The script, relative to `script_directory`.
        env_name: The environment to run in. Required.
        compute_name: The compute target to run on. Required.
        script_directory: The folder to upload; the current one by default.
        config_file: A file of that folder, which the script gets as `--config_file`.
        parameters: KEY -> value, which the script gets after its other arguments.
        arguments: `--name` -> value, which the script gets besides.
        datastore_name: The datastore of `input_dir` and `output_path`; the workspace's default one by default.
        input_dir: A folder of the datastore, which the script gets as `--input_dir`; the whole datastore by default.
        output_dir: The job folder, on this machine.
        output_path: The folder of the datastore that the script gets as `--output_dir`; named after the job folder by
            default.
        num_gpus: The number of processes that the script starts.
        tags: Tags of the run.
        environment_variables: Environment variables of the script; a job folder does not remember their values.
        max_run_seconds: When to cancel the run; Azure ML's own limit is 30 days.
        auth, target, workspace, location: As for WorkspaceWrapper.

    Raises:
        ConfigError: Arguments are missing or invalid; the message lists all of them.
    """

    def __init__(
        self,
        ws_name: str,
        resource_group: str,
        subscription_id: str,
        script_name: str,
        *,
        env_name: str | None = None,
        compute_name: str | None = None,
        script_directory: PathLike | None = None,
        config_file: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
        datastore_name: str | None = None,
        input_dir: str | None = None,
        output_dir: str | None = None,
        output_path: str | None = None,
        num_gpus: int | None = None,
        tags: Mapping[str, str] | None = None,
        environment_variables: Mapping[str, str] | None = None,
        max_run_seconds: int | None = None,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        from azureml_wrapper.config.job_models import JobConfig
        from azureml_wrapper.config.loader import check

        # The parameters have the names of the model's fields.
        given = {name: value for name, value in locals().items() if name in JobConfig.model_fields}
        config = check(JobConfig, {name: value for name, value in given.items() if value is not None})
        connection = {"auth": auth, "target": target, "workspace": workspace, "location": location}
        self._config: JobConfig = config
        self.workspace = WorkspaceWrapper(ws_name, resource_group, subscription_id, **connection)

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
        """Create the job of a dict, or of a .json or .yml file.

        Args:
            config: The arguments of the constructor; in a file, `script_directory` is relative to the file's folder.
            auth, target, workspace, location: As for WorkspaceWrapper.

        Raises:
            ConfigError: The config is invalid; the message lists all problems.
        """
        from azureml_wrapper.config.job_models import JobConfig
        from azureml_wrapper.config.loader import load

        found, document = load(JobConfig, config)
        if document.path is not None:
            folder = document.folder / (found.script_directory or ".")
            found = found.model_copy(update={"script_directory": folder})
        connection = {"auth": auth, "target": target, "workspace": workspace, "location": location}
        names = (found.ws_name, found.resource_group, found.subscription_id)
        return cls._of(found, WorkspaceWrapper(*names, **connection))

    @classmethod
    def _of(cls, config: JobConfig, workspace: WorkspaceWrapper) -> JobWrapper:
        """A job whose config has been checked."""
        job = cls.__new__(cls)
        job._config, job.workspace = config, workspace
        return job

    @property
    def script_directory(self) -> Path:
        """The folder that is uploaded with the script."""
        from azureml_wrapper.jobs.script_run import script_folder

        return script_folder(self._config)

    @property
    def output_dir(self) -> Path | None:
        """The job folder, if there is one."""
        from azureml_wrapper.jobs.script_run import job_folder

        return job_folder(self._config)

    @property
    def arguments(self) -> list[str]:
        """The script's arguments; `$AZUREML_DATAREFERENCE_…` stands for the path of a mounted folder."""
        from azureml_wrapper.jobs.script_run import arguments

        return arguments(self._config)

    def check(self) -> None:
        """Raise `ScriptNotFound`, `SnapshotTooLarge` or `SecretInFolder` if the script folder may not be uploaded."""
        from azureml_wrapper.jobs.script_run import check_files

        check_files(self._config)

    def build(self) -> ScriptRunConfig:
        """Return the SDK's ScriptRunConfig, with the newest version of the environment.

        Raises:
            NotRegistered: The workspace lacks something that the job names; the message lists all of it.
        """
        from azureml_wrapper.jobs.script_run import build

        return build(self.workspace.ws, self._config, self.script_directory)

    def submit(
        self, experiment_name: str, *, force: bool = False, tags: Mapping[str, str] | None = None
    ) -> RunWrapper:
        """Submit the job, and return its run at once.

        Args:
            experiment_name: The experiment of the run; created if it does not exist.
            force: Abort the job that `output_dir` holds, if it has not ended, and replace it.
            tags: Tags of the run besides those of the job.

        Raises:
            FolderTaken: `output_dir` holds a job, and `force` is not set.
            ScriptNotFound, SnapshotTooLarge, SecretInFolder: The script folder may not be uploaded as it is.
            NotRegistered, MissingInput: The workspace or the datastore lacks something. Nothing was submitted.
        """
        from azureml_wrapper.jobs.occupancy import refuse_taken
        from azureml_wrapper.jobs.submission import Submission

        self.check()
        submission = Submission(self._config, self.workspace, check_experiment_name(experiment_name), tags or {})
        if self.output_dir and not force:
            refuse_taken(self.output_dir)
        return submission.prepare().submit(force=force)

    def __repr__(self) -> str:
        return f"JobWrapper({self._config.script_name!r}, {self._config.output_dir!r})"
