"""What can be configured: one model per kind of config.

Names and defaults are those of the constructors of WorkspaceWrapper, PipelineStep and PipelineWrapper. A key that
stands in none of them is an error.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from azureml_wrapper.config.parameters import NAME

# The arguments that a step gets from the wrapper itself.
RESERVED = ("--config", "--input-folder", "--output-folder")
# The parameters of a step that the SDK fills itself (azureml/pipeline/core/_module_parameter_provider.py); one of the
# same name would change the step.
TAKEN = frozenset(
    """
    AMLComputeLocation AMLComputeName AMLComputeNodeCount AMLComputeRetainCluster AMLComputeVmPriority
    AMLComputeVmSize Arguments AutoPrepareEnvironment BaseDockerImage BaseDockerfile BaseImageRegistryAddress
    BaseImageRegistryPassword BaseImageRegistryUsername BatchAiResourceGroup BatchAiSubscriptionId
    BatchAiWorkspaceName ClusterName Command Communicator CondaDependencies ContainerInstanceCpuCores
    ContainerInstanceMemoryGb ContainerInstanceRegion DirectoriesToWatch DockerArguments DockerEnabled
    EnvironmentVariables ExposedPorts Framework GpuSupport HistoryOutputCollection InterpreterPath JobName
    MLCComputeType MaxRunDurationSeconds MpiProcessCountPerNode NativeSharedDirectory NodeCount
    PrecachePackages PrepareEnvironment RunConfiguration Runconfig Script SharedVolumes ShmSize
    SourceDirectoryDataStore SparkConfiguration SparkMavenPackages SparkRepositories Target TargetType
    TensorflowParameterServerCount TensorflowWorkerCount UserManagedDependencies YarnDeployMode
    """.split()  # noqa: SIM905 - a list of 55 names would be 55 lines
)


def _check_argument(name: str) -> str:
    if not name.startswith("--") or not name.strip("-") or any(character.isspace() for character in name):
        raise PydanticCustomError("value", "{name} is not an argument; it is written '--name'", {"name": repr(name)})
    return name


def _check_dataset_argument(name: str) -> str:
    if name in RESERVED:
        raise PydanticCustomError(
            "value", "{name} is an argument that every step has; use another name", {"name": name}
        )
    return _check_argument(name)


def _check_folder_argument(name: str) -> str:
    if name in ("--config", "--output-folder"):
        raise PydanticCustomError(
            "value", "{name} has another use; use a name such as '--train-folder'", {"name": name}
        )
    return _check_argument(name)


def _check_script(name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise PydanticCustomError("value", "{name} must lie in the folder that is sent", {"name": repr(name)})
    return name


def _check_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise PydanticCustomError(
            "value", "{path} is no path on a datastore, as 'folder/file.csv'", {"path": repr(path)}
        )
    return path


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    """A script gets its config as JSON, and must find there what was written here."""
    for path, found in _not_json(value, ""):
        raise PydanticCustomError(
            "type", "{path} is {found}, which JSON does not have", {"path": path, "found": found}
        )
    return value


def _check_parameter(name: str) -> str:
    """The name becomes that of an environment variable, and of a parameter of each step that uses it."""
    if not NAME.fullmatch(name) or name in TAKEN:
        why = "is one that Azure ML has itself" if name in TAKEN else "is to have letters, digits and '_' only"
        raise PydanticCustomError("value", "the name {name} {why}", {"name": repr(name), "why": why})
    return name


def _check_value(value: Any) -> Any:
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        found = "empty" if value is None else repr(value) if isinstance(value, float) else type(value).__name__
        raise PydanticCustomError("value", "is a text, a number, or true or false; not {found}", {"found": found})
    return value


def _not_json(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        keys = [(f"{path}[{key!r}]", "a key that is not text") for key in value if not isinstance(key, str)]
        return keys + [wrong for key, item in value.items() for wrong in _not_json(item, f"{path}[{key!r}]")]
    if isinstance(value, (list, tuple)):
        return [wrong for index, item in enumerate(value) for wrong in _not_json(item, f"{path}[{index}]")]
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return [(path, f"a {type(value).__name__}")]
    return []


Text = Annotated[str, Field(min_length=1)]
DatasetArgument = Annotated[str, AfterValidator(_check_dataset_argument)]
ParameterName = Annotated[str, AfterValidator(_check_parameter)]
# One validator, for pydantic tells of a union one problem per member, and makes 1 of true.
ParameterValue = Annotated[Any, AfterValidator(_check_value)]
FolderArgument = Annotated[str, AfterValidator(_check_folder_argument)]


class Model(BaseModel):
    """Base of all: unknown keys are errors, and nothing is changed after it was checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    noun: ClassVar[str] = "config"


class WorkspaceConfig(Model):
    """Which workspace. `workspace_name`, as Azure's own config.json has it, is read as `ws_name`."""

    noun: ClassVar[str] = "workspace"
    ws_name: Text
    resource_group: Text
    subscription_id: Text


class PathInput(Model):
    """A file or a folder of a datastore. With `parameter`, each run may be given another one by that name."""

    noun: ClassVar[str] = "path"
    datastore: Text
    path: Annotated[str, Field(min_length=1), AfterValidator(_check_path)]
    mode: Literal["mount", "download"] = "mount"
    parameter: ParameterName | None = None


class StepFields(Model):
    """One step: a script, what it gets, and where it runs.

    `input_steps` says whose output folders the step reads: argument -> name of a step. Without it, the step reads the
    folder of the step before it; an empty mapping makes it read none. `input_paths` are files and folders of a
    datastore: argument -> where. `arguments` are further ones of the script: argument -> value. `retries` says how
    often a run that is waited for tries the step again. `warm: false` lets the local Azure ML start the step's script
    in a new process instead of forking one that has imported the SDK already; in Azure it has no effect.
    """

    noun: ClassVar[str] = "step"
    step_name: Text
    script_name: Annotated[str, Field(min_length=1), AfterValidator(_check_script)]
    step_config: Annotated[dict[Any, Any], AfterValidator(_check_json)] | None = None
    input_datasets: dict[DatasetArgument, Text] | None = None
    input_paths: dict[DatasetArgument, PathInput] | None = None
    script_directory: Path | None = None
    env_name: Text | None = None
    compute_name: Text | None = None
    allow_reuse: bool = True
    arguments: dict[DatasetArgument, ParameterValue] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    warm: bool | None = None
    input_steps: dict[FolderArgument, Text] | None = None

    def renamed(self, names: dict[str, str]) -> Self:
        """The same, with other names in `input_steps`."""
        if not self.input_steps:
            return self
        renamed = {argument: names[step] for argument, step in self.input_steps.items()}
        return self.model_copy(update={"input_steps": renamed})


class StepConfig(StepFields, WorkspaceConfig):
    """A step on its own: it says itself where its datasets are."""


class PipelineStepConfig(StepFields):
    """A step of a pipeline: it may repeat which workspace it belongs to."""

    ws_name: Text | None = None
    resource_group: Text | None = None
    subscription_id: Text | None = None


class ParametersConfig(Model):
    """What each run of a pipeline may change."""

    noun: ClassVar[str] = "pipeline"
    pipeline_parameters: dict[ParameterName, ParameterValue] | None = None


class PipelineConfig(ParametersConfig, WorkspaceConfig):
    """A whole pipeline. Steps run in the order in which they stand, where `input_steps` does not say otherwise.

    `pipeline_parameters` are values that each run may change, with their defaults; `${{parameters.NAME}}` stands for
    one in `step_config` and `arguments`. `warm` is for the steps that do not say it themselves.
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
