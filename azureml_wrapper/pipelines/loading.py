"""From configs to definitions: the steps of a PipelineWrapper's config, and pipeline configuration files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.config.loader import Config, check_parameters, load, read_document
from azureml_wrapper.config.models import PathInput, PipelineConfig, StepFields
from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.config.parsing import Document
from azureml_wrapper.config.steps import PARALLEL, PARALLEL_KEYS
from azureml_wrapper.errors import BadArgument, BadPipeline
from azureml_wrapper.pipeline_files.entries import INPUT_ARGUMENT, OUTPUT_ARGUMENT
from azureml_wrapper.pipeline_files.steps_file import FileStep, StepsFile, is_steps_file, load_steps
from azureml_wrapper.pipeline_files.variables import Variables
from azureml_wrapper.pipelines.definition import (
    CONFIG_ARGUMENT,
    Argument,
    Definition,
    JsonConfig,
    Output,
    OwnEnvironment,
    Parallel,
    PathSlot,
    RegisteredDataset,
    RegisteredEnvironment,
    Step,
    Template,
    Word,
    wired,
)


@dataclass(frozen=True, kw_only=True)
class LoadedPipeline:
    """A pipeline, its steps as the config has them, and the ws_name, resource_group and subscription_id.

    `workspace` is None for a pipeline configuration file, which names no workspace.
    """

    definition: Definition
    steps: tuple[Step, ...]
    workspace: tuple[str, str, str] | None = None


def load_pipeline(
    source: Config | Document,
    ws_config: Config = None,
    *,
    parameters: Mapping[str, Parameter] | None = None,
    warm: bool | None = None,
) -> LoadedPipeline:
    """Load a config of either kind; its shape says which it is.

    Args:
        source: A mapping, a path, or what was read of one; None for the nearest `.azureml/config.json`.
        ws_config: The workspace for a file that names none.
        parameters, warm: Replace the `pipeline_parameters` and `warm` of a config that has them.

    Raises:
        ConfigError: With all problems of the config.
        BadArgument: `ws_config` was given, and the config names a workspace itself.
    """
    read = read_document(source)
    if is_steps_file(read.data):
        definition = definition_of_file(load_steps(read))
        return LoadedPipeline(definition=definition, steps=definition.steps)
    if ws_config is not None:
        raise BadArgument("ws_config is for pipeline configuration files; this config names a workspace itself.")
    found, document = load(PipelineConfig, read)
    folder = document.folder if document.path else None
    steps = tuple(step_of(fields, folder) for fields in found.named_steps())
    definition = define(
        steps,
        parameters=(found.pipeline_parameters or {}) if parameters is None else parameters,
        environment=found.env_name,
        compute=found.compute_name,
        warm=found.warm if warm is None else warm,
    )
    names = (found.ws_name, found.resource_group, found.subscription_id)
    return LoadedPipeline(definition=definition, steps=steps, workspace=names)


def define(
    steps: Sequence[Step], *, parameters: Mapping[str, Parameter], environment: str, compute: str, warm: bool
) -> Definition:
    """The definition of steps that read from each other by name; raises `BadPipeline` or `BadValue`."""
    if not isinstance(warm, bool):
        raise BadArgument(f"warm must be True or False, got {warm!r}.")
    given = {step.name: {"step_config": step.config, "arguments": step.templates or None} for step in steps}
    definition = Definition(
        parameters=check_parameters(parameters, given),
        steps=wired(steps),
        environment=environment,
        compute=compute,
        warm=warm,
    )
    if taken := sorted(definition.path_parameters.keys() & definition.parameters):
        raise BadPipeline(f"{taken[0]!r} is a pipeline parameter and the parameter of a path; use two names.")
    return definition


def step_of(fields: StepFields, folder: Path | None = None) -> Step:
    """The step of a checked config; a relative script_directory is below `folder`, else below the current one."""
    directory = Path(fields.script_directory or ".").expanduser()
    script = fields.script_name
    return Step(
        name=fields.step_name,
        kind=fields.type,
        script=script if script.endswith(".py") else f"{script}.py",
        directory=(folder / directory if folder else directory).resolve(),
        arguments=(
            *_config(fields.step_config),
            *_templates(fields.arguments or {}),
            *_datasets(fields.input_datasets or {}),
            *_paths(fields.input_paths or {}),
        ),
        reads=fields.input_steps,
        environment=RegisteredEnvironment(fields.env_name) if fields.env_name else None,
        compute=fields.compute_name,
        nodes=fields.node_count,
        processes=fields.processes_per_node,
        parallel=Parallel(**fields.parallel_keys),
        allow_reuse=fields.allow_reuse,
        retries=fields.retries,
        warm=fields.warm,
    )


def _config(given: Mapping[str, Any] | None) -> tuple[Argument, ...]:
    return () if given is None else (Argument(CONFIG_ARGUMENT, (JsonConfig(given),)),)


def _templates(given: Mapping[str, Parameter]) -> Iterable[Argument]:
    return (Argument(name, (Template(value),)) for name, value in given.items())


def _datasets(given: Mapping[str, str]) -> Iterable[Argument]:
    return (Argument(name, (RegisteredDataset(dataset),)) for name, dataset in given.items())


def _paths(given: Mapping[str, PathInput]) -> Iterable[Argument]:
    for name, each in given.items():
        slot = PathSlot(datastore=each.datastore, path=each.path, mode=each.mode, parameter=each.parameter)
        yield Argument(name, (slot,))


def definition_of_file(file: StepsFile, variables: Variables | None = None) -> Definition:
    """The definition of a pipeline configuration file, whose steps run one after the other."""
    steps: list[Step] = []
    references = _References(file)
    producer: str | None = None
    for each in file.steps:
        reference = references.slot(each)
        reads = {} if reference or producer is None else {INPUT_ARGUMENT: producer}
        steps.append(_file_step(each, reference, reads))
        # A step after one without an output reads what there was before.
        producer = each.name if each.entry.output else producer
    return Definition(steps=tuple(steps), in_sequence=True, variables=variables or Variables(file.document.folder))


def _file_step(step: FileStep, reference: PathSlot | None, reads: Mapping[str, str]) -> Step:
    entry = step.entry
    packages = Packages(requirements=step.requirements, docker_image=entry.base_image)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", step.name)
    return Step(
        name=step.name,
        kind=entry.type,
        script=entry.script,
        directory=step.script_directory,
        arguments=(*_words(step.arguments), *([Argument(INPUT_ARGUMENT, (reference,))] if reference else [])),
        reads=reads,
        output=Output(OUTPUT_ARGUMENT, entry.output) if entry.output else None,
        environment=OwnEnvironment(f"{name}_environment", packages),
        nodes=entry.node_count,
        processes=entry.processes_per_node,
        parallel=Parallel(**({key: getattr(entry, key) for key in PARALLEL_KEYS} if entry.type == PARALLEL else {})),
        allow_reuse=entry.allow_reuse,
        retries=entry.retries,
        warm=entry.warm,
    )


def _words(given: Iterable[str]) -> list[Argument]:
    """`--name` and its values as one argument each."""
    groups: list[list[str]] = []
    for word in given:
        if groups and not word.startswith("-"):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [Argument(name, tuple(map(Word, values))) for name, *values in groups]


class _References:
    """The places of datastores that a file's steps read from, and the names of those that steps share."""

    def __init__(self, file: StepsFile) -> None:
        self._datastores = file.datastore_names()
        self._taken = {entry.input_datareference_name for entry in file.entries}
        self._names: dict[tuple[str | None, ...], str] = {}

    def slot(self, step: FileStep) -> PathSlot | None:
        """The place that the step reads from; None if it reads what another step has written."""
        entry = step.entry
        if not entry.has_reference:
            return None
        name, path = entry.input_datareference_name, entry.input_datareference_path or ""
        datastore = self._datastores[step.name]
        shared = None if entry.type == PARALLEL else self._shared(name, datastore, path)
        return PathSlot(datastore=datastore, path=path, name=name, shared_as=shared)

    def _shared(self, name: str | None, datastore: str | None, path: str) -> str:
        """The name that the step gives, else input_data, input_data_2 and so on: one for each place."""
        key = (name, datastore, path)
        if key not in self._names:
            self._names[key] = name or self._free_name()
            self._taken.add(self._names[key])
        return self._names[key]

    def _free_name(self) -> str:
        wanted = INPUT_ARGUMENT.strip("-")
        numbered = (f"{wanted}_{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain((wanted,), numbered) if name not in self._taken)
