"""BasePipeline and TrainPipeline: a pipeline configuration file, constructed and run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_experiment_name
from azureml_wrapper.connection.target import DEFAULT_LOCATION
from azureml_wrapper.messages import inform
from azureml_wrapper.pipeline_files.variables import set_up_compute, set_up_datastore
from azureml_wrapper.pipelines.checks import check
from azureml_wrapper.pipelines.sdk_v1 import Renderer, build
from azureml_wrapper.run import ENDS, RunWrapper
from azureml_wrapper.workspace import WorkspaceWrapper, open_workspace

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.pipeline.core import Pipeline

    from azureml_wrapper.config.loader import Config

# Seconds to wait for the id of the first step, and between two requests for it.
_FIRST_STEP, _PAUSE = 10.0, 0.2


class BasePipeline(ABC):
    """Base class of pipelines from a configuration file. Subclasses build the SDK's Pipeline in `construct_pipeline`.

    Args:
        pipeline_config: The pipeline configuration file (.json or .yml), or its content as a mapping; see
            docs/pipeline-files.md.
        ws_config: A config that names the workspace. Default: the nearest `.azureml/config.json`.
        auth, target, workspace, location: As for WorkspaceWrapper.

    Raises:
        ConfigError: The file is missing or invalid. The message lists all problems.
    """

    def __init__(
        self,
        pipeline_config: Config,
        ws_config: Config = None,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        from azureml_wrapper.pipeline_files.steps_file import load_steps
        from azureml_wrapper.pipeline_files.variables import Variables
        from azureml_wrapper.pipelines.loading import definition_of_file

        self.file = load_steps(pipeline_config)
        self.workspace: WorkspaceWrapper = open_workspace(
            ws_config, auth=auth, target=target, workspace=workspace, location=location
        )
        self.variables = Variables(self.file.document.folder)
        self.definition = definition_of_file(self.file, self.variables)
        self.pipeline: Pipeline | None = None

    @property
    def ws(self) -> Workspace:
        """The SDK's own Workspace."""
        return self.workspace.ws

    def set_up_compute(self) -> Any:
        """The cluster that AML_COMPUTE_CLUSTER_NAME names, created if it does not exist."""
        return set_up_compute(self.ws, self.variables, {step.name: step.nodes for step in self.definition.steps})

    def set_up_datastore(self, name: str) -> Any:
        """Return a datastore, registered from the BLOB_ variables if it does not exist.

        Args:
            name: Name of the datastore.

        Raises:
            MissingKey: The datastore does not exist, and a BLOB_ variable is not set (a KeyError).
        """
        return set_up_datastore(self.ws, name, self.variables)

    def build_steps(self) -> list[Any]:
        """The SDK's steps of the file, in order, with the cluster and the datastores that they need.

        Raises:
            ScriptNotFound, SnapshotTooLarge, SecretInFolder: A script folder may not be uploaded as it is.
        """
        check(self.definition)
        return Renderer(self.ws, self.definition, is_local=self.workspace.is_local).steps()

    @abstractmethod
    def construct_pipeline(self) -> None:
        """Set `pipeline` to the SDK's Pipeline."""

    def run_pipeline(self, experiment_name: str, tags: Mapping[str, str] | None = None) -> RunWrapper:
        """Submit the pipeline, report the ids of the run and of its first steps, and return the run at once.

        Args:
            experiment_name: Experiment of the run: 1 to 256 letters, digits, "_" and "-".
            tags: Tags of the run.

        Returns:
            The run; call its `wait` to wait until it has ended. The pipeline is constructed first if it is not yet.

        Raises:
            BadName: The experiment name is invalid (a ValueError).
        """
        from azureml.core import Experiment

        check_experiment_name(experiment_name)
        if self.pipeline is None:
            self.construct_pipeline()
        experiment = Experiment(self.ws, experiment_name)
        run = RunWrapper(experiment.submit(self.pipeline, tags=dict(tags) if tags else None))
        inform(show_ids(run))
        return run


class TrainPipeline(BasePipeline):
    """The steps of a pipeline configuration file, one after the other.

    pipeline = TrainPipeline("pipeline_config.json")
    pipeline.construct_pipeline()
    run = pipeline.run_pipeline(experiment_name="DEV-train-pipeline")
    """

    def construct_pipeline(self) -> None:
        """Build the steps; the cluster and the datastores are created if they do not exist."""
        self.pipeline = build(self.ws, self.definition, is_local=self.workspace.is_local)


def show_ids(run: RunWrapper) -> str:
    """The ids of a run and of its first steps, for whoever wants to cancel one of them."""
    steps = "".join(f"Step {name!r}: {step.id}\n" for name, step in _begun(run).items())
    cancel = f"Cancel it with: aml cancel {run.id} (or one step, by its id or name: aml cancel {run.id} STEP)"
    return f"Run {run.id}\n{run.portal_url}\n{steps}{cancel}"


def _begun(run: RunWrapper) -> dict[str, RunWrapper]:
    """The steps that have started, as soon as there is one; none if that takes long."""
    deadline = time.monotonic() + _FIRST_STEP
    while not (steps := run.steps) and time.monotonic() < deadline and run.status not in ENDS:
        time.sleep(_PAUSE)
    return steps
