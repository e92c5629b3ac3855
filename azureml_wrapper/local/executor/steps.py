"""From a node of a graph to a job: its command line, its data, its settings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from azureml_wrapper.local.domain.distribution import processes_per_node
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.graphs import JSON, Step
from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput, Mode, unused_settings
from azureml_wrapper.local.domain.modules import COMMAND_STEP, PARALLEL_STEP, Module
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape
from azureml_wrapper.local.domain.stepoutputs import blocks_of, outputs_of, read_mode
from azureml_wrapper.local.executor.transformations import translate

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
NO_STEPS = '{"blocks": []}'


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A step with all that its job needs, but for the data that other steps still have to make."""

    step: Step
    module: Module
    values: Values

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The step's parameters that have a value; `Invalid` for a parameter that the pipeline does not have."""
        found = {name: item.get("DefaultValue") for name, item in self.module.parameters.items()}
        for name, assignment in self.step.parameters.items():
            if assignment.graph_parameter is None:
                found[name] = assignment.value
            elif assignment.graph_parameter in self.values.parameters:
                found[name] = self.values.parameters[assignment.graph_parameter]
            else:
                unknown = assignment.graph_parameter
                raise Invalid(f"Step {self.module.name!r} uses the unknown pipeline parameter {unknown!r}.")
        return {name: str(value) for name, value in found.items() if value is not None}

    @property
    def target(self) -> str:
        """The name of the compute."""
        target = self.parameters.get("Target") or self.runconfig.get("target")
        if not target:
            raise Invalid(f"Step {self.module.name!r} names no compute target.")
        return str(target)

    @property
    def runconfig(self) -> JSON:
        """The RunConfiguration that the SDK sent as text; empty where there is none."""
        return dict(_read_runconfig(self.step.runconfig or "{}", self.module.name))

    def check(self) -> None:
        """Raise a fault for what can be known to fail before anything runs."""
        self.module.check()
        if self._is_parallel:
            self._check_parallel()
        self.job("workspace", "run", ())
        for output in self.outputs:
            options = (output.register_as or {}).get("datasetRegistrationOptions") or {}
            translate(options.get("additionalTransformation") or NO_STEPS)
        for port in self.module.inputs:
            self.mode_of(port)
            self.transformations_of(port)

    def _check_parallel(self) -> None:
        """Options of ParallelRunStep that its driver here does not know (_parallel_run_step_base.py)."""
        for option in ("--partition_keys", "--rank_mini_batch_count"):
            if ("Literal", option) in self.module.arguments:
                raise Unsupported(
                    f"Step {self.module.name!r} uses {option[2:]}, which the local service does not support; "
                    "mini_batch_size divides its inputs."
                )

    def job(self, workspace_id: str, run_id: str, inputs: tuple[JobInput, ...]) -> Job:
        """The job of the step's run."""
        config, given = self.runconfig, self.parameters
        script, command = given.get("Script") or config.get("script"), self._command
        if not script and not command:
            raise Invalid(f"Step {self.module.name!r} names no script.")
        timeout = _number(given.get("MaxRunDurationSeconds") or config.get("maxRunDurationSeconds"), 0)
        return Job(
            workspace_id=workspace_id,
            run_id=run_id,
            target=self.target,
            snapshot_id=self.module.snapshot_id,
            script=script if command is None else None,
            command=command,
            arguments=self.arguments,
            environment=config.get("environment") or {},
            environment_variables={
                **(config.get("environmentVariables") or {}),
                **self.variables,
                **({"AZUREML_NODE_COUNT": str(self._nodes)} if self._is_parallel else {}),
            },
            is_parallel=self._is_parallel,
            notes=unused_settings(config),
            inputs=inputs,
            outputs=self.outputs,
            communicator=self._communicator,
            node_count=self._nodes,
            processes_per_node=self._processes_per_node,
            timeout=float(timeout) if timeout else None,
        )

    @property
    def _is_parallel(self) -> bool:
        return self.module.step_type == PARALLEL_STEP

    @property
    def _communicator(self) -> str | None:
        given = self.parameters.get("Communicator") or self.runconfig.get("communicator")
        return None if given in (None, "", "None") else str(given)

    @property
    def _nodes(self) -> int:
        return _number(self.parameters.get("NodeCount") or self.runconfig.get("nodeCount"), 1)

    @property
    def _processes_per_node(self) -> int:
        if self._communicator is None:
            return 1
        # A pipeline parameter comes before what the RunConfiguration says (azureml/pipeline/steps/mpi_step.py).
        asked = self.parameters.get("MpiProcessCountPerNode")
        return _number(asked, 1) if asked else processes_per_node(self._communicator, self._nodes, self.runconfig)

    @property
    def _command(self) -> str | None:
        """A CommandStep's first word; the SDK splits it from the rest (azureml/pipeline/steps/command_step.py)."""
        return self.parameters.get("Command") or None if self.module.step_type == COMMAND_STEP else None

    @property
    def variables(self) -> dict[str, str]:
        """`AML_PARAMETER_<name>` for each parameter that is one of the script's, and Azure's newer name for it."""
        found = {}
        given = self.parameters
        for name, item in self.module.parameters.items():
            if item.get("SetEnvironmentVariable"):
                value = given.get(name, "")
                found[item.get("EnvironmentVariableOverride") or _variable(name)] = value
                found[f"AZUREML_PARAMETER_{name}"] = value
        return found

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line with placeholders, as a real run's definition shows it."""
        return tuple(self._argument(kind, value) for kind, value in self.module.arguments)

    def _argument(self, kind: str, value: str) -> str:
        if kind == "Parameter":
            item = self.module.parameters.get(value, {})
            return f"${item.get('EnvironmentVariableOverride') or _variable(value)}"
        return value if kind == "Literal" else f"$AZUREML_DATAREFERENCE_{value}"

    @property
    def outputs(self) -> tuple[JobOutput, ...]:
        """What the step makes."""
        return outputs_of(self.step, self.module)

    def mode_of(self, port: str) -> Mode:
        """How an input reaches the script."""
        return read_mode(self._setting(port, "DataStoreMode"))

    def path_of(self, port: str) -> str | None:
        """Where on the compute the user wants an input to be."""
        path: str | None = self._setting(port, "PathOnCompute")
        return path

    def transformations_of(self, port: str) -> list[JSON]:
        """The steps that make a table of the files of this input; none where it is files."""
        given = self.step.inputs.get(port, {}).get("AdditionalTransformations")
        return translate(given) if given and blocks_of(given) else []

    def _setting(self, port: str, name: str) -> Any:
        of_node, of_module = self.step.inputs.get(port, {}), self.module.inputs.get(port, {})
        return of_node.get(name) or of_module.get(name)


# Each step asks for its own ten times in a row; all steps' at once would take as much memory as they are many.
@lru_cache(maxsize=32)
def _read_runconfig(text: str, step: str) -> JSON:
    what = f"The run configuration of step {step!r}"
    try:
        config = json.loads(text)
    except ValueError as error:
        raise Invalid(f"{what} is not JSON: {error}.") from error
    check_shape(config, Needed(_RUNCONFIG), what)
    found: JSON = config
    return found


def _variable(name: str) -> str:
    # azureml/pipeline/core/graph.py, ParamDef._param_name_to_env_variable
    return "AML_PARAMETER_" + re.sub(r"\W", "_", name)


def _number(given: Any, default: int) -> int:
    try:
        return int(given) if given is not None else default
    except (TypeError, ValueError) as error:
        raise Invalid(f"{given!r} is not a number of nodes, processes or seconds.") from error
