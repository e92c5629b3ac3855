"""PipelineStep: one script of a pipeline, its inputs, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.connection.target import DEFAULT_LOCATION
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.config.models import PathInput
    from azureml_wrapper.pipelines.definition import Definition, Step

_NOT_IN_CONFIG = ("self", "auth", "target", "workspace", "location")


class PipelineStep:
    """A step of a pipeline. Its arguments are checked as a config is.

    Creating one does not connect. If this process is connected to the workspace already, datasets are looked up.

    Args:
        ws_name: Name of the workspace.
        resource_group: Its resource group.
        subscription_id: Its subscription; "local" for the local Azure ML.
        step_name: Name of the step, unique in its pipeline.
        script_name: The script, relative to `script_directory`, with or without ".py".
        step_config: Passed to the script as `--config`, in JSON.
        input_datasets: Argument -> registered dataset. In the script, `run.input_datasets[<name of the dataset>]` is
            the dataset; for a dataset of files, the path of a folder.
        script_directory: The folder to upload with the script; the current one by default.
        env_name, compute_name: For a step that differs from its pipeline.
        input_steps: Argument -> step whose output folder the script gets. By default, the step reads from the step
            before it; see PipelineWrapper.
        allow_reuse: Reuse the results of an earlier run if nothing has changed.
        arguments: Further arguments of the script. In them and in `step_config`, `${{parameters.lr}}` is a parameter
            of the pipeline.
        retries: How many times a run that is waited for tries the step again after a failure.
        input_paths: Argument -> file or folder of a datastore, `{"datastore": …, "path": …}`; the script gets a local
            path. With a `parameter`, each run may be given another path by that name.
        warm: False lets the local Azure ML start the script in a new process instead of forking one that has imported
            the SDK already; in Azure it has no effect. None: what the pipeline says.
        type: "PythonScriptStep" (one process), "MpiStep" or "ParallelRunStep".
        node_count, processes_per_node: Of an MpiStep or a ParallelRunStep.
        mini_batch_size, error_threshold, output_action, append_row_file_name, run_invocation_timeout, run_max_try:
            Of a ParallelRunStep; docs/pipeline-files.md has their defaults.
        auth, target, workspace, location: As for WorkspaceWrapper.

    Raises:
        ConfigError: Arguments are missing or invalid. The message lists all problems.
        UnregisteredDataset: The workspace is connected and does not have a dataset (a NameError).
    """

    def __init__(
        self,
        ws_name: str,
        resource_group: str,
        subscription_id: str,
        step_name: str,
        script_name: str,
        step_config: Mapping[str, Any] | None = None,
        input_datasets: Mapping[str, str] | None = None,
        script_directory: PathLike | None = None,
        *,
        env_name: str | None = None,
        compute_name: str | None = None,
        allow_reuse: bool = True,
        input_steps: Mapping[str, str] | None = None,
        arguments: Mapping[str, Parameter] | None = None,
        retries: int = 0,
        input_paths: Mapping[str, Mapping[str, str]] | None = None,
        warm: bool | None = None,
        type: str = "PythonScriptStep",  # noqa: A002 - the name of the config's key
        node_count: int = 1,
        processes_per_node: int | None = None,
        mini_batch_size: int | str | None = None,
        error_threshold: int | None = None,
        output_action: str | None = None,
        append_row_file_name: str | None = None,
        run_invocation_timeout: int | None = None,
        run_max_try: int | None = None,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        # Before anything else, so that these are the arguments: the keys of a config and their values.
        given = {name: value for name, value in locals().items() if name not in _NOT_IN_CONFIG}
        from azureml_wrapper.config.loader import check
        from azureml_wrapper.config.models import StepConfig
        from azureml_wrapper.pipelines.loading import step_of

        self._step: Step = step_of(check(StepConfig, given))
        self.workspace = WorkspaceWrapper(
            ws_name, resource_group, subscription_id, auth=auth, target=target, workspace=workspace, location=location
        )
        self._definition: Definition | None = None
        self._check_datasets()

    @classmethod
    def from_config(
        cls,
        config: Config = None,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> PipelineStep:
        """Load a step from a dict or a .json or .yml file.

        Args:
            config: By default, the nearest .azureml/config.json. A relative `script_directory` is below the file's
                folder.
            auth, target, workspace, location: As for WorkspaceWrapper.

        Raises:
            ConfigError: With all problems of the config.
            UnregisteredDataset: The workspace is connected and does not have a dataset (a NameError).
        """
        from azureml_wrapper.config.loader import load
        from azureml_wrapper.config.models import StepConfig
        from azureml_wrapper.pipelines.loading import step_of

        found, document = load(StepConfig, config)
        names = (found.ws_name, found.resource_group, found.subscription_id)
        opened = WorkspaceWrapper(*names, auth=auth, target=target, workspace=workspace, location=location)
        made = cls._of(step_of(found, document.folder if document.path else None), opened)
        made._check_datasets()
        return made

    @classmethod
    def _of(cls, step: Step, workspace: WorkspaceWrapper, definition: Definition | None = None) -> PipelineStep:
        made = cls.__new__(cls)
        made._step, made.workspace, made._definition = step, workspace, definition
        return made

    def _check_datasets(self) -> None:
        if self.input_datasets and (ws := self.workspace._connected()) is not None:
            Lookup(ws).datasets(self.input_datasets.values())

    @property
    def name(self) -> str:
        """The name of the step, unique in its pipeline."""
        return self._step.name

    @property
    def type(self) -> str:
        """PythonScriptStep, MpiStep or ParallelRunStep."""
        return self._step.kind

    @property
    def script_name(self) -> str:
        """The script's file, relative to `script_directory`."""
        return self._step.script

    @property
    def script_directory(self) -> Path:
        """The folder that is uploaded with the script."""
        return self._step.directory

    @property
    def config(self) -> dict[str, Any] | None:
        """What the script gets as `--config`."""
        config = self._step.config
        return None if config is None else dict(config)

    @property
    def input_datasets(self) -> dict[str, str]:
        """Argument -> name of a registered dataset."""
        return self._step.datasets

    @property
    def input_paths(self) -> dict[str, PathInput]:
        """Argument -> file or folder of a datastore."""
        from azureml_wrapper.config.models import PathInput

        keys = PathInput.model_fields
        slots = self._step.paths.items()
        return {name: PathInput.model_construct(**{key: getattr(slot, key) for key in keys}) for name, slot in slots}

    @property
    def input_steps(self) -> dict[str, str] | None:
        """Argument -> step whose folder the script gets; None for the step before."""
        reads = self._step.reads
        return None if reads is None else dict(reads)

    @property
    def env_name(self) -> str | None:
        """The step's own environment; None for the pipeline's."""
        environment = self._step.environment
        return environment.name if environment else None

    @property
    def compute_name(self) -> str | None:
        """The step's own compute target; None for the pipeline's."""
        return self._step.compute

    @property
    def allow_reuse(self) -> bool:
        """Whether results of an earlier run may be reused if nothing has changed."""
        return self._step.allow_reuse

    @property
    def retries(self) -> int:
        """How many times a run that is waited for tries the step again after a failure."""
        return self._step.retries

    @property
    def warm(self) -> bool | None:
        """Whether the local Azure ML may fork the script; None for what the pipeline says."""
        return self._step.warm

    @property
    def parameters(self) -> set[str]:
        """The parameters of the pipeline that the step uses."""
        return self._step.parameters

    @property
    def arguments(self) -> list[Any]:
        """The script's arguments for the SDK: `["--config", <JSON>, "--test-data", <named input>, …]`.

        Datasets are looked up in their newest versions. Paths and folders of other steps are included if the step is
        one of a pipeline's `steps`: `--input-folder` and `--output-folder`, for example.

        Raises:
            UnregisteredDataset: A NameError that names the datasets that the workspace does not have.
        """
        from azureml_wrapper.pipelines.sdk_v1 import own_arguments, pipeline_arguments

        if self._definition is not None:
            return pipeline_arguments(self.workspace.ws, self._definition, self.name)
        return own_arguments(self._step, Lookup(self.workspace.ws), {})

    def __repr__(self) -> str:
        return f"PipelineStep({self.name!r}, {self.script_name!r})"
