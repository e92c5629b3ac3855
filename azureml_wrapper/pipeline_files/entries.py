"""What can be configured in a pipeline configuration file: a JSON or YAML mapping of steps, each with a type.

The keys and what they mean are those of the project that made up the format; docs/pipeline-files.md lists them. Each
description becomes part of the schema that editors read.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from azureml_wrapper.config.models import Model, Text, _check_path, _check_script

# The arguments that a step gets from the wrapper itself.
INPUT_ARGUMENT, OUTPUT_ARGUMENT = "--input_data", "--output"
# Arguments that ParallelRunStep gives to its own program (azureml/pipeline/core/_parallel_run_step_base.py).
PARALLEL_RESERVED = frozenset(
    """
    client_sdk_version scoring_module_name mini_batch_size error_threshold allowed_failed_count allowed_failed_percent
    output output_action logging_level process_count_per_node run_invocation_timeout run_max_try append_row_file_name
    partition_keys
    """.split()  # noqa: SIM905 - a list of 14 names would be 14 lines
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BATCH = re.compile(r"\d+([kKmMgG][bB])?")
_FILE_NAME = re.compile(r'[^~"#%&*:<>?/\\{|}]+')


def _check_name(name: str) -> str:
    """Outputs and references become environment variables of a job (azureml/data/_config_helper.py)."""
    if not _NAME.fullmatch(name):
        proposal = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("0123456789") or "data"
        raise PydanticCustomError(
            "value",
            "{name} may have letters, digits and '_' only, and begins with no digit; {proposal}, for instance",
            {"name": repr(name), "proposal": repr(proposal)},
        )
    return name


def _check_datastore(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,255}", name):
        raise PydanticCustomError(
            "value", "{name} is no name of a datastore: small letters, digits and '_' only", {"name": repr(name)}
        )
    return name


def _check_count(value: Any) -> Any:
    # pydantic makes 1 of true.
    if isinstance(value, bool):
        raise PydanticCustomError("value", "is a whole number, not {value}", {"value": str(value).lower()})
    return value


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise PydanticCustomError("value", "cannot be split into words: {why}", {"why": str(error)}) from error


def _check_argument(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        found = "empty" if value is None else type(value).__name__
        raise PydanticCustomError("value", "an argument is a text or a number, not {found}", {"found": found})
    if str(value).partition("=")[0] in (INPUT_ARGUMENT, OUTPUT_ARGUMENT):
        raise PydanticCustomError(
            "value", "{value} is added by itself, from the keys input_… and output", {"value": str(value)}
        )
    return str(value)


def _check_batch(value: Any) -> Any:
    if isinstance(value, bool) or not _BATCH.fullmatch(str(value)) or not int(re.sub(r"\D", "", str(value))):
        raise PydanticCustomError(
            "value", "is a number of files, or a size such as '10KB' or '1MB'; not {value}", {"value": repr(value)}
        )
    return str(value)


def _check_file_name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise PydanticCustomError("value", "{name} is no name of a file", {"name": repr(name)})
    return name


Count = Annotated[int, BeforeValidator(_check_count), Field(ge=1)]
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
    script: Annotated[str, Field(min_length=1), AfterValidator(_check_script)] = Field(
        description="The script's path below source_directory."
    )
    source_directory: Text = Field(description="The folder that is sent: the script, and all that it imports.")
    arguments: Arguments = Field(default=[], description="Arguments of the script, as a list or as one text.")
    requirements: Text | None = Field(default=None, description="A file that lists pip packages for this step.")
    base_image: Text | None = Field(default=None, description="A docker image below the packages.")
    output: Name | None = Field(
        default=None, description="Name of the step's output: a folder that the script gets as --output."
    )
    input_datareference_path: Annotated[str, AfterValidator(_check_path)] | None = Field(
        default=None, description="Folder or file of the datastore that the script gets as --input_data."
    )
    input_datareference_name: Name | None = Field(default=None, description="What Azure ML calls this input.")
    input_dataset_name: Annotated[str, AfterValidator(_check_datastore)] | None = Field(
        default=None, description="Name of the datastore; registered from BLOB_* where it is not there yet."
    )
    node_count: Count = Field(default=1, description="Number of nodes.")
    processes_per_node: Count | None = Field(default=None, description="Number of processes on each node.")
    allow_reuse: bool = Field(default=True, description="Whether unchanged steps are reused from earlier runs.")

    @property
    def has_reference(self) -> bool:
        """Whether the input is a place of a datastore, not the output of a step before."""
        given = (self.input_datareference_path, self.input_datareference_name, self.input_dataset_name)
        return any(value is not None for value in given)

    @property
    def reference_name(self) -> str:
        return self.input_datareference_name or "input_data"


class PythonScriptEntry(StepEntry):
    """A script that runs as one process."""

    type: Literal["PythonScriptStep"]

    @model_validator(mode="after")
    def _one_process(self) -> Self:
        for key in ("node_count", "processes_per_node"):
            value = getattr(self, key)
            if value not in (None, 1):
                raise PydanticCustomError(
                    "value",
                    "{key} is {value}, but a PythonScriptStep is one process; use MpiStep or ParallelRunStep",
                    {"key": key, "value": value},
                )
        return self


class MpiEntry(StepEntry):
    """A script that runs as node_count times processes_per_node processes of MPI."""

    type: Literal["MpiStep"]


class ParallelRunEntry(StepEntry):
    """A script with `init()` and `run(mini_batch)`, called by many processes for parts of the input."""

    type: Literal["ParallelRunStep"]
    mini_batch_size: Annotated[Any, AfterValidator(_check_batch)] = Field(
        default="10",
        description="Files per call of run, or the size of such a part.",
        json_schema_extra={"type": ["integer", "string"]},
    )
    error_threshold: Annotated[int, Field(ge=-1)] = Field(
        default=0, description="So many failed files are ignored; -1 ignores all."
    )
    output_action: Literal["append_row", "summary_only"] = Field(
        default="append_row", description="append_row gathers what run returns in one file of the output."
    )
    append_row_file_name: Annotated[str, AfterValidator(_check_file_name)] | None = Field(
        default=None, description="That file's name: parallel_run_step.txt unless given."
    )
    run_invocation_timeout: Count = Field(default=60, description="Seconds for one call of run.")
    run_max_try: Count = Field(default=3, description="Tries for a part whose call fails.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.output_action == "append_row" and self.output is None:
            raise PydanticCustomError(
                "value", "output is missing: append_row writes a file there; give it, or 'summary_only'"
            )
        if self.output_action == "summary_only" and self.append_row_file_name is not None:
            raise PydanticCustomError("value", "append_row_file_name is for output_action 'append_row' only")
        self._check_arguments()
        return self

    def _check_arguments(self) -> None:
        if self.arguments and not self.arguments[0].startswith("-"):
            raise PydanticCustomError(
                "value",
                "arguments: {value} has no name, and a ParallelRunStep takes named ones only, as '--name'",
                {"value": repr(self.arguments[0])},
            )
        for name in (argument.partition("=")[0] for argument in self.arguments):
            if name.removeprefix("--") in PARALLEL_RESERVED and name.startswith("--"):
                raise PydanticCustomError(
                    "value", "arguments: {name} is one of ParallelRunStep itself; use another name", {"name": name}
                )


TYPES: dict[str, type[StepEntry]] = {
    "PythonScriptStep": PythonScriptEntry,
    "MpiStep": MpiEntry,
    "ParallelRunStep": ParallelRunEntry,
}
