"""A pipeline's graph: steps, sources of data, and the edges between them.

The SDK describes a graph in JSON of its own (azureml/pipeline/core/_aeva_provider.py, _build_graph). The service
keeps it as it came; what is needed to run it is read here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape

JSON = dict[str, Any]

# Ports that only order two steps (azureml/pipeline/core/graph.py, ModuleDef).
RUN_AFTER = "_run_after_"
# Values of ParameterAssignment.ValueType. The SDK sends numbers, the service's own exports words.
_LITERAL = ("0", "Literal", "None")
_GRAPH_PARAMETER = ("1", "GraphParameterName")

_PORT = Needed({"NodeId": str, "PortName": str, "GraphPortName": str})
_PARAMETERS = [{"Name": Needed(str), "Value": str}]
_REFERENCE = {"Id": str, "Name": str, "Version": str}
_DATASET = {
    "SavedDataSetReference": {"Id": Needed(str)},
    "DataSetReference": _REFERENCE,
    "LiteralValue": {"DataStoreName": str, "RelativePath": str},
}
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
            "DataSetDefinition": {"ParameterName": str, "Value": _DATASET},
        }
    ],
    "Edges": [{"SourceOutputPort": _PORT, "DestinationInputPort": _PORT}],
}
_INTERFACE = {
    "Parameters": [{"Name": Needed(str), "DefaultValue": str}],
    "DataPathParameters": [{"Name": Needed(str), "DefaultValue": {"DataStoreName": str, "RelativePath": str}}],
    "DataPathParameterList": [{"Name": Needed(str), "DefaultValue": _DATASET}],
}
# What a run gives its parameters.
ASSIGNMENTS = {
    "ParameterAssignments": MapOf(str),
    "DataPathAssignments": MapOf({"DataStoreName": Needed(str), "RelativePath": str}),
    "DataSetDefinitionValueAssignments": MapOf(_DATASET),
    "tags": MapOf(str),
    "Properties": MapOf(str),
    "Description": str,
}


class Port(NamedTuple):
    """One end of an edge."""

    node: str
    name: str

    @property
    def carries_data(self) -> bool:
        return not self.name.startswith(RUN_AFTER)


class Edge(NamedTuple):
    """Data (or only an order) that goes from an output to an input."""

    source: Port
    target: Port


class Assignment(NamedTuple):
    """The value of a step's parameter: literal, or that of a parameter of the pipeline."""

    value: str | None = None
    graph_parameter: str | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A node that runs a module. `inputs` and `outputs` hold the settings of ports, in the SDK's form."""

    node_id: str
    module_id: str
    parameters: Mapping[str, Assignment] = field(default_factory=dict)
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    runconfig: str = ""
    regenerate: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """A node that gives data: exactly one of the fields says which."""

    node_id: str
    data_source_id: str | None = None
    path_parameter: str | None = None
    dataset_parameter: str | None = None
    dataset: JSON | None = None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Steps and sources by node id. `outputs` are the pipeline's own outputs by name."""

    steps: Mapping[str, Step]
    sources: Mapping[str, Source]
    edges: tuple[Edge, ...]
    outputs: Mapping[str, Port] = field(default_factory=dict)

    def inputs_of(self) -> dict[str, list[Edge]]:
        """The edges that end in each step."""
        found: dict[str, list[Edge]] = {node: [] for node in self.steps}
        for edge in self.edges:
            found[edge.target.node].append(edge)
        return found

    def check(self) -> None:
        """Raise `Invalid` for an edge that leads nowhere, an input with two sources, or a cycle."""
        if not self.steps:
            raise Invalid("The graph has no steps.")
        for edge in self.edges:
            self._check_edge(edge)
        taken: set[Port] = set()
        for edge in self.edges:
            if edge.target in taken:
                raise Invalid(f"The input {edge.target.name!r} of node {edge.target.node} has two sources.")
            taken.add(edge.target)
        self._check_cycle()

    def _check_edge(self, edge: Edge) -> None:
        if edge.source.node not in self.steps and edge.source.node not in self.sources:
            raise Invalid(f"An edge begins at node {edge.source.node!r}, which the graph does not have.")
        if edge.target.node not in self.steps:
            raise Invalid(f"An edge ends at node {edge.target.node!r}, which the graph does not have.")

    def _check_cycle(self) -> None:
        walk = Walk(self, continue_on_failure=False)
        ready = deque(walk.begin())
        while ready:
            ready.extend(walk.end(ready.popleft(), succeeded=True))
        if left := walk.waiting:
            raise Invalid(f"The graph has a cycle; these nodes wait for each other: {', '.join(sorted(left)[:10])}.")


class Walk:
    """Which steps may run next. Every edge is looked at once over the whole life of a run.

    After a failure nothing more is let go, unless `continue_on_failure`: then only what depends on the failed step,
    directly or not, stays behind.
    """

    def __init__(self, graph: Graph, *, continue_on_failure: bool) -> None:
        self._continue = continue_on_failure
        self._followers: dict[str, list[str]] = {node: [] for node in graph.steps}
        self._waits = dict.fromkeys(graph.steps, 0)
        for edge in graph.edges:
            if edge.source.node in graph.steps:
                self._followers[edge.source.node].append(edge.target.node)
                self._waits[edge.target.node] += 1
        self.running: set[str] = set()
        self.is_stopped = False

    @property
    def waiting(self) -> set[str]:
        """Steps that have not been let go."""
        return set(self._waits)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs; what still waits then never will."""
        return not self.running

    def begin(self) -> list[str]:
        """The steps that wait for nothing."""
        return self._let_go([node for node, count in self._waits.items() if count == 0])

    def end(self, node: str, *, succeeded: bool) -> list[str]:
        """Take note that a step has ended; the steps that may run now."""
        self.running.discard(node)
        if not succeeded:
            self.is_stopped = self.is_stopped or not self._continue
            return []
        ready = []
        for follower in self._followers[node]:
            self._waits[follower] -= 1
            if self._waits[follower] == 0:
                ready.append(follower)
        return [] if self.is_stopped else self._let_go(ready)

    def stop(self) -> None:
        """Let no further step go."""
        self.is_stopped = True

    def _let_go(self, ready: list[str]) -> list[str]:
        for node in ready:
            del self._waits[node]
        self.running.update(ready)
        return ready


def read_graph(body: JSON) -> Graph:
    """A graph from the SDK's JSON; `Invalid` or `Unsupported` where it cannot be run."""
    check_shape(body, Needed(_GRAPH), "Graph")
    if body.get("SubGraphNodes"):
        raise Unsupported("The local service does not run graphs inside graphs.")
    steps = _by_id(_step(node) for node in body.get("ModuleNodes") or ())
    sources = _by_id(_source(node) for node in body.get("DatasetNodes") or ())
    edges, outputs = [], {}
    for edge in body.get("Edges") or ():
        source, target = edge.get("SourceOutputPort") or {}, edge.get("DestinationInputPort") or {}
        if target.get("GraphPortName"):
            outputs[target["GraphPortName"]] = _port(source)
        else:
            edges.append(Edge(_port(source), _port(target)))
    return Graph(steps=steps, sources=sources, edges=tuple(edges), outputs=outputs)


def check_interface(body: JSON) -> JSON:
    """The interface of a graph's parameters, or `Invalid`."""
    check_shape(body, _INTERFACE, "GraphInterface")
    return body


def _by_id(nodes: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in nodes:
        if not node.node_id or node.node_id in found:
            raise Invalid(f"The graph has two nodes with the id {node.node_id!r}, or one without an id.")
        found[node.node_id] = node
    return found


def _port(body: JSON) -> Port:
    return Port(str(body.get("NodeId") or ""), str(body.get("PortName") or ""))


def _step(node: JSON) -> Step:
    every = [*(node.get("ModuleParameters") or ()), *(node.get("ModuleMetadataParameters") or ())]
    return Step(
        node_id=str(node.get("Id") or ""),
        module_id=str(node.get("ModuleId") or ""),
        parameters={item["Name"]: _assignment(item) for item in every},
        inputs={item["Name"]: item for item in node.get("ModuleInputSettings") or ()},
        outputs={item["Name"]: item for item in node.get("ModuleOutputSettings") or ()},
        runconfig=node.get("Runconfig") or "",
        regenerate=bool(node.get("RegenerateOutput")),
    )


def _assignment(item: JSON) -> Assignment:
    kind = str(item.get("ValueType"))
    if kind not in (*_LITERAL, *_GRAPH_PARAMETER):
        raise Unsupported(f"Parameter {item.get('Name')!r} has a value of type {kind!r}, which cannot be resolved.")
    if kind in _GRAPH_PARAMETER:
        return Assignment(graph_parameter=str(item.get("Value")))
    return Assignment(item.get("Value"))


def _source(node: JSON) -> Source:
    definition = node.get("DataSetDefinition") or {}
    source = Source(
        node_id=str(node.get("Id") or ""),
        data_source_id=node.get("DatasetId"),
        path_parameter=node.get("DataPathParameterName"),
        dataset_parameter=definition.get("ParameterName"),
        dataset=definition.get("Value"),
    )
    if not any((source.data_source_id, source.path_parameter, source.dataset_parameter, source.dataset)):
        raise Invalid(f"The source of data {source.node_id!r} names no data.")
    return source
