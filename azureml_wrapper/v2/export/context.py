"""What all documents of one export are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.names import check_compute_name, input_name
from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.pipeline_files.resources import new_cluster
from azureml_wrapper.pipelines.definition import Definition, Step
from azureml_wrapper.v2.export.choices import Choices
from azureml_wrapper.v2.export.syntax import free, node_names


@dataclass(frozen=True, kw_only=True)
class ExportContext:
    """A definition, its workspace, the choices, and the folder that the files will be in."""

    definition: Definition
    scope: Scope
    choices: Choices
    folder: Path

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Parameter of the pipeline -> default."""
        return self.definition.parameters

    @cached_property
    def nodes(self) -> dict[str, str]:
        """Step -> name of its node."""
        return node_names(step.name for step in self.definition.steps)

    @cached_property
    def inputs(self) -> dict[tuple[str, str], str]:
        """(kind, name) -> input of the pipeline; parameters keep their names, by which runs are given values."""
        named = {("parameter", name): name for name in self.parameters}
        named |= {("path", name): name for name in self.definition.path_parameters}
        for dataset in self.definition.datasets:
            named["dataset", dataset] = free(input_name(dataset), named.values())
        return named

    @cached_property
    def waits_for(self) -> dict[str, Step]:
        """Step -> the step that must end before it although it reads nothing from it."""
        if not self.definition.in_sequence:
            return {}
        pairs = self.definition.before()
        return {
            step.name: before
            for step, before in pairs
            if before is not None and before.name not in (step.reads or {}).values()
        }

    @cached_property
    def waited_for(self) -> set[str]:
        """The names of steps for which another one waits."""
        return {step.name for step in self.waits_for.values()}

    @cached_property
    def compute_name(self) -> str:
        """The default compute target; `MissingKey` if AML_COMPUTE_CLUSTER_NAME is to name it and does not."""
        variables = self.definition.variables
        return check_compute_name(variables.cluster().name) if variables else self.definition.compute or ""

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """Compute target -> the cluster to create if it does not exist."""
        variables = self.definition.variables
        if variables is None:
            return {name: self.choices.cluster_upon(Cluster()) for name in self.definition.computes}
        made = new_cluster(variables.cluster(), [step.nodes for step in self.definition.steps])
        return {self.compute_name: self.choices.cluster_upon(made)}
