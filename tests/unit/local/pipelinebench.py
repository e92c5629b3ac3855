"""A pipeline service without the service: a fake executor, a database in memory."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from azureml_wrapper.local.domain.pipelines import PIPELINE_RUN_TYPE, PipelineRun, Values
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.executor.graph import GraphExecutor
from azureml_wrapper.local.executor.inputs import StepInputs
from azureml_wrapper.local.executor.reuse import Attempt
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.services.environment_definitions import normalise
from azureml_wrapper.local.services.pipelines.planning import Planner
from azureml_wrapper.local.services.pipelines.stepruns import StepRunRecords
from azureml_wrapper.local.services.runforms import RunHistoryForms
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.pipelines import PipelineStore
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore
from tests.waiting import SECONDS

W = "w"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Ticking:
    def __init__(self):
        self._now = START

    def now(self):
        self._now += timedelta(seconds=1)
        return self._now

    def steady(self):
        return self._now.timestamp()

    def advance(self, seconds):
        self._now += timedelta(seconds=seconds)


class Numbered:
    def __init__(self):
        self._last = 0

    def guid(self):
        self._last += 1
        return f"id{self._last}"

    def short(self):
        return self.guid()


class CountingDatabase(Database):
    """Counts statements."""

    statements = 0

    def _run(self, sql, values=()):
        self.statements += 1
        return super()._run(sql, values)


class FakeExecutor:
    """Notes jobs; `instant` ones end well while they are being submitted."""

    def __init__(self, runs):
        self.runs, self.jobs, self.canceled, self.instant = runs, {}, [], False

    def submit(self, job):
        self.jobs[job.run_id] = job
        if self.instant:
            self.end(job.run_id)

    def end(self, run_id, status=RunStatus.COMPLETED, error=None):
        self.runs.advance(W, run_id, RunStatus.RUNNING)
        self.runs.advance(W, run_id, status, error=error)

    def cancel_waiting(self, workspace_id, run_ids):
        return set()

    def cancel(self, workspace_id, run_id):
        self.canceled.append(run_id)
        if run_id in self.jobs and not self.runs.get(W, run_id).status.is_terminal:
            self.runs.advance(W, run_id, RunStatus.CANCELED)
            return True
        return False


class NoReuse:
    """Every step runs."""

    def decide(self, step, job, made_by):
        return Attempt(step=step, job=job, made_by=made_by, reason="for a test")

    def remember(self, attempt):
        pass


class MemoryLogs:
    def __init__(self):
        self.lines = []

    def open(self, workspace_id, run_id):
        pass

    def say(self, workspace_id, run_id, *lines):
        self.lines += [(run_id, line) for line in lines]

    complain = say


class Bench:
    """A pipeline service without the service; with the database of another one, it is what comes after that."""

    def __init__(self, database=None, *, is_new=False):
        self.clock, self.ids, self.logs = Ticking(), Numbered(), MemoryLogs()
        self.database = database or CountingDatabase(":memory:")
        workspaces = WorkspaceStore(self.database)
        if database is None or is_new:
            workspaces.add(
                Workspace(
                    workspace_id=W,
                    subscription="ss",
                    resource_group="gg",
                    name="nn",
                    location="local",
                    created=START,
                )
            )
        self.runs = RunStore(self.database, self.clock)
        self.pipelines = PipelineStore(self.database, self.clock, self.ids)
        self.datasets = DatasetStore(self.database, self.clock, self.ids, workspaces)
        environments = EnvironmentStore(self.database, self.clock, curated=(), normalise=normalise)
        self.inputs = StepInputs(self.datasets, workspaces, RunHistoryForms())
        self.executor = FakeExecutor(self.runs)
        self.queue = WorkQueue()
        self.graphs = GraphExecutor(
            executor=self.executor,
            runs=self.runs,
            pipelines=self.pipelines,
            plans=Planner(self.pipelines),
            inputs=self.inputs,
            step_runs=StepRunRecords(self.runs, environments, self.clock, self.ids),
            reuse=NoReuse(),
            reused_runs=None,
            logs=self.logs,
            forms=RunHistoryForms(),
            clock=self.clock,
            ids=self.ids,
            queue=self.queue,
        )
        # Whoever changes a run sees what follows from it.
        self.runs.listen(lambda run: self.queue.join(SECONDS))
        self._modules = {}

    def module(self, name="step", **more):
        body = {"Name": name, "StepType": "PythonScriptStep", "StorageId": "snapshot", **more}
        return self.pipelines.add_module(W, body).key

    def store(self, graph, *, values=None, keep_on=False, **fields):
        """A stored pipeline run of a graph."""
        run_id = self.ids.guid()
        graph_id = self.pipelines.add_graph(W, graph, {}).key
        self.pipelines.add_run(
            PipelineRun(
                workspace_id=W,
                run_id=run_id,
                graph_id=graph_id,
                experiment="e",
                created=START,
                assigned=values or Values(),
                continue_on_failure=keep_on,
                **fields,
            )
        )
        self.runs.add(
            Run(
                workspace_id=W,
                run_id=run_id,
                experiment="e",
                experiment_id="e",
                created=START,
                run_type=PIPELINE_RUN_TYPE,
            )
        )
        return run_id

    def begin(self, graph, **more):
        run_id = self.store(graph, **more)
        self.graphs.submit(W, run_id)
        assert self.queue.join(SECONDS)
        return run_id

    def run_of(self, pipeline, node):
        """The id of a node's run; None where it has none."""
        return self.pipelines.step(W, pipeline, node)

    def end(self, pipeline, *nodes, status=RunStatus.COMPLETED, error=None):
        for node in nodes:
            self.executor.end(self.run_of(pipeline, node), status, error)

    def started(self, pipeline):
        return set(self.pipelines.steps(W, pipeline))

    def status(self, run_id):
        return self.runs.get(W, run_id).status

    def graph(self, *arrows, nodes=(), **settings):
        """A graph of arrows, "a>b": node a has to end before b."""
        pairs = [tuple(arrow.split(">")) for arrow in arrows]
        names = [*dict.fromkeys([*nodes, *(name for pair in pairs for name in pair)])]
        self._modules = self._modules or {"any": self.module()}
        return {
            "ModuleNodes": [node(name, self._modules["any"], **settings) for name in names],
            "Edges": [
                edge(source, "_run_after_output", target, f"_run_after_input_{place}")
                for place, (source, target) in enumerate(pairs)
            ],
        }


def node(name, module, parameters=(), **more):
    given = [("Target", "cpu"), ("Script", "s.py"), *parameters]
    return {
        "Id": name,
        "ModuleId": module,
        "ModuleParameters": [{"Name": key, "Value": value, "ValueType": "0"} for key, value in given],
        **more,
    }


def edge(source, out, target, into):
    return {
        "SourceOutputPort": {"NodeId": source, "PortName": out},
        "DestinationInputPort": {"NodeId": target, "PortName": into},
    }
