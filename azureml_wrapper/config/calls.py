"""The arguments of methods: one model per method, checked as configs are, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from azureml_wrapper.config.models import Model
from azureml_wrapper.config.values import Text, refuse, refuse_key
from azureml_wrapper.errors import did_you_mean

_PRIORITIES = ("dedicated", "lowpriority")


def _check_priority(value: str) -> str:
    if value.lower() not in _PRIORITIES:
        hint = did_you_mean(value, _PRIORITIES).rstrip("?").replace(" Did", "; did")
        raise refuse(
            "must be 'dedicated' or 'lowpriority', got {value}{hint}", value=repr(value), hint=hint and f"{hint}?"
        )
    return value


def _whole(value: int) -> int:
    if value < 0:
        raise refuse("must be an integer ≥ 0, got {value}", value=value)
    return value


# Strict: "4" and true are mistakes in a program.
Whole = Annotated[int, Field(strict=True), AfterValidator(_whole)]
Flag = Annotated[bool, Field(strict=True)]


class RegisterCompute(Model):
    """The arguments of `WorkspaceWrapper.register_compute`."""

    noun: ClassVar[str] = "register_compute()"
    name: Text
    compute_size: Text
    compute_min_nodes: Whole
    compute_max_nodes: Whole
    vm_priority: Annotated[str, AfterValidator(_check_priority)]
    idle_seconds: Whole

    @model_validator(mode="after")
    def _check_nodes(self) -> Self:
        least = max(1, self.compute_min_nodes)
        if self.compute_max_nodes < least:
            raise refuse_key(
                "compute_max_nodes",
                "is {most}, but must be at least {least}, and not less than compute_min_nodes",
                most=self.compute_max_nodes,
                least=least,
            )
        return self


class RegisterEnv(Model):
    """The arguments of `WorkspaceWrapper.register_env`, except the paths of files."""

    noun: ClassVar[str] = "register_env()"
    name: Text
    dependencies: tuple[Text, ...] | None
    docker_image: Text | None
    python_version: Text | None


class RegisterBlobDatastore(Model):
    """The arguments of `WorkspaceWrapper.register_blob_datastore`."""

    noun: ClassVar[str] = "register_blob_datastore()"
    name: Text
    container_name: Text
    storage_name: Text
    storage_key: Text


class RegisterCsv(Model):
    """The arguments of `WorkspaceWrapper.register_csv`, except the path of the file."""

    noun: ClassVar[str] = "register_csv()"
    datastore_name: Text
    dataset_name: Text
    delimiter: str
    encoding: Text
    multi_line: Flag


class Run(Model):
    """The arguments of `PipelineWrapper.run`."""

    noun: ClassVar[str] = "run()"
    experiment_name: str
    wait: Flag
    show_output: Flag
    timeout: Annotated[float, Field(strict=True)] | None
    tags: Mapping[str, Any] | None
    regenerate_outputs: Flag
    continue_on_step_failure: Flag
    parameters: Mapping[str, Any] | None


class Register(Model):
    """The arguments of `PipelineWrapper.register` that nothing else checks."""

    noun: ClassVar[str] = "register()"
    parameters: Mapping[str, Any] | None
    start_now: Flag
    continue_on_step_failure: Flag
