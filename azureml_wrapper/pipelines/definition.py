"""A pipeline as immutable data: what both kinds of config load into, and what both SDKs' forms are rendered from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from azureml_wrapper.assets.names import input_name
from azureml_wrapper.config.parameters import Parameter, used
from azureml_wrapper.config.steps import PARALLEL, PYTHON
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.pipelines.datastore_paths import DatastorePath, path_parameters
from azureml_wrapper.pipelines.wiring import OUTPUT_ARGUMENT, wire

if TYPE_CHECKING:
    from azureml_wrapper.assets.environments import Packages
    from azureml_wrapper.pipeline_files.variables import Variables

CONFIG_ARGUMENT = "--config"
OUTPUT_NAME = "output_folder"


@dataclass(frozen=True)
class Word:
    """A word of the command line, passed on as it is."""

    text: str


@dataclass(frozen=True)
class Template:
    """A value that may use the pipeline's parameters, as `${{parameters.NAME}}`."""

    value: Parameter


@dataclass(frozen=True)
class JsonConfig:
    """A step_config: one word of JSON, which may use the pipeline's parameters."""

    value: Mapping[str, Any]


@dataclass(frozen=True)
class RegisteredDataset:
    """The newest version of a registered dataset."""

    name: str


@dataclass(frozen=True, kw_only=True)
class PathSlot:
    """A file or folder of a datastore; `datastore` is None for the workspace's default one.

    `name` is the input's name if the config gives one. Steps whose slots have the same `shared_as` and the same place
    share one node of the SDK's v1 graph, which is called that.
    """

    datastore: str | None
    path: str
    mode: str = "mount"
    parameter: str | None = None
    name: str | None = None
    shared_as: str | None = None


Slot = Word | Template | JsonConfig | RegisteredDataset | PathSlot
S = TypeVar("S", JsonConfig, Template, RegisteredDataset, PathSlot)


@dataclass(frozen=True)
class Argument:
    """An argument of a script and its values: `--lr 0.1`, `--files a b`. A word of its own has no values."""

    name: str
    values: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Output:
    """The folder that a step fills, and the argument by which its script gets it."""

    argument: str = OUTPUT_ARGUMENT
    name: str = OUTPUT_NAME


@dataclass(frozen=True)
class RegisteredEnvironment:
    """The newest version of a registered environment."""

    name: str


@dataclass(frozen=True)
class OwnEnvironment:
    """An environment that belongs to one step and is not registered."""

    name: str
    packages: Packages


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """What a ParallelRunStep has beyond other steps; the defaults are those of pipeline configuration files.

    `mini_batch_size` is a number of files, or a size such as "1MB". `run_invocation_timeout` is in seconds.
    """

    mini_batch_size: str = "10"
    error_threshold: int = 0
    output_action: str = "append_row"
    append_row_file_name: str | None = None
    run_invocation_timeout: int = 60
    run_max_try: int = 3

    @property
    def gathers(self) -> bool:
        """Whether the rows of all mini-batches end up in one file of the output."""
        return self.output_action == "append_row"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step.

    `arguments` are the script's, without the folders of other steps and the step's own: those are `reads` (argument
    -> step that fills the folder) and `output`. In a step that is not part of a Definition yet, `reads` may be None:
    the folder of the step before. `environment`, `compute` and `warm` are None if the pipeline's apply.
    """

    name: str
    script: str
    directory: Path
    kind: str = PYTHON
    arguments: tuple[Argument, ...] = ()
    reads: Mapping[str, str] | None = None
    output: Output | None = None
    environment: RegisteredEnvironment | OwnEnvironment | None = None
    compute: str | None = None
    nodes: int = 1
    processes: int | None = None
    parallel: Parallel = field(default_factory=Parallel)
    allow_reuse: bool = True
    retries: int = 0
    warm: bool | None = None

    @property
    def is_parallel(self) -> bool:
        """Whether it is a ParallelRunStep."""
        return self.kind == PARALLEL

    @property
    def gathers(self) -> bool:
        """Whether the step's output is one file of rows."""
        return self.is_parallel and self.parallel.gathers

    @property
    def config(self) -> Mapping[str, Any] | None:
        """What the script gets as `--config`."""
        return next((slot.value for slot in self.slots(JsonConfig).values()), None)

    @property
    def templates(self) -> dict[str, Parameter]:
        """Argument -> value that may use parameters."""
        return {name: slot.value for name, slot in self.slots(Template).items()}

    @property
    def datasets(self) -> dict[str, str]:
        """Argument -> registered dataset."""
        return {name: slot.name for name, slot in self.slots(RegisteredDataset).items()}

    @property
    def paths(self) -> dict[str, PathSlot]:
        """Argument -> file or folder of a datastore."""
        return self.slots(PathSlot)

    @property
    def words(self) -> list[str]:
        """The arguments that are plain words, in order."""
        return [
            text
            for argument in self.arguments
            if all(isinstance(slot, Word) for slot in argument.values)
            for text in (argument.name, *(slot.text for slot in argument.values if isinstance(slot, Word)))
        ]

    @property
    def parameters_in_config(self) -> set[str]:
        """The pipeline's parameters that the config uses."""
        return used(self.config)

    @property
    def parameters(self) -> set[str]:
        """The pipeline's parameters that the step uses."""
        return self.parameters_in_config | used(self.templates)

    def slots(self, wanted: type[S]) -> dict[str, S]:
        """Argument -> its value, for the arguments whose value is of a type."""
        found: dict[str, S] = {}
        for argument in self.arguments:
            for slot in argument.values:
                if isinstance(slot, wanted):
                    found[argument.name] = slot
        return found

    def dataset_inputs(self) -> dict[str, str]:
        """Dataset -> its name in `run.input_datasets`; `BadPipeline` if two would have the same."""
        names: dict[str, str] = {}
        for dataset in self.datasets.values():
            name = input_name(dataset)
            other = next((other for other, taken in names.items() if taken == name and other != dataset), None)
            if other:
                raise BadPipeline(
                    f"Step {self.name!r}: the datasets {other!r} and {dataset!r} would both be {name!r} in "
                    "run.input_datasets. Register one of them under another name."
                )
            names[dataset] = name
        return names


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A whole pipeline.

    `environment` and `compute` are for steps that name none. With `in_sequence`, each step waits for the one before
    it, whether or not it reads from it. `variables` are those of a pipeline configuration file, which name its
    cluster and describe datastores that are not registered yet. Schedules are not part of a definition: they belong
    to a published pipeline.
    """

    steps: tuple[Step, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    environment: str | None = None
    compute: str | None = None
    warm: bool = True
    in_sequence: bool = False
    variables: Variables | None = None

    @cached_property
    def path_parameters(self) -> dict[str, DatastorePath]:
        """Parameter -> default, of the parameters that name a file or folder of a datastore."""
        return path_parameters(slot for step in self.steps for slot in step.paths.values())

    @property
    def retries(self) -> dict[str, int]:
        """Step -> how many times a run that is waited for tries it again."""
        return {step.name: step.retries for step in self.steps if step.retries}

    @property
    def datasets(self) -> list[str]:
        """The registered datasets of all steps, each once, in order."""
        return list(dict.fromkeys(name for step in self.steps for name in step.datasets.values()))

    @property
    def registered_environments(self) -> list[str]:
        """The registered environments of all steps, each once, the pipeline's own first."""
        own = [step.environment.name for step in self.steps if isinstance(step.environment, RegisteredEnvironment)]
        return list(dict.fromkeys([*([self.environment] if self.environment else []), *own]))

    @property
    def computes(self) -> list[str]:
        """The compute targets of all steps, each once, the pipeline's own first."""
        named = [self.compute, *(step.compute for step in self.steps)]
        return list(dict.fromkeys(name for name in named if name))

    @property
    def producers(self) -> dict[str, Step]:
        """Name -> step."""
        return {step.name: step for step in self.steps}

    def environment_of(self, step: Step) -> RegisteredEnvironment | OwnEnvironment:
        """The environment of a step: its own, or the pipeline's."""
        return step.environment or RegisteredEnvironment(self.environment or "")

    def compute_of(self, step: Step) -> str:
        """The compute target of a step: its own, or the pipeline's."""
        return step.compute or self.compute or ""

    def is_warm(self, step: Step) -> bool:
        """Whether the local Azure ML may fork the script of a step."""
        return self.warm if step.warm is None else step.warm

    def before(self) -> Iterator[tuple[Step, Step | None]]:
        """Each step with the one before it."""
        return zip(self.steps, (None, *self.steps[:-1]), strict=True)


def wired(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of a pipeline, each with the folders that it reads and the one that it fills; `BadPipeline`."""
    wires = wire([(step.name, step.reads) for step in steps])
    return tuple(
        replace(step, reads=each.inputs, output=Output() if each.has_output or step.gathers else None)
        for step, each in zip(steps, wires, strict=True)
    )
