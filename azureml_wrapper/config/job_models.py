"""The config of a job, and the files of a project's `.azureml` folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from azureml_wrapper.config.models import Model, WorkspaceConfig
from azureml_wrapper.config.values import ParameterValue, Script, Text

# Arguments that the wrapper itself passes to a job's script.
RESERVED = ("--config_file", "--input_dir", "--output_dir", "--num_gpus")
# Azure ML expands variables in arguments.
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def _check_datastore_folder(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise PydanticCustomError("value", "{path} must be a path below the datastore's root", {"path": repr(path)})
    return path.rstrip("/")


def _check_job_argument(name: str) -> str:
    if name in RESERVED:
        raise PydanticCustomError("value", "{name} is set by another key of the config", {"name": name})
    if not name.startswith("--") or not name.strip("-") or any(letter.isspace() for letter in name):
        raise PydanticCustomError("value", "{name} is not an argument such as '--name'", {"name": repr(name)})
    return name


def _check_key(name: str) -> str:
    if name.startswith("-") or not name or any(letter.isspace() for letter in name):
        raise PydanticCustomError("value", "{name} is not a key such as SOLVER.BASE_LR", {"name": repr(name)})
    return name


def _check_expansion(value: ParameterValue) -> ParameterValue:
    if isinstance(value, str) and _VARIABLE.search(value):
        raise PydanticCustomError(
            "value",
            "{value} has a $ before a name, which Azure ML would replace with an environment variable",
            {"value": repr(value)},
        )
    return value


DatastoreFolder = Annotated[str, AfterValidator(_check_datastore_folder)]
Value = Annotated[ParameterValue, AfterValidator(_check_expansion)]


class JobConfig(WorkspaceConfig):
    """One script as one job.

    The script gets `config_file`, a file of the script folder, as `--config_file`; `input_dir`, a folder of the
    datastore (by default its root), mounted, as `--input_dir`; `output_path`, a folder of the datastore (by default
    named after the job folder), mounted, as `--output_dir`; `num_gpus`, the number of processes that it starts; and
    `parameters` after everything else, as `KEY VALUE`. `output_dir` is the job folder on this machine.
    `max_run_seconds` is when the run is canceled; Azure ML's own limit is 30 days.
    """

    noun: ClassVar[str] = "job"
    script_name: Script
    env_name: Text
    compute_name: Text
    script_directory: Path | None = None
    config_file: Script | None = None
    parameters: dict[Annotated[str, AfterValidator(_check_key)], Value] | None = None
    arguments: dict[Annotated[str, AfterValidator(_check_job_argument)], Value] | None = None
    datastore_name: Text | None = None
    input_dir: DatastoreFolder = ""
    output_dir: Text | None = None
    output_path: DatastoreFolder | None = None
    num_gpus: Annotated[int, Field(ge=0)] | None = None
    tags: dict[Text, str] | None = None
    environment_variables: dict[Text, str] | None = None
    max_run_seconds: Annotated[int, Field(ge=1)] | None = None


class ComputeFile(Model):
    """`.azureml/compute_target.json`: the name of a compute target in the workspace."""

    noun: ClassVar[str] = "compute target"
    compute_target: Text


class DatastoreFile(Model):
    """`.azureml/datastore.json`: a datastore; with all four keys, it is registered if necessary."""

    noun: ClassVar[str] = "datastore"
    datastore_name: Text
    account_name: Text | None = None
    container_name: Text | None = None
    account_key: Text | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        given = (self.account_name, self.container_name, self.account_key)
        if any(given) and not all(given):
            names = ("account_name", "container_name", "account_key")
            missing = [name for name, value in zip(names, given, strict=True) if not value]
            raise PydanticCustomError(
                "value", "a new datastore also needs {missing}", {"missing": " and ".join(missing)}
            )
        return self


class EnvironmentFile(Model):
    """`.azureml/environment.json`: the name of an environment, and its packages if it may have to be registered."""

    noun: ClassVar[str] = "environment"
    name: Text
    dependencies: list[Text] | None = None
    requirements: Path | None = None
    conda_file: Path | None = None
    docker_image: Text | None = None
    python_version: Text | None = None
    environment_variables: dict[Text, str] | None = None
