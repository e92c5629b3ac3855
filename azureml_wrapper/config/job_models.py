"""What can be configured of a job, and what the files of a project's `.azureml` folder hold."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from azureml_wrapper.config.models import Model, ParameterValue, Text, WorkspaceConfig, _check_script

# The arguments that a job's script gets from the wrapper itself.
RESERVED = ("--config_file", "--input_dir", "--output_dir", "--num_gpus")
# Azure expands the name of a variable in an argument.
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def _check_place(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise PydanticCustomError("value", "{path} is to be a path below the datastore's root", {"path": repr(path)})
    return path.rstrip("/")


def _check_job_argument(name: str) -> str:
    if name in RESERVED:
        raise PydanticCustomError("value", "{name} has a key of its own in the config", {"name": name})
    if not name.startswith("--") or not name.strip("-") or any(letter.isspace() for letter in name):
        raise PydanticCustomError("value", "{name} is not an argument; it is written '--name'", {"name": repr(name)})
    return name


def _check_key(name: str) -> str:
    if name.startswith("-") or not name or any(letter.isspace() for letter in name):
        raise PydanticCustomError("value", "{name} is no key; keys look like SOLVER.BASE_LR", {"name": repr(name)})
    return name


def _check_expansion(value: ParameterValue) -> ParameterValue:
    if isinstance(value, str) and _VARIABLE.search(value):
        raise PydanticCustomError(
            "value", "{value} has a $ before a name, which Azure replaces by a variable", {"value": repr(value)}
        )
    return value


Place = Annotated[str, AfterValidator(_check_place)]
Value = Annotated[ParameterValue, AfterValidator(_check_expansion)]


class JobConfig(WorkspaceConfig):
    """One script as one job.

    `config_file`, a file of the script folder, reaches the script as `--config_file`, and `overrides` after all else
    as `KEY VALUE`. `input_dir` is a folder of the datastore (its root unless given) and reaches the script, mounted,
    as `--input_dir`. `output_dir` is the job folder on this machine; the folder `output_path` of the datastore (by
    default of the same name) reaches the script, mounted, as `--output_dir`. `num_gpus` is for the script, which is
    to start as many processes. `max_run_seconds` ends the run; Azure's own limit is 30 days.
    """

    noun: ClassVar[str] = "job"
    script_name: Annotated[str, Field(min_length=1), AfterValidator(_check_script)]
    env_name: Text
    compute_name: Text
    script_directory: Path | None = None
    config_file: Text | None = None
    overrides: dict[Annotated[str, AfterValidator(_check_key)], Value] | None = None
    arguments: dict[Annotated[str, AfterValidator(_check_job_argument)], Value] | None = None
    datastore_name: Text | None = None
    input_dir: Place = ""
    output_dir: Text | None = None
    output_path: Place | None = None
    num_gpus: Annotated[int, Field(ge=0)] | None = None
    tags: dict[Text, str] | None = None
    environment_variables: dict[Text, str] | None = None
    max_run_seconds: Annotated[int, Field(ge=1)] | None = None


class ComputeFile(Model):
    """`.azureml/compute_target.json`: the name of a compute target of the workspace."""

    noun: ClassVar[str] = "compute target"
    compute_target: Text


class DatastoreFile(Model):
    """`.azureml/datastore.json`: a datastore; with the other three, one that is registered where it is not yet."""

    noun: ClassVar[str] = "datastore"
    datastore_name: Text
    account_name: Text | None = None
    container_name: Text | None = None
    account_key: Text | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (self.account_name, self.container_name, self.account_key)
        if any(given) and not all(given):
            names = ("account_name", "container_name", "account_key")
            missing = [name for name, value in zip(names, given, strict=True) if not value]
            raise PydanticCustomError(
                "value", "a new datastore needs {missing} as well", {"missing": " and ".join(missing)}
            )
        return self


class EnvironmentFile(Model):
    """`.azureml/environment.json`: the name of an environment, and what it consists of where it may be new."""

    noun: ClassVar[str] = "environment"
    name: Text
    dependencies: list[Text] | None = None
    requirements: Path | None = None
    conda_file: Path | None = None
    docker_image: Text | None = None
    python_version: Text | None = None
    environment_variables: dict[Text, str] | None = None
