"""Renders a pipeline as the SDK's v1 objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.environments import step_configuration
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.parameters import Parameter, to_text
from azureml_wrapper.pipelines.datastore_paths import PathBuilder
from azureml_wrapper.pipelines.wiring import OUTPUT_ARGUMENT, Wires

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper
    from azureml_wrapper.step import PipelineStep

OUTPUT_NAME = "output_folder"
# Read by the local Azure ML in a job's variables (local/executor/warm.py); users of the SDK alone may set it, too.
WARM_VARIABLE = "AZUREML_WRAPPER_WARM"


class Builder:
    """The SDK's steps of one build of a PipelineWrapper."""

    def __init__(self, pipeline: PipelineWrapper, lookup: Lookup) -> None:
        self._pipeline = pipeline
        self._lookup = lookup
        self._outputs: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}
        self._paths = PathBuilder(lookup.ws)
        self._run_configurations: dict[tuple[str, bool], Any] = {}

    def build(self) -> list[Any]:
        """The PythonScriptSteps, in order."""
        from azureml.data import OutputFileDatasetConfig
        from azureml.pipeline.core import PipelineParameter

        given = self._pipeline.pipeline_parameters.items()
        self._parameters = {name: PipelineParameter(name, as_parameter(value)) for name, value in given}
        steps = self._pipeline.steps
        self._lookup.check(
            datasets=[name for step in steps for name in step.input_datasets.values()],
            environments=map(self._environment, steps),
            computes=map(self._compute, steps),
        )
        pairs = list(zip(steps, self._pipeline._wires, strict=True))
        self._outputs = {step.name: OutputFileDatasetConfig(OUTPUT_NAME) for step, wires in pairs if wires.has_output}
        return [self._step(step, wires) for step, wires in pairs]

    def _step(self, step: PipelineStep, wires: Wires) -> Any:
        from azureml.pipeline.steps import PythonScriptStep

        compute = self._lookup.computes([self._compute(step)])[self._compute(step)]
        paths = self._path_inputs(step)
        return PythonScriptStep(
            name=step.name,
            script_name=step.script_name,
            source_directory=str(step.script_directory),
            arguments=step._build_arguments(self._lookup, self._pipeline.pipeline_parameters)
            + [part for pair in paths.items() for part in pair]
            + self._folders(step, wires),
            inputs=list(paths.values()),
            params={name: self._parameters[name] for name in sorted(step.parameters)},
            compute_target=compute,
            runconfig=self._run_configuration(step),
            allow_reuse=step.allow_reuse,
        )

    def _path_inputs(self, step: PipelineStep) -> dict[str, Any]:
        names = _path_names(step)
        return {argument: self._paths.build(given, names[argument]) for argument, given in step.input_paths.items()}

    def _folders(self, step: PipelineStep, wires: Wires) -> list[Any]:
        taken = {*step._input_names().values(), *_path_names(step).values(), OUTPUT_NAME}
        arguments: list[Any] = []
        for argument, producer in wires.inputs.items():
            name = _free_name(argument, taken)
            arguments += [argument, self._outputs[producer].as_input(name)]
        return arguments + ([OUTPUT_ARGUMENT, self._outputs[step.name]] if wires.has_output else [])

    def _run_configuration(self, step: PipelineStep) -> Any:
        """Steps with the same settings share one."""
        key = (self._environment(step), self._is_warm(step))
        if key not in self._run_configurations:
            self._run_configurations[key] = self._new_run_configuration(*key)
        return self._run_configurations[key]

    def _new_run_configuration(self, name: str, is_warm: bool) -> Any:
        configuration = step_configuration(self._lookup.environments([name])[name])
        if not is_warm and self._pipeline.workspace.is_local:
            configuration.environment_variables = {WARM_VARIABLE: "false"}
        return configuration

    def _is_warm(self, step: PipelineStep) -> bool:
        return self._pipeline.warm if step.warm is None else step.warm

    def _environment(self, step: PipelineStep) -> str:
        return step.env_name or self._pipeline.env_name

    def _compute(self, step: PipelineStep) -> str:
        return step.compute_name or self._pipeline.compute_name


def _free_name(argument: str, taken: set[str]) -> str:
    """The input's name, the same at each build: a random one, as the SDK gives, would prevent reuse."""
    name = argument.strip("-").replace("-", "_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _path_names(step: PipelineStep) -> dict[str, str]:
    """Argument -> the name of the input that holds its path."""
    taken = {*step._input_names().values(), OUTPUT_NAME}
    return {argument: _free_name(argument, taken) for argument in step.input_paths}


def as_parameter(value: Parameter) -> Parameter:
    """A value that Azure ML writes into JSON correctly: of True, it would write True instead of true."""
    return to_text(value) if isinstance(value, bool) else value
