"""The step classes of SDK v1: one strategy object for each, which reads what a node of that type runs.

Another step class is another entry of `STEP_TYPES`. What is common to all of them is read in planning.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import Command, Distribution, ParallelRun, Script, Task
from azureml_wrapper.local.domain.limits import read_integer
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape, read_json
from azureml_wrapper.local.domain.sweeps import Trials
from azureml_wrapper.local.services import runconfig
from azureml_wrapper.local.services.pipelines.graphwire import Argument, Module, ModuleParameter, Node
from azureml_wrapper.local.services.sweeps import read_sweep

_RUNCONFIG = {
    "target": str,
    "script": str,
    "communicator": str,
    "environment": dict,
    "environmentVariables": MapOf(str),
    "mpi": {"processCountPerNode": int},
    "pytorch": {"processCount": int},
    "docker": dict,
}
_REFERENCE = "$AZUREML_DATAREFERENCE_"
# The value of the parameter Arguments of all steps whose module has them.
_STRUCTURED = "USE_STRUCTURED_ARGUMENTS"
_SWEEP = {"platform_config": {"Definition": {"Overrides": {**_RUNCONFIG, "command": object}}}}
# Parameters of a HyperDriveStep: the sweep, and the part of it that the SDK's hash of a module is made of.
SWEEP_PARAMETERS = ("HyperDriveRunConfig", "HDReuseHashableRunConfig")
# Options of ParallelRunStep that the local driver does not have (_parallel_run_step_base.py).
_UNSUPPORTED_OPTIONS = ("--partition_keys", "--rank_mini_batch_count")


@dataclass(frozen=True, kw_only=True)
class SentStep:
    """A node with its module and the values of the pipeline's parameters.

    `references` has the inputs that read data references of other names, by those names.
    """

    node: Node
    module: Module
    values: Values
    references: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters that have a value; `Invalid` for a parameter that the pipeline does not have."""
        found = {name: item.default for name, item in self.module.parameters.items()}
        for name, assignment in self.node.parameters.items():
            if assignment.graph_parameter is None:
                found[name] = assignment.value
            elif assignment.graph_parameter in self.values.parameters:
                found[name] = self.values.parameters[assignment.graph_parameter]
            else:
                unknown = assignment.graph_parameter
                raise Invalid(f"Step {self.module.name!r} uses the unknown pipeline parameter {unknown!r}.")
        return {name: str(value) for name, value in found.items() if value is not None}

    @property
    def config(self) -> JSON:
        """The RunConfiguration that the step runs with; empty if it is missing."""
        return step_type(self.module).config(self)

    @property
    def target(self) -> str:
        """The name of the compute."""
        target = self.parameters.get("Target") or self.config.get("target")
        if not target:
            raise Invalid(f"Step {self.module.name!r} names no compute target.")
        return str(target)

    @property
    def script(self) -> str:
        script = self.parameters.get("Script") or self.config.get("script")
        if not script:
            raise Invalid(f"Step {self.module.name!r} names no script.")
        return str(script)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments with placeholders, as the definition of a real run shows them."""
        own = self.parameters.get("Arguments")
        if own and own != _STRUCTURED:
            # Those of a ModuleStep are not in its module; the SDK joins them (_module_parameter_provider.py).
            return tuple(self._renamed(word) for word in own.split(","))
        return tuple(self._argument(argument) for argument in self.module.arguments)

    @property
    def script_parameters(self) -> dict[str, str]:
        """The parameters that the script reads, by name."""
        given = self.parameters
        return {name: given.get(name, "") for name, item in self.module.parameters.items() if item.is_variable}

    @property
    def variables(self) -> dict[str, str]:
        """`AML_PARAMETER_<name>` for each parameter of the script, and Azure's newer name for it."""
        found = {}
        for name, value in self.script_parameters.items():
            found[_variable(name, self.module.parameters[name])] = value
            found[f"AZUREML_PARAMETER_{name}"] = value
        return found

    @property
    def communicator(self) -> str | None:
        return runconfig.read_communicator(self.parameters.get("Communicator") or self.config.get("communicator"))

    @property
    def node_count(self) -> int:
        return read_number(self.parameters.get("NodeCount") or self.config.get("nodeCount"), 1)

    @property
    def distribution(self) -> Distribution:
        """The processes that a communicator asks for."""
        nodes, communicator = self.node_count, self.communicator
        if communicator is None:
            return runconfig.distribution(None, nodes, 1)
        # A pipeline parameter wins over the RunConfiguration (azureml/pipeline/steps/mpi_step.py).
        asked = self.parameters.get("MpiProcessCountPerNode")
        count = read_number(asked, 1) if asked else runconfig.processes_per_node(communicator, nodes, self.config)
        return runconfig.distribution(communicator, nodes, count)

    def _renamed(self, word: str) -> str:
        """A data reference of a ModuleStep has its own name among the arguments, and is the input of another name."""
        source = word.removeprefix(_REFERENCE)
        return f"{_REFERENCE}{self.references[source]}" if source != word and source in self.references else word

    def _argument(self, argument: Argument) -> str:
        if argument.kind == "Parameter":
            return f"${_variable(argument.value, self.module.parameters.get(argument.value, ModuleParameter()))}"
        return argument.value if argument.kind == "Literal" else f"{_REFERENCE}{argument.value}"


class ScriptStep:
    """A PythonScriptStep, or an MpiStep: a script in one process, or in several with a communicator."""

    def task(self, sent: SentStep) -> Task:
        return Script(path=sent.script, arguments=sent.arguments)

    def config(self, sent: SentStep) -> JSON:
        """The RunConfiguration that the SDK sent as a string, with the node or with its module."""
        return dict(_read_json(sent.node.runconfig or sent.module.runconfig or "{}", sent.module.name))

    def distribution(self, sent: SentStep) -> Distribution:
        return sent.distribution

    def settings(self, sent: SentStep) -> JSON:
        """What the outputs of this type of step follow from besides its parameters and its RunConfiguration."""
        return {}

    def variables(self, sent: SentStep) -> Mapping[str, str]:
        """Environment variables of this type of step."""
        return {}


class CommandStep(ScriptStep):
    """A CommandStep. The SDK splits its first word from the rest (azureml/pipeline/steps/command_step.py)."""

    def task(self, sent: SentStep) -> Task:
        line = sent.parameters.get("Command")
        return Command(line=line, arguments=sent.arguments) if line else super().task(sent)


class ParallelRunStep(ScriptStep):
    """A ParallelRunStep: the local driver starts the workers itself, unless there is a communicator."""

    def task(self, sent: SentStep) -> Task:
        for option in _UNSUPPORTED_OPTIONS:
            if ("Literal", option) in sent.module.arguments:
                raise Unsupported(
                    f"Step {sent.module.name!r} uses {option[2:]}, which the local service does not support; "
                    "mini_batch_size divides its inputs."
                )
        return ParallelRun(path=sent.script, arguments=sent.arguments)

    def distribution(self, sent: SentStep) -> Distribution:
        return Distribution() if sent.communicator is None else sent.distribution

    def variables(self, sent: SentStep) -> Mapping[str, str]:
        return {"AZUREML_NODE_COUNT": str(sent.node_count)}


class HyperDriveStep(ScriptStep):
    """A HyperDriveStep: a parameter has what `Experiment.submit` sends for a sweep, with other arguments."""

    def task(self, sent: SentStep) -> Task:
        given = read_sweep(self._sweep(sent))
        config = {**given.config, "arguments": list(sent.arguments)}
        sweep = replace(given, config=config, snapshot_id=sent.module.snapshot_id)
        return Trials(path=str(given.config.get("script") or ""), arguments=sent.arguments, sweep=sweep)

    def config(self, sent: SentStep) -> JSON:
        definition = (self._sweep(sent).get("platform_config") or {}).get("Definition") or {}
        return dict(definition.get("Overrides") or {})

    def settings(self, sent: SentStep) -> JSON:
        own = ("platform_config", "name", "user", "platform")
        return {"sweep": {name: value for name, value in self._sweep(sent).items() if name not in own}}

    def _sweep(self, sent: SentStep) -> JSON:
        return _read_json(sent.parameters.get(SWEEP_PARAMETERS[0]) or "{}", sent.module.name, is_sweep=True)


STEP_TYPES: Mapping[str, ScriptStep] = {
    "PythonScriptStep": ScriptStep(),
    "CommandStep": CommandStep(),
    "MpiStep": ScriptStep(),
    "EstimatorStep": ScriptStep(),
    "HyperDriveStep": HyperDriveStep(),
    "ModuleStep": ScriptStep(),
    "ParallelRunStep": ParallelRunStep(),
}


# What other step classes of the SDK need (azureml-pipeline-steps, azureml-contrib-notebook).
_NEEDS = {
    "AdlaStep": "Azure Data Lake Analytics",
    "AutoMLStep": "automated machine learning",
    "AzureBatchStep": "Azure Batch",
    "DataTransferStep": "Azure Data Factory",
    "DatabricksStep": "Azure Databricks",
    "HDInsightStep": "HDInsight",
    "KustoStep": "Azure Data Explorer",
    "NotebookRunnerStep": "the notebook runner of azureml-contrib-notebook",
    "RScriptStep": "R",
    "SynapseSparkStep": "Spark pools of Azure Synapse",
}


def step_type(module: Module) -> ScriptStep:
    """The strategy for a module; `Unsupported` with the step's type if the local service cannot run it."""
    found = STEP_TYPES.get(module.step_type)
    if found is None:
        needs = _NEEDS.get(module.step_type)
        reason = f", which needs {needs}" if needs else ""
        raise Unsupported(
            f"Step {module.name!r} has the type {module.step_type}{reason}: not supported by the local service. "
            f"It runs {', '.join(STEP_TYPES)}."
        )
    return found


def read_number(given: Any, default: int) -> int:
    """A number of nodes, processes or seconds, which the SDK sends as a string."""
    return read_integer(given, "number of nodes, processes or seconds") if given is not None else default


# A step is read several times while it starts; keeping all steps' would take too much memory in large pipelines.
@lru_cache(maxsize=32)
def _read_json(text: str, step: str, is_sweep: bool = False) -> JSON:
    what = f"The {'sweep' if is_sweep else 'run configuration'} of step {step!r}"
    config = read_json(text, what)
    check_shape(config, Needed(_SWEEP if is_sweep else _RUNCONFIG), what)
    found: JSON = config
    return found


def _variable(name: str, parameter: ModuleParameter) -> str:
    # azureml/pipeline/core/graph.py, ParamDef._param_name_to_env_variable
    return parameter.variable or "AML_PARAMETER_" + re.sub(r"\W", "_", name)
