"""Makes the plan of a pipeline (domain/plans.py) from a graph of SDK v1, its modules and its parameters' values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import JobOutput, Registration, TrainingOutput
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.plans import (
    RUN_AFTER,
    Data,
    DataPath,
    FolderData,
    Graph,
    Plan,
    RegisteredData,
    SavedData,
    Step,
    StepInput,
)
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.services.environment_definitions import read_environment
from azureml_wrapper.local.services.pipelines.graphwire import (
    Module,
    Node,
    SentGraph,
    SourceNode,
    read_graph,
    read_module,
)
from azureml_wrapper.local.services.pipelines.steptypes import SentStep, read_number, step_type
from azureml_wrapper.local.services.runconfig import (
    DATASET_PATH,
    DEFAULT_DATASTORE,
    read_blocks,
    read_mode,
    read_registration,
    read_transformations,
    unused_settings,
)
from azureml_wrapper.local.store.pipelines import PipelineStore

# Where PipelineData lies (2024 dumps).
PIPELINE_DATA_PATH = "azureml/{run-id}/{output-name}"


class Planner:
    """Reads graphs (domain/plans.py, Plans)."""

    def __init__(self, pipelines: PipelineStore) -> None:
        self._pipelines = pipelines

    def stored(self, workspace_id: str, graph_id: str, values: Values) -> Plan:
        """The plan of a stored graph."""
        return self.plan(workspace_id, self._pipelines.graph(workspace_id, graph_id)[0], values)

    def plan(self, workspace_id: str, body: JSON, values: Values) -> Plan:
        """The plan of a graph; a fault for types of steps, settings and parameters that cannot run."""
        graph = read_graph(body)
        plan: Plan = Graph(
            steps=self._steps(workspace_id, graph, values),
            sources={node: self._data(workspace_id, source, values) for node, source in graph.sources.items()},
            edges=graph.edges,
            outputs=graph.outputs,
        )
        for edge in plan.edges:
            if edge.source.node in plan.steps and edge.source.carries_data:
                plan.steps[edge.source.node].output(edge.source.name)
        return plan

    def outputs(self, workspace_id: str, node: Node) -> tuple[JobOutput, ...]:
        """The outputs of a node of a graph."""
        return read_outputs(node, self._module(workspace_id, node.module_id))

    def _steps(self, workspace_id: str, graph: SentGraph, values: Values) -> dict[str, Step]:
        modules: dict[str, Module] = {}
        environments: dict[str, EnvironmentSpec] = {}
        references = self._references(workspace_id, graph)
        steps = {}
        for node in graph.steps.values():
            if node.module_id not in modules:
                modules[node.module_id] = self._module(workspace_id, node.module_id)
            sent = SentStep(
                node=node,
                module=modules[node.module_id],
                values=values,
                references=references.get(node.node_id, {}),
            )
            steps[node.node_id] = _step(sent, environments)
        return steps

    def _references(self, workspace_id: str, graph: SentGraph) -> dict[str, dict[str, str]]:
        """The inputs that read data references of other names: by node, then by those names."""
        found: dict[str, dict[str, str]] = {}
        for edge in graph.edges:
            source = graph.sources.get(edge.source.node)
            if source and source.data_source_id:
                name = self._pipelines.data_sources.get(workspace_id, source.data_source_id).body.get("Name")
                if name and name != edge.target.name:
                    found.setdefault(edge.target.node, {})[name] = edge.target.name
        return found

    def _module(self, workspace_id: str, module_id: str) -> Module:
        return read_module(module_id, self._pipelines.modules.get(workspace_id, module_id).body)

    def _data(self, workspace_id: str, source: SourceNode, values: Values) -> Data:
        if source.path_parameter:
            found = _value("DataPath", source.path_parameter, values.data_paths)
            return _path(found.get("DataStoreName"), found.get("RelativePath"))
        if source.data_source_id:
            body = self._pipelines.data_sources.get(workspace_id, source.data_source_id).body
            return _path(body.get("DataStoreName"), body.get("PathOnDataStore"))
        given = source.dataset or {}
        if source.dataset_parameter:
            given = _value("Dataset", source.dataset_parameter, values.datasets)
        return _dataset(source.node_id, given)


def read_outputs(node: Node, module: Module) -> tuple[JobOutput, ...]:
    """The outputs of a step: those of its module, with the node's settings."""
    every = {
        name: {**module.outputs.get(name, {}), **item} for name, item in {**module.outputs, **node.outputs}.items()
    }
    return tuple(_output(item) for name, item in every.items() if not name.startswith(RUN_AFTER))


def _step(sent: SentStep, environments: dict[str, EnvironmentSpec]) -> Step:
    kind, config, module = step_type(sent.module), sent.config, sent.module
    timeout = read_number(sent.parameters.get("MaxRunDurationSeconds") or config.get("maxRunDurationSeconds"), 0)
    return Step(
        node_id=sent.node.node_id,
        name=module.name,
        kind=module.step_type,
        target=sent.target,
        task=kind.task(sent),
        snapshot_id=module.snapshot_id,
        environment=_environment(config.get("environment") or {}, environments),
        variables={**(config.get("environmentVariables") or {}), **sent.variables, **kind.variables(sent)},
        distribution=kind.distribution(sent),
        node_count=sent.node_count,
        timeout=float(timeout) if timeout else None,
        notes=unused_settings(config),
        inputs=_inputs(sent.node, module),
        outputs=read_outputs(sent.node, module),
        allow_reuse=module.is_deterministic,
        regenerate=sent.node.regenerate,
        sent=sent,
    )


def _environment(definition: Mapping[str, Any], known: dict[str, EnvironmentSpec]) -> EnvironmentSpec:
    """An environment; the steps of a pipeline share equal ones, which are the larger part of a step."""
    key = json.dumps(definition, sort_keys=True)
    if key not in known:
        known[key] = read_environment(definition)
    return known[key]


def _inputs(node: Node, module: Module) -> dict[str, StepInput]:
    return {
        name: _input(node.inputs.get(name, {}), module.inputs.get(name, {}))
        for name in {**module.inputs, **node.inputs}
    }


def _input(of_node: JSON, of_module: JSON) -> StepInput:
    given = of_node.get("AdditionalTransformations")
    return StepInput(
        mode=read_mode(of_node.get("DataStoreMode") or of_module.get("DataStoreMode")),
        path_on_compute=of_node.get("PathOnCompute") or of_module.get("PathOnCompute"),
        table=read_transformations(given),
    )


def _output(item: Mapping[str, Any]) -> JobOutput:
    registration, options = item.get("DatasetRegistration"), item.get("DatasetOutputOptions")
    # OutputFileDatasetConfig sends both, if only as empty objects; PipelineData.as_dataset() the first alone.
    is_dataset = registration is not None or options is not None
    default = DATASET_PATH if options is not None else PIPELINE_DATA_PATH
    return JobOutput(
        name=item["Name"],
        mode=read_mode(item.get("DataStoreMode")),
        datastore=item.get("DataStoreName") or DEFAULT_DATASTORE,
        path=(options or {}).get("PathOnDatastore") or default,
        path_on_compute=item.get("PathOnCompute"),
        overwrite=bool(item.get("Overwrite")),
        source_globs=tuple(((options or {}).get("SourceGlobs") or {}).get("GlobPatterns") or ()),
        register_as=_registration(registration or {}),
        is_dataset=is_dataset,
        training=_training(item["Name"], item.get("TrainingOutput")),
    )


def _training(output: str, given: JSON | None) -> TrainingOutput | None:
    if not given:
        return None
    is_metrics = given["TrainingOutputType"].lower() == "metrics"
    if not is_metrics and not given.get("ModelFile"):
        raise Unsupported(
            f"Output {output} is TrainingOutput('Model') without model_file, which says what to copy of the best "
            "run's files: TrainingOutput('Model', model_file='outputs/model.pkl')."
        )
    return TrainingOutput(is_metrics, given.get("ModelFile"), given.get("Metric"), given.get("Iteration"))


def _registration(given: Mapping[str, Any]) -> Registration | None:
    """The registration options of an output, which single runs and run definitions write in other words."""
    if given.get("Name") and given.get("CreateNewVersion") is False:
        raise Unsupported(f"Registering {given['Name']!r} with create_new_version=False is not supported.")
    steps = given.get("AdditionalTransformations")
    if steps and not read_blocks(steps):
        steps = None
    if not given.get("Name") and not steps:
        return None
    return read_registration(
        {
            "name": given.get("Name"),
            "description": given.get("Description"),
            "tags": given.get("Tags"),
            "datasetRegistrationOptions": {"additionalTransformation": steps},
        }
    )


def _path(datastore: str | None, path: str | None) -> DataPath:
    return DataPath(datastore or DEFAULT_DATASTORE, path or "")


def _dataset(node_id: str, given: JSON) -> Data:
    if saved := given.get("SavedDataSetReference"):
        return SavedData(saved["Id"])
    if registered := given.get("DataSetReference"):
        version = str(registered.get("Version") or "latest")
        return RegisteredData(registered.get("Id"), str(registered.get("Name")), _version(version))
    if literal := given.get("LiteralValue"):
        return FolderData(literal.get("DataStoreName") or "", literal.get("RelativePath") or "")
    raise Invalid(f"The source of data {node_id} names no dataset.")


def _version(text: str) -> int | None:
    if text.lower() == "latest":
        return None
    if not is_number(text):
        raise Invalid(f"Invalid version of a dataset: {text!r}.")
    return int(text)


def _value(kind: str, name: str, values: Mapping[str, JSON]) -> JSON:
    if not values.get(name):
        raise Invalid(f"The {kind} parameter {name!r} of the pipeline has no value.")
    return values[name]
