"""The values of a config's keys, as types that pydantic checks. A message continues the name of its key."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from azureml_wrapper.config.parameters import NAME
from azureml_wrapper.config.steps import PARALLEL_RESERVED

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
_BATCH = re.compile(r"\d+([kKmMgG][bB])?")
_FILE_NAME = re.compile(r'[^~"#%&*:<>?/\\{|}]+')


def refuse(message: str, **values: Any) -> PydanticCustomError:
    """The error for a value that is not allowed."""
    return PydanticCustomError("value", message, values)


def refuse_key(key: str, message: str, **values: Any) -> PydanticCustomError:
    """The error of a model that concerns one of its keys (see `config.loader.explain`)."""
    return refuse(message, key=key, **values)


def check_one_process(node_count: int, processes_per_node: int | None) -> None:
    """A PythonScriptStep is one process on one node."""
    for key, value in (("node_count", node_count), ("processes_per_node", processes_per_node)):
        if value not in (None, 1):
            raise refuse_key(
                key, "is {value}, but a PythonScriptStep is one process; use MpiStep or ParallelRunStep", value=value
            )


def check_parallel_arguments(words: Iterable[str]) -> None:
    """A ParallelRunStep passes the script's arguments through a program that has arguments of its own."""
    for name in (word.partition("=")[0] for word in words):
        if name.startswith("--") and name.removeprefix("--") in PARALLEL_RESERVED:
            raise refuse_key("arguments", "{name} is reserved by ParallelRunStep; use another name", name=name)


def check_row_file(output_action: str | None, file_name: str | None) -> None:
    """Only append_row writes a file that can be named."""
    if output_action == "summary_only" and file_name is not None:
        raise refuse_key("append_row_file_name", "requires output_action 'append_row'")


def check_argument(name: str) -> str:
    """Refuse a name that argparse would not take as an option."""
    if not name.startswith("--") or not name.strip("-") or any(character.isspace() for character in name):
        raise refuse("{name} is not an argument; it is written '--name'", name=repr(name))
    return name


def check_script(name: str) -> str:
    """A script as Azure finds it, with `/`; refuse one outside the folder that is uploaded."""
    path = PureWindowsPath(name)
    if path.root or path.drive or ".." in path.parts:
        raise refuse("{name} must be inside the folder that is uploaded", name=repr(name))
    return name.replace("\\", "/")


def check_path(path: str) -> str:
    """Refuse a path that is absolute or leads out of the datastore."""
    if path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise refuse("{path} is not a path on a datastore, such as 'folder/file.csv'", path=repr(path))
    return path


def check_value(value: Any) -> Any:
    """Refuse a value that is not a string, a finite number, true or false."""
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        found = "nothing" if value is None else repr(value) if isinstance(value, float) else type(value).__name__
        raise refuse("must be a string, a number, true or false, got {found}", found=found)
    return value


def _check_dataset_argument(name: str) -> str:
    if name in RESERVED:
        raise refuse("{name} is passed to every step; use another name", name=name)
    return check_argument(name)


def _check_folder_argument(name: str) -> str:
    if name in ("--config", "--output-folder"):
        raise refuse("{name} is used for something else; use a name such as '--train-folder'", name=name)
    return check_argument(name)


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    """A script gets its config as JSON, and must find there what the config says."""
    for path, found in _not_json(value, ""):
        raise PydanticCustomError("type", "{path} is {found}", {"path": path, "found": found})
    return value


def _not_json(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        keys = [(f"{path}[{key!r}]", "a key that is not a string") for key in value if not isinstance(key, str)]
        return keys + [wrong for key, item in value.items() for wrong in _not_json(item, f"{path}[{key!r}]")]
    if isinstance(value, (list, tuple)):
        return [wrong for index, item in enumerate(value) for wrong in _not_json(item, f"{path}[{index}]")]
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return [(path, f"a {type(value).__name__}")]
    return []


def _check_parameter(name: str) -> str:
    """The name becomes that of an environment variable, and of a parameter of each step that uses it."""
    if not NAME.fullmatch(name) or name in TAKEN:
        why = "is reserved by Azure ML" if name in TAKEN else "may contain only letters, digits and '_'"
        raise refuse("the name {name} {why}", name=repr(name), why=why)
    return name


def _check_count(value: Any) -> Any:
    # pydantic converts true to 1.
    if isinstance(value, bool):
        raise refuse("must be an integer, got {value}", value=str(value).lower())
    return value


def _check_batch(value: Any) -> Any:
    if isinstance(value, bool) or not _BATCH.fullmatch(str(value)) or not int(re.sub(r"\D", "", str(value))):
        raise refuse("must be a number of files or a size such as '10KB' or '1MB', got {value}", value=repr(value))
    return str(value)


def _check_file_name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise refuse("{name} is not a valid file name", name=repr(name))
    return name


Text = Annotated[str, Field(min_length=1)]
Script = Annotated[str, Field(min_length=1), AfterValidator(check_script)]
DatastorePath = Annotated[str, AfterValidator(check_path)]
DatasetArgument = Annotated[str, AfterValidator(_check_dataset_argument)]
FolderArgument = Annotated[str, AfterValidator(_check_folder_argument)]
JsonObject = Annotated[dict[Any, Any], AfterValidator(_check_json)]
ParameterName = Annotated[str, AfterValidator(_check_parameter)]
# One validator, because pydantic reports one problem per member of a union, and converts true to 1.
ParameterValue = Annotated[Any, AfterValidator(check_value)]
Count = Annotated[int, BeforeValidator(_check_count), Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=100)]

StepType = Literal["PythonScriptStep", "MpiStep", "ParallelRunStep"]
BatchSize = Annotated[Any, AfterValidator(_check_batch)]
# Not `BatchSize | None`, for which pydantic reports two problems.
OptionalBatchSize = Annotated[Any, AfterValidator(lambda value: None if value is None else _check_batch(value))]
ErrorThreshold = Annotated[int, Field(ge=-1)]
OutputAction = Literal["append_row", "summary_only"]
FileName = Annotated[str, AfterValidator(_check_file_name)]
