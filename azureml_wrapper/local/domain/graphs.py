"""The shape of a pipeline: steps, sources of data, and the edges between them, whoever described it.

What a step and a source hold is up to the reader: as sent by a client, or planned (domain/plans.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Generic, NamedTuple, TypeVar

from azureml_wrapper.local.domain.errors import Invalid

# Ports that only order two steps (azureml/pipeline/core/graph.py, ModuleDef).
RUN_AFTER = "_run_after_"
NODES_SHOWN = 10

StepT = TypeVar("StepT")
SourceT = TypeVar("SourceT")


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


@dataclass(frozen=True, kw_only=True)
class Graph(Generic[StepT, SourceT]):
    """Steps and sources by node id. `outputs` maps the names of the pipeline's own outputs to the ports of steps."""

    steps: Mapping[str, StepT]
    sources: Mapping[str, SourceT]
    edges: tuple[Edge, ...] = ()
    outputs: Mapping[str, Port] = field(default_factory=dict)

    def inputs_of(self) -> dict[str, list[Edge]]:
        """The edges that end in each step."""
        found: dict[str, list[Edge]] = {node: [] for node in self.steps}
        for edge in self.edges:
            found[edge.target.node].append(edge)
        return found

    def check(self) -> None:
        """Raise `Invalid` for a graph without steps, an edge to nowhere, an input with two sources, or a cycle."""
        if not self.steps:
            raise Invalid("The graph has no steps.")
        for edge in self.edges:
            self._check_edge(edge)
        taken: set[Port] = set()
        for edge in self.edges:
            if edge.target in taken:
                raise Invalid(f"The input {edge.target.name!r} of node {edge.target.node} has two sources.")
            taken.add(edge.target)
        Walk(self, continue_on_failure=False)

    def _check_edge(self, edge: Edge) -> None:
        if edge.source.node not in self.steps and edge.source.node not in self.sources:
            raise Invalid(f"An edge begins at node {edge.source.node!r}, which the graph does not have.")
        if edge.target.node not in self.steps:
            raise Invalid(f"An edge ends at node {edge.target.node!r}, which the graph does not have.")


class Walk:
    """Tells which steps may run next. Over the whole life of a run, each edge is looked at once.

    After a failure no further step starts, unless `continue_on_failure`: then only the steps that depend on the
    failed one, directly or not, stay behind. Raises `Invalid` for a cycle.
    """

    def __init__(self, graph: Graph[Any, Any], *, continue_on_failure: bool) -> None:
        self._continue = continue_on_failure
        self._order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(graph.steps, ()))
        for edge in graph.edges:
            if edge.source.node in graph.steps:
                self._order.add(edge.target.node, edge.source.node)
        try:
            self._order.prepare()
        except CycleError as error:
            nodes = ", ".join(sorted(set(error.args[1]))[:NODES_SHOWN])
            raise Invalid(f"The graph has a cycle; these nodes wait for each other: {nodes}.") from None
        self.waiting: set[str] = set(graph.steps)
        self.running: set[str] = set()
        self.is_stopped = False

    @property
    def is_over(self) -> bool:
        """Whether nothing runs; steps that still wait will never start."""
        return not self.running

    def begin(self) -> list[str]:
        """The steps that wait for nothing."""
        return self._start(self._order.get_ready())

    def end(self, node: str, *, succeeded: bool) -> list[str]:
        """Record that a step has ended, and return the steps that may run now."""
        self.running.discard(node)
        if not succeeded:
            self.is_stopped = self.is_stopped or not self._continue
            return []
        self._order.done(node)
        return [] if self.is_stopped else self._start(self._order.get_ready())

    def stop(self) -> None:
        """Start no further step."""
        self.is_stopped = True

    def _start(self, ready: Iterable[str]) -> list[str]:
        nodes = list(ready)
        self.waiting.difference_update(nodes)
        self.running.update(nodes)
        return nodes
