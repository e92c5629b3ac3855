"""What can be configured: one model per kind of config.

Names and defaults are those of the constructors of WorkspaceWrapper, PipelineStep and PipelineWrapper. An unknown key
is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from azureml_wrapper.config import values
from azureml_wrapper.config.steps import PARALLEL, PARALLEL_KEYS, PYTHON
from azureml_wrapper.config.values import (
    Count,
    DatasetArgument,
    DatastorePath,
    ErrorThreshold,
    FileName,
    FolderArgument,
    JsonObject,
    OptionalBatchSize,
    OutputAction,
    ParameterName,
    ParameterValue,
    Retries,
    Script,
    StepType,
    Text,
)


class Model(BaseModel):
    """Base of all: unknown keys are errors, and a checked config does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    noun: ClassVar[str] = "config"


class WorkspaceConfig(Model):
    """Which workspace. `workspace_name`, the name in Azure's own config.json, is read as `ws_name`."""

    noun: ClassVar[str] = "workspace"
    ws_name: Text
    resource_group: Text
    subscription_id: Text


class PathInput(Model):
    """A file or folder of a datastore. With `parameter`, each run may be given another one by that name."""

    noun: ClassVar[str] = "path"
    datastore: Text
    path: Annotated[DatastorePath, Field(min_length=1)]
    mode: Literal["mount", "download"] = "mount"
    parameter: ParameterName | None = None


class StepFields(Model):
    """One step: a script, its inputs, and where it runs.

    `type` is PythonScriptStep (one process), MpiStep (`node_count` times `processes_per_node` processes of MPI) or
    ParallelRunStep (a script with `init()` and `run(mini_batch)`, called by many processes for parts of the input).
    `input_steps` says whose output folders the step reads: argument -> name of a step. Without it, the step reads the
    folder of the step before it; an empty mapping means none. `input_paths` are files and folders of a datastore:
    argument -> where. `arguments` are further arguments of the script: argument -> value. A run that is waited for
    tries a failed step up to `retries` times again. `warm: false` lets the local Azure ML start the step's script in
    a new process instead of forking one that has imported the SDK already; in Azure it has no effect.
    """

    noun: ClassVar[str] = "step"
    step_name: Text
    type: StepType = "PythonScriptStep"
    script_name: Script
    step_config: JsonObject | None = None
    input_datasets: dict[DatasetArgument, Text] | None = None
    input_paths: dict[DatasetArgument, PathInput] | None = None
    script_directory: Path | None = None
    env_name: Text | None = None
    compute_name: Text | None = None
    allow_reuse: bool = True
    arguments: dict[DatasetArgument, ParameterValue] | None = None
    retries: Retries = 0
    warm: bool | None = None
    input_steps: dict[FolderArgument, Text] | None = None
    node_count: Count = Field(default=1, description="Number of nodes.")
    processes_per_node: Count | None = Field(default=None, description="Number of processes on each node.")
    mini_batch_size: OptionalBatchSize = Field(
        default=None,
        description="ParallelRunStep: files per call of run (10 by default), or a size such as 1MB.",
        json_schema_extra={"type": ["integer", "string", "null"]},
    )
    error_threshold: ErrorThreshold | None = Field(
        default=None, description="ParallelRunStep: number of failed files to ignore (0 by default); -1 ignores all."
    )
    output_action: OutputAction | None = Field(
        default=None,
        description="ParallelRunStep: append_row (the default) gathers what run returns in one file of the output.",
    )
    append_row_file_name: FileName | None = Field(
        default=None, description="ParallelRunStep: that file's name, parallel_run_step.txt by default."
    )
    run_invocation_timeout: Count | None = Field(
        default=None, description="ParallelRunStep: seconds for one call of run (60 by default)."
    )
    run_max_try: Count | None = Field(
        default=None, description="ParallelRunStep: tries for a mini-batch whose call fails (3 by default)."
    )

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        if self.type == PARALLEL:
            self._check_parallel()
            return self
        for key in PARALLEL_KEYS:
            if getattr(self, key) is not None:
                raise values.refuse_key(key, "requires type ParallelRunStep")
        if self.type == PYTHON:
            values.check_one_process(self.node_count, self.processes_per_node)
        return self

    def _check_parallel(self) -> None:
        values.check_row_file(self.output_action, self.append_row_file_name)
        values.check_parallel_arguments(self.arguments or {})
        for argument, given in (self.input_paths or {}).items():
            if given.parameter is not None:
                raise values.refuse_key(
                    "input_paths",
                    "{argument} has a parameter, but the paths of a ParallelRunStep are fixed; "
                    "use a step of another type, or leave out the parameter",
                    argument=argument,
                )

    @property
    def parallel_keys(self) -> dict[str, Any]:
        """The keys of a ParallelRunStep that were given."""
        given = {key: getattr(self, key) for key in PARALLEL_KEYS}
        return {key: value for key, value in given.items() if value is not None}

    def renamed(self, names: dict[str, str]) -> Self:
        """The same, with other names in `input_steps`."""
        if not self.input_steps:
            return self
        renamed = {argument: names[step] for argument, step in self.input_steps.items()}
        return self.model_copy(update={"input_steps": renamed})


class StepConfig(StepFields, WorkspaceConfig):
    """A step on its own, which names its workspace."""


class PipelineStepConfig(StepFields):
    """A step of a pipeline: it may repeat the pipeline's workspace."""

    ws_name: Text | None = None
    resource_group: Text | None = None
    subscription_id: Text | None = None


class ParametersConfig(Model):
    """What each run of a pipeline may change."""

    noun: ClassVar[str] = "pipeline"
    pipeline_parameters: dict[ParameterName, ParameterValue] | None = None


class PipelineConfig(ParametersConfig, WorkspaceConfig):
    """A whole pipeline. Steps run in the order of the config unless `input_steps` says otherwise.

    `pipeline_parameters` are values that each run may change, with their defaults; `${{parameters.NAME}}` stands for
    one in `step_config` and `arguments`. `warm` applies to the steps that do not set it themselves.
    """

    noun: ClassVar[str] = "pipeline"
    env_name: Text
    compute_name: Text
    warm: bool = True
    steps: Annotated[dict[Any, PipelineStepConfig], Field(min_length=1)]

    def named_steps(self) -> list[PipelineStepConfig]:
        """The steps, with `input_steps` naming steps by their step_name, whether the config does so or by key."""
        names = {key: step.step_name for key, step in self.steps.items() if isinstance(key, str)}
        names |= {step.step_name: step.step_name for step in self.steps.values()}
        return [step.renamed(names) for step in self.steps.values()]
