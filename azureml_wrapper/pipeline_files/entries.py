"""The keys of a pipeline configuration file: a JSON or YAML mapping of steps, each with a type.

The keys and their meaning are those of the project that invented the format; docs/pipeline-files.md lists them. Each
description becomes part of the schema that editors read.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from typing_extensions import Self

from azureml_wrapper.config import values
from azureml_wrapper.config.models import Model
from azureml_wrapper.config.values import (
    BatchSize,
    Count,
    DatastorePath,
    ErrorThreshold,
    FileName,
    OutputAction,
    Retries,
    Script,
    Text,
)

# The arguments that a step gets from the wrapper itself.
INPUT_ARGUMENT, OUTPUT_ARGUMENT = "--input_data", "--output"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_name(name: str) -> str:
    """Outputs and references become environment variables of a job (azureml/data/_config_helper.py)."""
    if not _NAME.fullmatch(name):
        proposal = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("0123456789") or "data"
        raise values.refuse(
            "{name} may contain only letters, digits and '_', and may not start with a digit; try {proposal}",
            name=repr(name),
            proposal=repr(proposal),
        )
    return name


def _check_datastore(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,255}", name):
        raise values.refuse(
            "{name} is not a datastore name: use only lowercase letters, digits and '_'", name=repr(name)
        )
    return name


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise values.refuse("cannot be split into words: {why}", why=str(error)) from error


def _check_argument(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        found = "nothing" if value is None else type(value).__name__
        raise values.refuse("must be a string or a number, got {found}", found=found)
    if str(value).partition("=")[0] in (INPUT_ARGUMENT, OUTPUT_ARGUMENT):
        raise values.refuse("{value} is added from the keys input_… and output", value=str(value))
    return str(value)


Name = Annotated[str, AfterValidator(_check_name)]
Argument = Annotated[Any, AfterValidator(_check_argument)]
Arguments = Annotated[
    list[Argument],
    BeforeValidator(_split),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": ["string", "number"]}}, {"type": "string"}]}),
]


class StepEntry(Model):
    """A step of a pipeline configuration file."""

    noun: ClassVar[str] = "step"
    type: str
    name: Text = Field(description="The step's name in Azure ML.")
    script: Script = Field(description="The script's path below source_directory.")
    source_directory: Text = Field(description="The folder to upload: the script, and all that it imports.")
    arguments: Arguments = Field(default=[], description="Arguments of the script, as a list or as one string.")
    requirements: Text | None = Field(default=None, description="A file that lists pip packages for this step.")
    base_image: Text | None = Field(default=None, description="A docker image to install the packages into.")
    output: Name | None = Field(
        default=None, description="Name of the step's output: a folder that the script gets as --output."
    )
    input_datareference_path: DatastorePath | None = Field(
        default=None, description="Folder or file of the datastore that the script gets as --input_data."
    )
    input_datareference_name: Name | None = Field(default=None, description="Name of this input in Azure ML.")
    input_dataset_name: Annotated[str, AfterValidator(_check_datastore)] | None = Field(
        default=None, description="Name of the datastore; registered from BLOB_* if it does not exist yet."
    )
    node_count: Count = Field(default=1, description="Number of nodes.")
    processes_per_node: Count | None = Field(default=None, description="Number of processes on each node.")
    allow_reuse: bool = Field(default=True, description="Whether an unchanged step is reused from an earlier run.")
    retries: Retries = Field(
        default=0, description="How many times a run that is waited for tries the step again after a failure."
    )
    warm: bool | None = Field(
        default=None, description="false: the local Azure ML starts the script in a new process."
    )

    @property
    def has_reference(self) -> bool:
        """Whether the step reads from a datastore instead of from the output of a step before it."""
        given = (self.input_datareference_path, self.input_datareference_name, self.input_dataset_name)
        return any(value is not None for value in given)


class PythonScriptEntry(StepEntry):
    """A script that runs as one process."""

    type: Literal["PythonScriptStep"]

    @model_validator(mode="after")
    def _one_process(self) -> Self:
        values.check_one_process(self.node_count, self.processes_per_node)
        return self


class MpiEntry(StepEntry):
    """A script that runs as node_count times processes_per_node processes of MPI."""

    type: Literal["MpiStep"]


class ParallelRunEntry(StepEntry):
    """A script with `init()` and `run(mini_batch)`, called by many processes for parts of the input."""

    type: Literal["ParallelRunStep"]
    mini_batch_size: BatchSize = Field(
        default="10",
        description="Files per call of run, or a size such as 1MB.",
        json_schema_extra={"type": ["integer", "string"]},
    )
    error_threshold: ErrorThreshold = Field(
        default=0, description="Number of failed files to ignore; -1 ignores all."
    )
    output_action: OutputAction = Field(
        default="append_row", description="append_row gathers what run returns in one file of the output."
    )
    append_row_file_name: FileName | None = Field(
        default=None, description="That file's name, parallel_run_step.txt by default."
    )
    run_invocation_timeout: Count = Field(default=60, description="Seconds for one call of run.")
    run_max_try: Count = Field(default=3, description="Tries for a mini-batch whose call fails.")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.output_action == "append_row" and self.output is None:
            raise values.refuse_key(
                "output", "is missing: append_row writes a file there; give it, or use 'summary_only'"
            )
        values.check_row_file(self.output_action, self.append_row_file_name)
        if self.arguments and not self.arguments[0].startswith("-"):
            raise values.refuse_key(
                "arguments",
                "{value} has no name; a ParallelRunStep takes only named arguments, such as '--name'",
                value=repr(self.arguments[0]),
            )
        values.check_parallel_arguments(self.arguments)
        return self


TYPES: dict[str, type[StepEntry]] = {
    "PythonScriptStep": PythonScriptEntry,
    "MpiStep": MpiEntry,
    "ParallelRunStep": ParallelRunEntry,
}
