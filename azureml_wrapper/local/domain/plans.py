"""The plan of a pipeline: what each of its steps runs, with every parameter resolved.

A plan is a graph of `Step` and `Data`. It is the same for every SDK: a reader in the services
makes it from what a client has sent, and the executor runs it without knowing the client's format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import Distribution, Job, JobInput, JobOutput, Mode, Task
from azureml_wrapper.local.domain.pipelines import PipelineRun, Values
from azureml_wrapper.local.domain.runs import JSON, Run, RunStatus

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


class DataPath(NamedTuple):
    """A path of a datastore, given to a script as a data reference."""

    datastore: str
    path: str


class FolderData(NamedTuple):
    """A path of a datastore, given to a script as a dataset."""

    datastore: str
    path: str


class SavedData(NamedTuple):
    """A saved dataset by its id."""

    saved_id: str


class RegisteredData(NamedTuple):
    """A registered dataset by its id or its name; `version` None is the latest one when a step starts."""

    dataset_id: str | None
    name: str
    version: int | None


Data = DataPath | FolderData | SavedData | RegisteredData


@dataclass(frozen=True, kw_only=True)
class StepInput:
    """How an input reaches a step. `path_on_compute`: where the user wants it to be.

    `table`: transformations (of a dataset's definition) that make a table of the input's files.
    """

    mode: Mode = Mode.MOUNT
    path_on_compute: str | None = None
    table: tuple[JSON, ...] = ()


_DEFAULT_INPUT = StepInput()


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step with all that its job needs, except for the data that other steps still have to make.

    Args:
        kind: The client's name for the type of step, for people.
        task: What the step runs; its class decides how.
        allow_reuse: Whether an earlier run's outputs may be used; `regenerate` runs the step anyway.
        sent: What the reader has made the plan from. Only the reader (and its `StepRuns`) looks into it.
    """

    node_id: str
    name: str
    kind: str
    target: str
    task: Task
    snapshot_id: str | None = None
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    variables: Mapping[str, str] = field(default_factory=dict)
    distribution: Distribution = field(default_factory=Distribution)
    node_count: int = 1
    timeout: float | None = None
    notes: tuple[str, ...] = ()
    inputs: Mapping[str, StepInput] = field(default_factory=dict)
    outputs: tuple[JobOutput, ...] = ()
    allow_reuse: bool = False
    regenerate: bool = False
    sent: Any = field(default=None, repr=False, compare=False)

    def input(self, name: str) -> StepInput:
        """The settings of an input; the defaults for one that the step says nothing about."""
        return self.inputs.get(name, _DEFAULT_INPUT)

    def output(self, name: str) -> JobOutput:
        """The output of that name, or `Invalid`."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise Invalid(f"Step {self.name!r} has no output {name!r}.")

    def job(self, workspace_id: str, run_id: str, inputs: tuple[JobInput, ...]) -> Job:
        """The job of a run of this step."""
        return Job(
            workspace_id=workspace_id,
            run_id=run_id,
            target=self.target,
            snapshot_id=self.snapshot_id,
            task=self.task,
            environment=self.environment,
            environment_variables=dict(self.variables),
            inputs=inputs,
            outputs=self.outputs,
            distribution=self.distribution,
            node_count=self.node_count,
            timeout=self.timeout,
            notes=self.notes,
        )


Plan = Graph[Step, Data]


class Plans(Protocol):
    """Reads stored graphs."""

    def stored(self, workspace_id: str, graph_id: str, values: Values) -> Plan:
        """The plan of a stored graph with values for its parameters; a fault for what cannot run."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a step's outputs follow from, as far as its job does not say it (see domain/reuse.py, Recipe)."""

    parameters: Mapping[str, str]
    variables: Mapping[str, Any]
    settings: JSON


class StepRuns(Protocol):
    """Makes the run records of steps, in the words of the client's SDK."""

    def add(self, pipeline: PipelineRun, step: Step, run_id: str) -> Run:
        """Store the run of a step that is about to be submitted."""

    def describe(self, run: Run, step: Step, job: Job) -> None:
        """Store the run definition of the step's job."""

    def facts(self, step: Step) -> Facts:
        """What a later run must have in common with this one to reuse its outputs."""

    def reused(self, origin: Run) -> dict[str, str]:
        """The properties of a step's run that reuses the outputs of `origin`."""

    def finished(self, pipeline: Run, end: datetime, status: RunStatus) -> dict[str, str]:
        """The properties that a pipeline's run gets when it ends."""


class PipelineExecutor(Protocol):
    """Runs pipelines. A pipeline's run advances in run history."""

    def recover(self) -> None:
        """Fail what an earlier process of the service left. Called once, after the jobs' own recovery."""

    def check(self, workspace_id: str, plan: Plan) -> None:
        """Raise a fault if a dataset of the plan does not exist; all else has been checked by its reader."""

    def submit(self, workspace_id: str, run_id: str) -> None:
        """Start a stored pipeline run, and return at once; `Conflict` if it was started before."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a pipeline run and all its steps. Returns False if no such pipeline run waits or runs."""

    def is_busy(self) -> bool:
        """Whether any pipeline runs."""

    def close(self) -> None:
        """Start no further step, because the service ends. Call it before the jobs are stopped."""
