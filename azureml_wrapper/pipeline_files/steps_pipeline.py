"""StepsPipeline: a PipelineWrapper of a pipeline configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection.target import LOCAL, choose_target
from azureml_wrapper.errors import ConfigNotFound
from azureml_wrapper.pipeline import PipelineWrapper
from azureml_wrapper.pipeline_files.builder import StepsBuilder, datastore_names
from azureml_wrapper.pipeline_files.resources import set_up_compute, set_up_datastore
from azureml_wrapper.pipeline_files.steps_file import StepsFile, load_steps
from azureml_wrapper.pipeline_files.variables import Variables
from azureml_wrapper.workspace import WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.config.readers import Document


class StepsPipeline(PipelineWrapper):
    """The steps of a pipeline configuration file, one after the other, on the cluster that the variables name.

    Building it makes the cluster and registers the datastores where they are not there. It has no parameters.
    """

    def __init__(self, file: StepsFile, workspace: WorkspaceWrapper) -> None:
        self.workspace, self.file = workspace, file
        self.pipeline_parameters, self.path_parameters = {}, {}
        self.warm = True
        self._pipeline, self.experiment = None, None
        self.steps = list(file.steps)  # type: ignore[arg-type] # of a step, lists and checks want what FileStep has

    @classmethod
    def of(cls, source: Config | Document, ws_config: Config = None, **connection: Any) -> StepsPipeline:
        """Of a dict, a file or what was read of one; `ConfigError` tells all that is wrong with it."""
        file = load_steps(source)
        return cls(file, open_workspace(ws_config, **connection))

    def build_steps(self) -> list[Any]:
        """The SDK's steps; what they need of the cluster and the datastores is made where it is not there."""
        ws, variables = self.workspace.ws, Variables(self.file.document.folder)
        compute = set_up_compute(ws, variables, self.file.entries)
        return StepsBuilder(ws, self.file, compute, self._datastores(ws, variables)).build()

    def _sdk_steps(self, ws: Workspace) -> Any:
        from azureml.pipeline.core import StepSequence

        return StepSequence(self.build_steps())

    def _datastores(self, ws: Workspace, variables: Variables) -> dict[str | None, Any]:
        names = dict.fromkeys(datastore_names(self.file).values())
        return {name: set_up_datastore(ws, name, variables) if name else ws.get_default_datastore() for name in names}


def open_workspace(ws_config: Config = None, **options: Any) -> WorkspaceWrapper:
    """The workspace that a config names, by default the nearest .azureml/config.json.

    A connected `workspace` among the options wins. The local Azure ML needs no config: its workspace is "local" then.
    """
    if (connected := options.get("workspace")) is not None:
        return WorkspaceWrapper.from_workspace(connected)
    try:
        return WorkspaceWrapper.from_config(ws_config, **options)
    except ConfigNotFound:
        if ws_config is not None or choose_target("", options.get("target")) != LOCAL:
            raise
        return WorkspaceWrapper(LOCAL, LOCAL, LOCAL, **options)
