"""Submits a project's script, with everything that it needs in the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets import datastores
from azureml_wrapper.assets.environments import Packages, register_environment
from azureml_wrapper.assets.names import as_experiment_name, check_experiment_name
from azureml_wrapper.file_paths import DATA, DATASETS_VARIABLE, INPUT, SCRIPT_VARIABLE
from azureml_wrapper.jobs.script_run import new_run_id, send
from azureml_wrapper.messages import inform
from azureml_wrapper.projects.project import Project, datasets_path
from azureml_wrapper.projects.project_resources import compute_target, read_compute_file, required_data, upload_data
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.snapshots.script_folder import check_sent, check_upload

if TYPE_CHECKING:
    from azureml.core import ScriptRunConfig, Workspace

    from azureml_wrapper.workspace import WorkspaceWrapper


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """What to execute, and with what.

    Attributes:
        script_path: The script, relative to the pipeline directory.
        experiment_name: The experiment of the run; by default the script's name.
        config_path: A file of the pipeline directory, whose path is the script's first argument.
        required_datasets_path: A file or folder below data_blobs that the script gets.
        should_upload_datasets: Upload new and changed data first.
        compute: A .yaml file, or the name of a compute target; by default the project's compute.yaml.
        conda_file: The dependencies; by default the project's pptdaml.yaml.
        datastore_name: The datastore of the data; by default that of the workspace.
        target: The folder of the datastore that has the data.
        mode: How the data reach the script: "download" or "mount".
        delete: Delete from the datastore what the project does not have any more.
        arguments: The script's arguments after the config.
    """

    script_path: str
    experiment_name: str | None = None
    config_path: str = ""
    required_datasets_path: str = ""
    should_upload_datasets: bool = True
    compute: str | None = None
    conda_file: Path | None = None
    datastore_name: str | None = None
    target: str = DATA
    mode: str = "download"
    delete: bool = False
    arguments: tuple[str, ...] = ()


class Execution:
    """One execution of a project's script.

    The constructor checks everything that can be checked on this machine; `submit` connects to the workspace.
    """

    def __init__(self, workspace: WorkspaceWrapper, project: Project, options: ExecutionOptions) -> None:
        self._workspace, self._project, self._options = workspace, project, options
        self.script = project.script(options.script_path)
        self.config = project.config(options.config_path) if options.config_path else ""
        self.required = datasets_path(options.required_datasets_path)
        name = options.experiment_name or as_experiment_name(PurePosixPath(self.script).stem)
        self.experiment = check_experiment_name(name)
        self._conda_file = project.conda_file(options.conda_file)
        file = project.compute_file(options.compute)
        self._compute = read_compute_file(file) if file else options.compute or ""
        for uploaded in filter(None, (self.script, self.config)):
            check_sent(project.pipeline, uploaded)
        check_upload(project.pipeline)
        # Known before the run exists, so that it can be canceled at any time.
        self.run_id = new_run_id(self.experiment)
        self._is_sent = False

    def submit(self) -> RunWrapper:
        """Upload the data, prepare the compute target and the environment, and start the run.

        Raises:
            NotRegistered, MissingInput: The workspace or the datastore lacks something.
            TransferFailed: Not all data could be uploaded.
        """
        ws, options = self._workspace.ws, self._options
        name = options.datastore_name
        store = datastores.get_datastore(ws, name) if name else ws.get_default_datastore()
        if isinstance(self._compute, str):
            # A wrong name is reported before gigabytes are uploaded; what a file describes is created after them.
            compute_target(ws, self._compute)
        if options.should_upload_datasets:
            upload_data(self._project, store, options.target, delete=options.delete)
        made = self._configuration(ws, store)
        self._is_sent = True
        return RunWrapper(send(ws, self.experiment, made, run_id=self.run_id, tags={}))

    def submitted(self) -> RunWrapper | None:
        """Return the run, if it exists although `submit` was interrupted; an error of the workspace is raised."""
        from azureml._restclient.exceptions import ServiceException

        if not self._is_sent:
            return None
        try:
            return RunWrapper(self._workspace.ws.get_run(self.run_id))
        except ServiceException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _configuration(self, ws: Workspace, store: Any) -> ScriptRunConfig:
        from azureml.core import ScriptRunConfig
        from azureml.core.runconfig import DockerConfiguration

        variables, inputs = {SCRIPT_VARIABLE: self.script}, {}
        if self._options.required_datasets_path:
            inputs[INPUT], variables[DATASETS_VARIABLE] = required_data(
                ws, store, self._options.target, self.required, mode=self._options.mode
            )
            inform(f"The script gets {DATA}/{variables[DATASETS_VARIABLE]} by {self._options.mode}.")
        made = ScriptRunConfig(
            source_directory=str(self._project.pipeline),
            script=self.script,
            arguments=[*([self.config] if self.config else []), *self._options.arguments],
            compute_target=compute_target(ws, self._compute),
            environment=self._environment(ws),
            docker_runtime_config=DockerConfiguration(use_docker=True),
        )
        made.run_config.data = inputs
        made.run_config.environment_variables = variables
        return made

    def _environment(self, ws: Workspace) -> Any:
        """The environment of the conda file; a new version if the file has changed."""
        packages = Packages(conda_file=self._conda_file)
        return register_environment(ws, as_experiment_name(self._conda_file.stem), packages)
