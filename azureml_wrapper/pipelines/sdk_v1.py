"""A definition as the steps of SDK v1."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import get_datastore
from azureml_wrapper.assets.environments import step_configuration
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.parameters import Parameter, render_argument, render_json, to_text
from azureml_wrapper.config.steps import MPI
from azureml_wrapper.messages import quiet_sdk
from azureml_wrapper.pipeline_files.variables import set_up_compute, set_up_datastore
from azureml_wrapper.pipelines import checks
from azureml_wrapper.pipelines.definition import (
    OUTPUT_NAME,
    Argument,
    Definition,
    JsonConfig,
    PathSlot,
    RegisteredDataset,
    RegisteredEnvironment,
    Slot,
    Step,
    Template,
    Word,
)
from azureml_wrapper.pipelines.step_modules import send_plainly, with_text_made_once
from azureml_wrapper.snapshots.script_folder import send_in_one_request

if TYPE_CHECKING:
    from azureml.core import Environment, RunConfiguration, Workspace
    from azureml.pipeline.core import Pipeline

# Read by the local Azure ML in a job's variables (local/executor/warm.py); users of the SDK alone may set it, too.
WARM_VARIABLE = "AZUREML_WRAPPER_WARM"


def build(ws: Workspace, definition: Definition, *, is_local: bool) -> Pipeline:
    """A new Pipeline of the SDK, with the newest versions of what the steps name in the workspace.

    The cluster and the datastores of a pipeline configuration file are created if they do not exist yet. Raises
    `ScriptNotFound`, `SnapshotTooLarge`, `SecretInFolder` or `NotRegistered` before anything is sent.
    """
    from azureml.pipeline.core import Pipeline, StepSequence

    checks.check(definition)
    steps = Renderer(ws, definition, is_local=is_local).steps()
    built = Pipeline(ws, steps=StepSequence(steps) if definition.in_sequence else steps)
    if is_local:
        send_in_one_request(built)
        send_plainly(built)
    return built


def as_parameter(value: Parameter) -> Parameter:
    """A value that Azure ML writes into JSON correctly: of True, it would write True instead of true."""
    return to_text(value) if isinstance(value, bool) else value


def own_arguments(step: Step, lookup: Lookup, defaults: Mapping[str, Parameter]) -> list[Any]:
    """The step's arguments without paths and folders, which need a pipeline.

    Datasets are looked up in their newest versions; `defaults` are the pipeline's parameters.
    """
    own = [argument for argument in step.arguments if not _holds(argument, PathSlot)]
    return _rendered(own, _dataset_inputs(step, lookup), defaults)


def pipeline_arguments(ws: Workspace, definition: Definition, name: str) -> list[Any]:
    """All arguments of a step of a pipeline, as its script gets them; nothing is created."""
    renderer = Renderer(ws, definition, is_local=False, creates=False)
    return renderer.arguments(definition.producers[name])


def _holds(argument: Argument, *kinds: type[Slot]) -> bool:
    return any(isinstance(slot, kinds) for slot in argument.values)


def _rendered(
    arguments: Iterable[Argument], datasets: Mapping[str, Any], defaults: Mapping[str, Parameter]
) -> list[Any]:
    rendered: list[Any] = []
    for argument in arguments:
        rendered += [argument.name, *(_value(slot, datasets, defaults) for slot in argument.values)]
    return rendered


def _value(slot: Slot, datasets: Mapping[str, Any], defaults: Mapping[str, Parameter]) -> Any:
    if isinstance(slot, Word):
        return slot.text
    if isinstance(slot, Template):
        return render_argument(slot.value)
    if isinstance(slot, JsonConfig):
        return render_json(slot.value, defaults)
    if isinstance(slot, RegisteredDataset):
        return datasets[slot.name]
    raise TypeError(f"{slot} needs a pipeline.")


def _dataset_inputs(step: Step, lookup: Lookup) -> dict[str, Any]:
    """Dataset -> the SDK's input; `UnregisteredDataset`, a NameError, names the datasets that do not exist."""
    names = step.dataset_inputs()
    found = lookup.datasets(names)
    return {dataset: _dataset_input(found[dataset], name) for dataset, name in names.items()}


def _dataset_input(dataset: Any, name: str) -> Any:
    from azureml.data import FileDataset

    named = dataset.as_named_input(name)
    # Only a mounted file dataset gives a script something that it can open.
    return named.as_mount() if isinstance(dataset, FileDataset) else named


class Resources:
    """What the steps name in their workspace, each looked up once per build.

    The cluster and the datastores of a pipeline configuration file are created if they do not exist yet.
    """

    def __init__(self, ws: Workspace, definition: Definition, *, creates: bool = True) -> None:
        self._ws = ws
        self._definition = definition
        self._creates = creates
        self._cluster: Any = None
        self._datastores: dict[str | None, Any] = {}
        self.lookup = Lookup(ws)

    def find(self) -> None:
        """Look everything up before anything is built; one error names all that is missing."""
        definition = self._definition
        if definition.variables is not None:
            nodes = {step.name: step.nodes for step in definition.steps}
            self._cluster = set_up_compute(self._ws, definition.variables, nodes)
            for slot in (slot for step in definition.steps for slot in step.paths.values()):
                self.datastore(slot.datastore)
        environments = map(definition.environment_of, definition.steps)
        self.lookup.check(
            datasets=definition.datasets,
            environments=[each.name for each in environments if isinstance(each, RegisteredEnvironment)],
            computes=[] if self._cluster is not None else map(definition.compute_of, definition.steps),
        )

    def compute(self, step: Step) -> Any:
        """The SDK's compute target of a step."""
        if self._cluster is not None:
            return self._cluster
        name = self._definition.compute_of(step)
        return self.lookup.computes([name])[name]

    def environment(self, step: Step) -> Environment:
        """The SDK's environment of a step."""
        environment = self._definition.environment_of(step)
        if isinstance(environment, RegisteredEnvironment):
            return self.lookup.environments([environment.name])[environment.name]
        return environment.packages.define(environment.name)

    def datastore(self, name: str | None) -> Any:
        """The SDK's datastore of a name; None is the workspace's default one."""
        if name not in self._datastores:
            self._datastores[name] = self._find_datastore(name)
        return self._datastores[name]

    def _find_datastore(self, name: str | None) -> Any:
        if name is None:
            return self._ws.get_default_datastore()
        variables = self._definition.variables if self._creates else None
        return get_datastore(self._ws, name) if variables is None else set_up_datastore(self._ws, name, variables)


class Renderer:
    """The SDK's steps of one build, in the order of the definition."""

    def __init__(self, ws: Workspace, definition: Definition, *, is_local: bool, creates: bool = True) -> None:
        self._definition = definition
        self._resources = Resources(ws, definition, creates=creates)
        self._is_local = is_local
        self._parameters: dict[str, Any] = {}
        self._path_parameters: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._references: dict[tuple[Any, ...], Any] = {}
        self._run_configurations: dict[tuple[Any, bool], Any] = {}

    def steps(self) -> list[Any]:
        """The SDK's steps, in order."""
        from azureml.pipeline.core import PipelineParameter

        given = self._definition.parameters.items()
        self._parameters = {name: PipelineParameter(name, as_parameter(value)) for name, value in given}
        self._resources.find()
        checks.check_inputs(self._definition)
        self._make_outputs()
        steps = self._definition.steps
        # The SDK recommends CommandStep instead of some of these classes.
        with quiet_sdk():
            return [self._parallel(step) if step.is_parallel else self._script(step) for step in steps]

    def arguments(self, step: Step) -> list[Any]:
        """The arguments of one step's script, without its pipeline being built."""
        self._make_outputs()
        return self._plain_arguments(step) if step.is_parallel else self._arguments(step, self._path_inputs(step))

    def _make_outputs(self) -> None:
        from azureml.data import OutputFileDatasetConfig

        steps = self._definition.steps
        self._outputs = {step.name: OutputFileDatasetConfig(step.output.name) for step in steps if step.output}

    def _arguments(self, step: Step, paths: Mapping[str, Any]) -> list[Any]:
        own = own_arguments(step, self._resources.lookup, self._definition.parameters)
        return [*own, *_flat(paths), *_flat(self._folder_inputs(step)), *self._output_arguments(step)]

    def _plain_arguments(self, step: Step) -> list[Any]:
        """Those of a ParallelRunStep, which gets paths and datasets as inputs instead."""
        plain = [argument for argument in step.arguments if not _holds(argument, PathSlot, RegisteredDataset)]
        return _rendered(plain, {}, self._definition.parameters)

    def _script(self, step: Step) -> Any:
        from azureml.pipeline.steps import PythonScriptStep

        paths = self._path_inputs(step)
        given: dict[str, Any] = {
            "name": step.name,
            "script_name": step.script,
            "source_directory": str(step.directory),
            "arguments": self._arguments(step, paths),
            "inputs": list(paths.values()),
            "compute_target": self._resources.compute(step),
            "allow_reuse": step.allow_reuse,
        }
        if step.kind == MPI:
            return self._mpi(step, given)
        return PythonScriptStep(params=self._used(step), runconfig=self._run_configuration(step), **given)

    def _mpi(self, step: Step, given: Mapping[str, Any]) -> Any:
        from azureml.pipeline.steps import MpiStep

        environment = copy.deepcopy(self._resources.environment(step))
        # Its estimator reads this from the environment alone (azureml/train/_estimator_helper.py).
        environment.docker.enabled = True
        return MpiStep(
            node_count=step.nodes,
            process_count_per_node=step.processes or 1,
            environment_definition=environment,
            # What other steps call params (azureml/pipeline/steps/mpi_step.py).
            environment_variables=self._used(step),
            **given,
        )

    def _parallel(self, step: Step) -> Any:
        from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep

        configuration = ParallelRunConfig(
            environment=self._resources.environment(step),
            entry_script=step.script,
            source_directory=str(step.directory),
            compute_target=self._resources.compute(step),
            node_count=step.nodes,
            process_count_per_node=step.processes,
            environment_variables=self._variables(is_warm=self._definition.is_warm(step)),
            **dataclasses.asdict(step.parallel),
        )
        datasets = _dataset_inputs(step, self._resources.lookup)
        made = ParallelRunStep(
            name=step.name,
            parallel_run_config=configuration,
            inputs=[*datasets.values(), *self._files(step), *self._folder_inputs(step).values()],
            output=self._outputs.get(step.name),
            arguments=self._plain_arguments(step),
            allow_reuse=step.allow_reuse,
        )
        # Its base class has parameters, but it does not take any (azureml/pipeline/core/_python_script_step_base.py).
        made._params.update(self._used(step))
        made._pipeline_params_in_step_params.update(self._used(step))
        return made

    def _files(self, step: Step) -> Iterator[Any]:
        """The paths of a ParallelRunStep: all files below each of them."""
        from azureml.core import Dataset

        names = self._path_names(step)
        for argument, slot in step.paths.items():
            path = slot.path.strip("/")
            # A path with a suffix is a file's.
            pattern = path if "." in path.rpartition("/")[2] else f"{path}/**".lstrip("/")
            files = Dataset.File.from_files((self._resources.datastore(slot.datastore), pattern), validate=False)
            yield files.as_named_input(names[argument]).as_mount()

    def _path_inputs(self, step: Step) -> dict[str, Any]:
        """Argument -> a file or folder of a datastore: an argument of the script, and one of the step's inputs."""
        names = self._path_names(step)
        return {argument: self._path_input(slot, names[argument]) for argument, slot in step.paths.items()}

    def _path_input(self, slot: PathSlot, name: str) -> Any:
        from azureml.data.datapath import DataPathComputeBinding

        if slot.parameter is not None:
            return (self._path_parameter(slot.parameter, slot), DataPathComputeBinding(mode=slot.mode))
        if slot.shared_as is None:
            return self._reference(slot, name)
        # Steps that read the same place by the same name share one object: the graph has one node for it.
        key = (slot.shared_as, slot.datastore, slot.path)
        if key not in self._references:
            self._references[key] = self._reference(slot, slot.shared_as)
        return self._references[key]

    def _reference(self, slot: PathSlot, name: str) -> Any:
        from azureml.data.data_reference import DataReference

        return DataReference(self._resources.datastore(slot.datastore), name, slot.path or None, mode=slot.mode)

    def _path_parameter(self, name: str, slot: PathSlot) -> Any:
        """One object for all steps that use the parameter."""
        from azureml.data.datapath import DataPath
        from azureml.pipeline.core import PipelineParameter

        if name not in self._path_parameters:
            default = DataPath(self._resources.datastore(slot.datastore), slot.path)
            self._path_parameters[name] = PipelineParameter(name, default)
        return self._path_parameters[name]

    def _path_names(self, step: Step) -> dict[str, str]:
        """Argument -> name of the input that holds its path."""
        taken = {*step.dataset_inputs().values(), OUTPUT_NAME}
        return {argument: slot.name or _free_name(argument, taken) for argument, slot in step.paths.items()}

    def _folder_inputs(self, step: Step) -> dict[str, Any]:
        """Argument -> the folder of another step."""
        taken = {*step.dataset_inputs().values(), *self._path_names(step).values(), OUTPUT_NAME}
        reads = step.reads or {}
        return {name: self._outputs[other].as_input(_free_name(name, taken)) for name, other in reads.items()}

    def _output_arguments(self, step: Step) -> list[Any]:
        return [step.output.argument, self._outputs[step.name]] if step.output else []

    def _used(self, step: Step) -> dict[str, Any]:
        """The parameters of the pipeline that the step uses."""
        return {name: self._parameters[name] for name in sorted(step.parameters)}

    def _run_configuration(self, step: Step) -> RunConfiguration:
        """Steps with the same registered environment and the same `warm` share one."""
        environment, is_warm = self._definition.environment_of(step), self._definition.is_warm(step)
        key = (environment, is_warm)
        if key not in self._run_configurations:
            configuration = step_configuration(self._resources.environment(step))
            if variables := self._variables(is_warm=is_warm):
                configuration.environment_variables = variables
            self._run_configurations[key] = with_text_made_once(configuration)
        return self._run_configurations[key]

    def _variables(self, *, is_warm: bool) -> dict[str, str]:
        return {WARM_VARIABLE: "false"} if self._is_local and not is_warm else {}


def _flat(pairs: Mapping[str, Any]) -> list[Any]:
    return [part for pair in pairs.items() for part in pair]


def _free_name(argument: str, taken: set[str]) -> str:
    """The input's name, the same at each build: the random ones of the SDK would prevent reuse."""
    name = argument.strip("-").replace("-", "_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name
