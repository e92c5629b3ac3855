"""Sends a project's script to the workspace, with all that it needs."""

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
from azureml_wrapper.messages import say
from azureml_wrapper.projects import compute_file, project_data
from azureml_wrapper.projects.project import Project, datasets_path
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.snapshots.script_folder import check_sent, check_size

if TYPE_CHECKING:
    from azureml.core import ScriptRunConfig, Workspace

    from azureml_wrapper.workspace import WorkspaceWrapper


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be executed.

    `script_path` and `config_path` are paths in the pipeline directory; the config's is the script's first argument,
    before `arguments`. `required_datasets_path` is a file or folder below data_blobs that the job gets, downloaded or
    mounted (`mode`). `compute` is a .yaml file, or the name of a compute target; `conda_file` lists the dependencies.
    `datastore_name` None is the workspace's default one, where the data are kept below `target`. `delete` removes
    there what the project does not have any more.
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
    """One order of a project. Making it checks all that can be checked here; `submit` asks the workspace."""

    def __init__(self, workspace: WorkspaceWrapper, project: Project, order: Order) -> None:
        self._workspace, self._project, self._order = workspace, project, order
        self.script = project.script(order.script_path)
        self.config = project.config(order.config_path) if order.config_path else ""
        self.required = datasets_path(order.required_datasets_path)
        name = order.experiment_name or as_experiment_name(PurePosixPath(self.script).stem)
        self.experiment = check_experiment_name(name)
        self._conda_file = project.conda_file(order.conda_file)
        file = project.compute_file(order.compute)
        self._compute = compute_file.read_file(file) if file else order.compute or ""
        for sent in filter(None, (self.script, self.config)):
            check_sent(project.pipeline, sent)
        check_size(project.pipeline)
        # Known before the run is, so that it can be cancelled at any time.
        self.run_id = new_run_id(self.experiment)
        self._is_sent = False

    def submit(self) -> RunWrapper:
        """Upload the data, make the compute and the environment ready, and start the run."""
        ws, order = self._workspace.ws, self._order
        store = (
            datastores.get_datastore(ws, order.datastore_name) if order.datastore_name else ws.get_default_datastore()
        )
        if isinstance(self._compute, str):
            # A wrong name is told before gigabytes are uploaded; what a file describes is made after them.
            compute_file.compute_target(ws, self._compute)
        if order.should_upload_datasets:
            project_data.upload(self._project, store, order.target, delete=order.delete)
        made = self._configuration(ws, store)
        self._is_sent = True
        return RunWrapper(send(ws, self.experiment, made, run_id=self.run_id, tags={}))

    def submitted(self) -> RunWrapper | None:
        """The run, where it has come into being though `submit` was interrupted; an error where that is not known."""
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
        if self._order.required_datasets_path:
            inputs[INPUT], variables[DATASETS_VARIABLE] = project_data.required(
                ws, store, self._order.target, self.required, mode=self._order.mode
            )
            say(f"{DATA}/{variables[DATASETS_VARIABLE]} comes to the job by {self._order.mode}.")
        made = ScriptRunConfig(
            source_directory=str(self._project.pipeline),
            script=self.script,
            arguments=[*([self.config] if self.config else []), *self._order.arguments],
            compute_target=compute_file.compute_target(ws, self._compute),
            environment=self._environment(ws),
            docker_runtime_config=DockerConfiguration(use_docker=True),
        )
        made.run_config.data = inputs
        made.run_config.environment_variables = variables
        return made

    def _environment(self, ws: Workspace) -> Any:
        """A new version where the file has changed."""
        packages = Packages(conda_file=self._conda_file)
        return register_environment(ws, as_experiment_name(self._conda_file.stem), packages)
