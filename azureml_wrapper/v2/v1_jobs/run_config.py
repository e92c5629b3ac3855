"""The arguments and the run configuration of a command in SDK v1, and the HyperDriveConfig of a sweep."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.environments import new_run_configuration
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.snapshots.script_folder import check_upload
from azureml_wrapper.v2 import references
from azureml_wrapper.v2.command_job import MPI, PYTORCH, Command, Distribution
from azureml_wrapper.v2.command_line import Script, Word
from azureml_wrapper.v2.environment_file import provide
from azureml_wrapper.v2.job_data import DataInput, Literal
from azureml_wrapper.v2.references import Binding
from azureml_wrapper.v2.sweep_job import Policy, SweepJob
from azureml_wrapper.v2.v1_jobs.job_datasets import Data

if TYPE_CHECKING:
    from azureml.core import ScriptRunConfig, Workspace
    from azureml.core.runconfig import RunConfiguration
    from azureml.train.hyperdrive import HyperDriveConfig

# Placeholders for data in command lines (azureml/core/script_run_config.py), which the service replaces.
_INPUT, _OUTPUT = "DatasetConsumptionConfig:{}", "DatasetOutputConfig:{}"
# The variable that holds the path, for a part of a longer argument.
_VARIABLE = "$AZUREML_DATAREFERENCE_{}"


@dataclass(frozen=True)
class Parts:
    """The inputs and outputs of a command: strings by input, the SDK's objects by input and by output.

    `files` has, by kind and name, the file of a folder that is meant where SDK v2 has a file and SDK v1 a folder.
    """

    texts: Mapping[str, str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    files: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, command: Command, data: Data, others: Mapping[str, tuple[Any, str | None]] | None = None) -> Parts:
        """`others` are outputs of other jobs that are inputs of this one, and their files."""
        found = others or {}
        files = {("input", name): file for name, (_, file) in found.items() if file}
        files |= {("output", name): item.file for name, item in command.outputs.items() if item.file}
        inputs = {
            name: data.input(name, item)
            for name, item in command.inputs.items()
            if isinstance(item, DataInput) and not isinstance(item.path, Binding)
        }
        return cls(
            texts={name: item.value for name, item in command.inputs.items() if isinstance(item, Literal)},
            inputs={**inputs, **{name: each for name, (each, _) in found.items()}},
            outputs={name: data.output(name, item) for name, item in command.outputs.items()},
            files=files,
        )

    def arguments(self, script: Script) -> list[Any]:
        """Return the arguments of a script; an argument that is only data is the SDK's object."""
        return [self._argument(word) for word in script.words]

    def left(self, arguments: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the inputs and outputs that are not among the arguments; the job still needs them."""
        given = [id(argument) for argument in arguments]
        return (
            {name: item for name, item in self.inputs.items() if id(item) not in given},
            {name: item for name, item in self.outputs.items() if id(item) not in given},
        )

    def line(self, command: str) -> str:
        """The command for a shell, with the words that the service replaces by paths."""
        return references.fill(command, lambda binding: self._text(binding, _INPUT, _OUTPUT))

    def line_with_variables(self, command: str) -> str:
        """The command for a shell that finds the paths in variables, as steps do."""
        return references.fill(command, lambda binding: self._text(binding, _VARIABLE, _VARIABLE))

    def _argument(self, word: Word) -> Any:
        if len(word) == 1 and isinstance(word[0], Binding):
            held = self.inputs if word[0].kind == "input" else self.outputs
            if self._is_object(word[0]):
                return held[word[0].name]
        return "".join(part if isinstance(part, str) else self._text(part, _VARIABLE, _VARIABLE) for part in word)

    def _is_object(self, binding: Binding) -> bool:
        """Return whether the SDK accepts an object as a whole argument, and replaces it by a path."""
        held = self.inputs if binding.kind == "input" else self.outputs
        is_part = (binding.kind, binding.name) in self.files
        return binding.name in held and not is_part and not is_data_reference(held[binding.name])

    def _text(self, binding: Binding, of_input: str, of_output: str) -> str:
        if binding.kind == "input" and binding.name in self.texts:
            return self.texts[binding.name]
        form = of_input if binding.kind == "input" else of_output
        if is_data_reference(self.inputs.get(binding.name)) and binding.kind == "input":
            form = _VARIABLE
        place = form.format(binding.name)
        file = self.files.get((binding.kind, binding.name))
        return f"{place}/{file}" if file else place


def is_data_reference(item: Any) -> bool:
    """Whether an input is a path of a datastore rather than a dataset; the SDK has two ways for the two."""
    from azureml.data.data_reference import DataReference

    return isinstance(item, DataReference)


@contextmanager
def source_directory(command: Command) -> Iterator[str]:
    """The folder that is sent: the code's, or an empty one."""
    if command.code:
        check_upload(command.code)
        yield str(command.code)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The SDK does not accept an empty snapshot.
        Path(folder, ".amlignore").touch()
        yield folder


def script_run_config(
    ws: Workspace, command: Command, parts: Parts, folder: str, how: Mapping[str, Any]
) -> ScriptRunConfig:
    """The SDK's configuration of a single run; `how` is `script` and `arguments`, or `command`."""
    from azureml.core import ScriptRunConfig

    name = str(command.compute)
    source = ScriptRunConfig(
        source_directory=folder,
        compute_target=Lookup(ws).computes([name])[name],
        environment=provide(ws, command.environment) if command.environment else None,
        distributed_job_config=distributed(command.distribution, command.nodes),
        docker_runtime_config=docker(command),
        max_run_duration_seconds=command.timeout,
        **how,
    )
    source.run_config.environment_variables.update(command.variables)
    if command.distribution is None:
        source.run_config.node_count = command.nodes
    inputs, outputs = parts.left(how.get("arguments") or [])
    references = {name: item.to_config() for name, item in inputs.items() if is_data_reference(item)}
    source.run_config.data_references.update(references)
    source.run_config.data.update({name: item for name, item in inputs.items() if name not in references})
    source.run_config.output_data.update(outputs)
    return source


def run_configuration(ws: Workspace, command: Command) -> RunConfiguration:
    """The SDK's configuration of a step."""
    configuration = new_run_configuration()
    if command.environment:
        configuration.environment = provide(ws, command.environment)
    configuration.docker = docker(command)
    configuration.node_count = command.nodes
    configuration.environment_variables.update(command.variables)
    if command.timeout:
        configuration.max_run_duration_seconds = command.timeout
    _distribute(configuration, command)
    return configuration


def _distribute(configuration: RunConfiguration, command: Command) -> None:
    """As ScriptRunConfig does (azureml/core/script_run_config.py); steps take no `distributed_job_config`."""
    settings = distributed(command.distribution, command.nodes)
    if settings is None or command.distribution is None:
        return
    if command.distribution.kind == MPI:
        configuration.mpi, configuration.communicator = settings, "IntelMpi"
    elif command.distribution.kind == PYTORCH:
        configuration.pytorch, configuration.framework = settings, "PyTorch"
        configuration.communicator = settings.communication_backend
    else:
        configuration.tensorflow, configuration.framework = settings, "TensorFlow"
        configuration.communicator, configuration.node_count = "ParameterServer", settings.worker_count


def docker(command: Command) -> Any:
    """The SDK's docker settings of a command."""
    from azureml.core.runconfig import DockerConfiguration

    return DockerConfiguration(
        use_docker=True,
        shm_size=command.shared_memory,
        arguments=shlex.split(command.docker_arguments) if command.docker_arguments else None,
    )


def distributed(distribution: Distribution | None, nodes: int) -> Any:
    """The SDK's configuration of several processes, or None."""
    if distribution is None:
        return None
    from azureml.core.runconfig import MpiConfiguration, PyTorchConfiguration, TensorflowConfiguration

    if distribution.kind == MPI:
        return MpiConfiguration(process_count_per_node=distribution.processes, node_count=nodes)
    if distribution.kind == PYTORCH:
        return PyTorchConfiguration(process_count=distribution.processes * nodes, node_count=nodes)
    return TensorflowConfiguration(
        worker_count=distribution.workers or nodes, parameter_server_count=distribution.servers
    )


def hyperdrive_config(ws: Workspace, job: SweepJob, folder: str) -> HyperDriveConfig:
    """Return the SDK's configuration of many runs of one script in `folder`."""
    from azureml.train import hyperdrive
    from azureml.train.hyperdrive import parameter_expressions

    parts = Parts.of(job.trial, Data(ws))
    arguments = parts.arguments(job.script)
    how = {"script": job.script.name, "arguments": arguments}
    source = script_run_config(ws, job.trial, parts, folder, how)
    samplings = {
        "random": hyperdrive.RandomParameterSampling,
        "grid": hyperdrive.GridParameterSampling,
        "bayesian": hyperdrive.BayesianParameterSampling,
    }
    space = {option: getattr(parameter_expressions, kind)(*given) for option, (kind, given) in job.space.items()}
    limits = {"max_duration_minutes": job.minutes} if job.minutes else {}
    return hyperdrive.HyperDriveConfig(
        run_config=source,
        hyperparameter_sampling=samplings[job.sampling](space),
        policy=_policy(job.policy),
        primary_metric_name=job.metric,
        primary_metric_goal=hyperdrive.PrimaryMetricGoal.from_str(job.goal),
        max_total_runs=job.total,
        max_concurrent_runs=min(job.concurrent or job.total, 100),
        custom_run_id=job.header.name,
        **limits,
    )


def _policy(policy: Policy | None) -> Any:
    if policy is None:
        return None
    from azureml.train import hyperdrive

    kinds = {
        "bandit": hyperdrive.BanditPolicy,
        "median_stopping": hyperdrive.MedianStoppingPolicy,
        "truncation_selection": hyperdrive.TruncationSelectionPolicy,
    }
    return kinds[policy.kind](**policy.settings)


def best_of(run: Any, job: SweepJob) -> str:
    """Return a sentence with the best run of a finished sweep, its best value and its hyperparameters."""
    best = run.get_best_run_by_primary_metric()
    if best is None:
        return f"No run has logged {job.metric}."
    logged = best.get_metrics(job.metric)[job.metric]
    values = [value for value in (logged if isinstance(logged, list) else [logged]) if not math.isnan(value)]
    value = (max if job.goal == "maximize" else min)(values)
    return f"Best run {best.id}: {job.metric} = {value:g}, with {run.get_hyperparameters().get(best.id)}."
