"""What can be configured: one model per kind of config.

Names and defaults are those of the constructors of WorkspaceWrapper, PipelineStep and PipelineWrapper. A key that
stands in none of them is an error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import Self

# The arguments that a step gets from the wrapper itself.
RESERVED = ("--config", "--input-folder", "--output-folder")


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
        raise PydanticCustomError("value", "{name} must lie in script_directory", {"name": repr(name)})
    return name


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    """A script gets its config as JSON, and must find there what was written here."""
    for path, found in _not_json(value, ""):
        raise PydanticCustomError(
            "type", "{path} is {found}, which JSON does not have", {"path": path, "found": found}
        )
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


class StepFields(Model):
    """One step: a script, what it gets, and where it runs.

    `input_steps` says whose output folders the step reads: argument -> name of a step. Without it, the step reads the
    folder of the step before it; an empty mapping makes it read none.
    """

    noun: ClassVar[str] = "step"
    step_name: Text
    script_name: Annotated[str, Field(min_length=1), AfterValidator(_check_script)]
    step_config: Annotated[dict[Any, Any], AfterValidator(_check_json)] | None = None
    input_datasets: dict[DatasetArgument, Text] | None = None
    script_directory: Path | None = None
    env_name: Text | None = None
    compute_name: Text | None = None
    allow_reuse: bool = True
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


class PipelineConfig(WorkspaceConfig):
    """A whole pipeline. Steps run in the order in which they stand, where `input_steps` does not say otherwise."""

    noun: ClassVar[str] = "pipeline"
    env_name: Text
    compute_name: Text
    steps: Annotated[dict[Any, PipelineStepConfig], Field(min_length=1)]

    def named_steps(self) -> list[PipelineStepConfig]:
        """The steps, with `input_steps` naming steps by their step_name, whether the config does so or by key."""
        names = {key: step.step_name for key, step in self.steps.items() if isinstance(key, str)}
        names |= {step.step_name: step.step_name for step in self.steps.values()}
        return [step.renamed(names) for step in self.steps.values()]
