"""Graphs, modules and parameters in the SDK's words: as clients send them, and as they are stored.

The SDK describes a graph in JSON of its own (azureml/pipeline/core/_aeva_provider.py, _build_graph): an interface
declares its parameters, assignments give them values. planning.py makes a plan of what is read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.pipelines import PipelineRun, Values
from azureml_wrapper.local.domain.plans import RUN_AFTER, Edge, Graph, Port
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape

_REFERENCE = {"Id": str, "Name": str, "Version": str}
DATASET = {
    "SavedDataSetReference": {"Id": Needed(str)},
    "DataSetReference": _REFERENCE,
    "LiteralValue": {"DataStoreName": str, "RelativePath": str},
}
_INTERFACE = {
    "Parameters": [{"Name": Needed(str), "DefaultValue": str}],
    "DataPathParameters": [{"Name": Needed(str), "DefaultValue": {"DataStoreName": str, "RelativePath": str}}],
    "DataPathParameterList": [{"Name": Needed(str), "DefaultValue": DATASET}],
}
# What a run gives its parameters.
ASSIGNMENTS = {
    "ParameterAssignments": MapOf(str),
    "DataPathAssignments": MapOf(Needed({"DataStoreName": Needed(str), "RelativePath": str})),
    "DataSetDefinitionValueAssignments": MapOf(Needed(DATASET)),
    "tags": MapOf(str),
    "Properties": MapOf(str),
    "Description": str,
}

# Values of ParameterAssignment.ValueType. The SDK sends numbers, the service's own exports words.
_LITERAL = ("0", "Literal", "None")
_GRAPH_PARAMETER = ("1", "GraphParameterName")

_PORT = Needed({"NodeId": str, "PortName": str, "GraphPortName": str})
_PARAMETERS = [{"Name": Needed(str), "Value": str}]
_GRAPH = {
    "SubGraphNodes": [dict],
    "ModuleNodes": [
        {
            "Id": Needed(str),
            "ModuleId": Needed(str),
            "ModuleParameters": _PARAMETERS,
            "ModuleMetadataParameters": _PARAMETERS,
            "ModuleInputSettings": [{"Name": Needed(str), "AdditionalTransformations": str, "PathOnCompute": str}],
            "ModuleOutputSettings": [
                {
                    "Name": Needed(str),
                    "DataStoreName": str,
                    "PathOnCompute": str,
                    "DatasetRegistration": {
                        "Name": str,
                        "Description": str,
                        "Tags": MapOf(str),
                        "AdditionalTransformations": str,
                    },
                    "DatasetOutputOptions": {"PathOnDatastore": str, "SourceGlobs": {"GlobPatterns": [str]}},
                }
            ],
            "Runconfig": str,
        }
    ],
    "DatasetNodes": [
        {
            "Id": Needed(str),
            "DatasetId": str,
            "DataPathParameterName": str,
            "DataSetDefinition": {"ParameterName": str, "Value": DATASET},
        }
    ],
    "Edges": [{"SourceOutputPort": _PORT, "DestinationInputPort": _PORT}],
}
_TRAINING = {"TrainingOutputType": Needed(str), "Iteration": int, "Metric": str, "ModelFile": str}
_MODULE = {
    "Name": Needed(str),
    "StepType": str,
    "StorageId": str,
    "IdentifierHash": str,
    "Runconfig": str,
    "KvTags": MapOf(str),
    "StructuredInterface": {
        "Inputs": [{"Name": Needed(str), "DataTypeIdsList": [str], "PathOnCompute": str}],
        "Outputs": [{"Name": Needed(str), "DataTypeId": str, "TrainingOutput": _TRAINING}],
        "Parameters": [{"Name": Needed(str), "DefaultValue": str, "EnvironmentVariableOverride": str}],
        "MetadataParameters": [{"Name": Needed(str), "DefaultValue": str}],
        "Arguments": [{"ValueType": Needed(str), "Value": str}],
    },
}


class Assignment(NamedTuple):
    """The value of a step's parameter: a literal, or the name of a parameter of the pipeline."""

    value: str | None = None
    graph_parameter: str | None = None


class Argument(NamedTuple):
    """A part of the command line: `kind` is Literal, Input, Output or Parameter."""

    kind: str
    value: str


def check_interface(body: JSON) -> JSON:
    """The interface of a graph, or `Invalid`."""
    check_shape(body, _INTERFACE, "GraphInterface")
    return body


def read_values(body: JSON) -> Values:
    """The assignments of a submission or a publication; numbers become strings, as in Azure."""
    return Values(
        parameters={name: _text(name, value) for name, value in (body.get("ParameterAssignments") or {}).items()},
        data_paths=body.get("DataPathAssignments") or {},
        datasets=body.get("DataSetDefinitionValueAssignments") or {},
    )


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, (str, int, float)):
        raise Invalid(f"ParameterAssignments.{name} must be a string or a number.")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


class Forms:
    """domain/pipelines.py, PipelineForms."""

    def defaults(self, interface: JSON) -> Values:
        """The default values of a stored graph's parameters; a parameter without one has None."""
        return Values(
            parameters=_defaults(interface.get("Parameters")),
            data_paths=_defaults(interface.get("DataPathParameters")),
            datasets=_defaults(interface.get("DataPathParameterList")),
        )

    def data_path(self, datastore: str, path: str) -> JSON:
        """The value of a DataPath parameter."""
        return {"DataStoreName": datastore, "RelativePath": path}

    def run_properties(self, record: PipelineRun, own: Mapping[str, str]) -> dict[str, str]:
        """The properties of a pipeline's run in run history (dumps of 2022), before the client's own."""
        given = {name: str(value) for name, value in record.assigned.parameters.items() if value is not None}
        return {
            "azureml.runsource": "azureml.PipelineRun",
            "runSource": record.run_source or "Unavailable",
            "runType": record.run_type or "HTTP",
            "azureml.parameters": json.dumps(given, separators=(",", ":")),
            "azureml.continue_on_step_failure": str(record.continue_on_failure),
            "azureml.continue_on_failed_optional_input": "True",
            "azureml.pipelineComponent": "pipelinerun",
            # Of published pipelines only (dump of 2020).
            **({"azureml.pipelineid": record.pipeline_id} if record.pipeline_id else {}),
            **own,
        }


def _defaults(items: Iterable[JSON] | None) -> dict[str, Any]:
    return {item["Name"]: item.get("DefaultValue") for item in items or ()}


@dataclass(frozen=True, kw_only=True)
class ModuleParameter:
    """A parameter that a module declares. `variable`: the environment variable that a script reads it from."""

    default: Any = None
    is_variable: bool = False
    variable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Module:
    """What a step runs, without its compute and its data. `inputs` and `outputs` hold settings of ports, as sent."""

    module_id: str
    name: str
    step_type: str
    snapshot_id: str | None
    runconfig: str = ""
    is_deterministic: bool
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    parameters: Mapping[str, ModuleParameter] = field(default_factory=dict)
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that runs a module. `inputs` and `outputs` hold settings of ports, as sent."""

    node_id: str
    module_id: str
    parameters: Mapping[str, Assignment] = field(default_factory=dict)
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    runconfig: str = ""
    regenerate: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceNode:
    """A node that provides data; exactly one of the fields says which."""

    node_id: str
    data_source_id: str | None = None
    path_parameter: str | None = None
    dataset_parameter: str | None = None
    dataset: JSON | None = None


SentGraph = Graph[Node, SourceNode]


def read_graph(body: JSON) -> SentGraph:
    """A graph, or `Invalid`; `Unsupported` if it cannot run here."""
    check_shape(body, Needed(_GRAPH), "Graph")
    if body.get("SubGraphNodes"):
        raise Unsupported("Graphs inside graphs are not supported by the local service.")
    steps = _by_id(_node(node) for node in body.get("ModuleNodes") or ())
    sources = _by_id(_source(node) for node in body.get("DatasetNodes") or ())
    edges, outputs = [], {}
    for edge in body.get("Edges") or ():
        source, target = edge.get("SourceOutputPort") or {}, edge.get("DestinationInputPort") or {}
        if target.get("GraphPortName"):
            outputs[target["GraphPortName"]] = _port(source)
        else:
            edges.append(Edge(_port(source), _port(target)))
    return Graph(steps=steps, sources=sources, edges=tuple(edges), outputs=outputs)


def read_module(module_id: str, body: JSON) -> Module:
    """A module from the ModuleCreationInfo that the SDK sent, or `Invalid`."""
    check_shape(body, Needed(_MODULE), "Module")
    interface = body.get("StructuredInterface") or {}
    parameters = [*(interface.get("Parameters") or ()), *(interface.get("MetadataParameters") or ())]
    return Module(
        module_id=module_id,
        name=body["Name"],
        step_type=body.get("StepType") or "step of unknown type",
        snapshot_id=body.get("StorageId"),
        runconfig=body.get("Runconfig") or "",
        is_deterministic=bool(body.get("IsDeterministic")),
        inputs=_ports(interface.get("Inputs")),
        outputs=_ports(interface.get("Outputs")),
        parameters={item["Name"]: _parameter(item) for item in parameters},
        arguments=tuple(_argument(item) for item in interface.get("Arguments") or ()),
    )


def _by_id(nodes: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in nodes:
        if not node.node_id or node.node_id in found:
            raise Invalid(f"The graph has two nodes with the id {node.node_id!r}, or one without an id.")
        found[node.node_id] = node
    return found


def _port(body: JSON) -> Port:
    return Port(str(body.get("NodeId") or ""), str(body.get("PortName") or ""))


def _node(body: JSON) -> Node:
    every = [*(body.get("ModuleParameters") or ()), *(body.get("ModuleMetadataParameters") or ())]
    return Node(
        node_id=str(body.get("Id") or ""),
        module_id=str(body.get("ModuleId") or ""),
        parameters={item["Name"]: _assignment(item) for item in every},
        inputs=_ports(body.get("ModuleInputSettings")),
        outputs=_ports(body.get("ModuleOutputSettings")),
        runconfig=body.get("Runconfig") or "",
        regenerate=bool(body.get("RegenerateOutput")),
    )


def _assignment(item: JSON) -> Assignment:
    kind = str(item.get("ValueType"))
    if kind not in (*_LITERAL, *_GRAPH_PARAMETER):
        raise Unsupported(f"Parameter {item.get('Name')!r} has a value of the unsupported type {kind!r}.")
    if kind in _GRAPH_PARAMETER:
        return Assignment(graph_parameter=str(item.get("Value")))
    return Assignment(item.get("Value"))


def _source(body: JSON) -> SourceNode:
    definition = body.get("DataSetDefinition") or {}
    source = SourceNode(
        node_id=str(body.get("Id") or ""),
        data_source_id=body.get("DatasetId"),
        path_parameter=body.get("DataPathParameterName"),
        dataset_parameter=definition.get("ParameterName"),
        dataset=definition.get("Value"),
    )
    if not any((source.data_source_id, source.path_parameter, source.dataset_parameter, source.dataset)):
        raise Invalid(f"The source of data {source.node_id!r} names no data.")
    return source


def _ports(items: list[JSON] | None) -> dict[str, JSON]:
    return {item["Name"]: item for item in items or () if not item["Name"].startswith(RUN_AFTER)}


def _parameter(item: JSON) -> ModuleParameter:
    return ModuleParameter(
        default=item.get("DefaultValue"),
        is_variable=bool(item.get("SetEnvironmentVariable")),
        variable=item.get("EnvironmentVariableOverride"),
    )


def _argument(item: JSON) -> Argument:
    kind = str(item.get("ValueType"))
    if kind not in ("Literal", "Input", "Output", "Parameter"):
        raise Unsupported(f"An argument has the unsupported type {kind!r}.")
    return Argument(kind, str(item.get("Value") if item.get("Value") is not None else ""))
