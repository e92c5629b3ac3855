"""What a wide pipeline costs: the real executors and stores, with processes that only seem to run."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.errors import Damaged
from azureml_wrapper.local.domain.pipelines import EXECUTION_LOG, PIPELINE_RUN_TYPE, PipelineRun, Values
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.executor.process import ColdStarter, ProcessId
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tls import server_context
from tests.unit.local.pipelinebench import Bench as StoresOnly
from tests.unit.local.pipelinebench import CountingDatabase, W, node
from tests.unit.local.pipelinebench import edge as edge_of
from tests.waiting import until


class SeemingProcess:
    """Ends when the starter lets it."""

    identity = ProcessId(2**22 + 1, 0)

    def __init__(self, ends: threading.Event) -> None:
        self._ends = ends

    def go(self) -> None:
        pass

    def wait(self) -> int:
        self._ends.wait()
        return 0

    def end(self) -> None:
        self._ends.set()


class SeemingStarter(ColdStarter):
    def __init__(self) -> None:
        self.ends = threading.Event()

    def start(self, command, *, folder, variables, log):
        return SeemingProcess(self.ends)


class Service:
    """A service's context without its server, and pipelines on a compute with one node."""

    def __init__(self, folder, monkeypatch) -> None:
        self.starter = SeemingStarter()
        home = Home(folder)
        home.create()
        server_context(home)
        with monkeypatch.context() as patch:
            patch.setattr("azureml_wrapper.local.app._starter", lambda: self.starter)
            patch.setattr("azureml_wrapper.local.app.Database", CountingDatabase)
            self.context = build_context(home, 1)
        self.workspace_id = self.context.workspaces.get("local", "local", "local").workspace_id
        now = self.context.clock.now()
        compute = Compute(name="cpu", created=now, modified=now, vm_size="STANDARD_D2_V2", max_nodes=1)
        self.context.computes.put(self.workspace_id, compute)
        body = {"Name": "step", "StepType": "PythonScriptStep"}
        self.module = self.context.pipelines.add_module(self.workspace_id, body).key

    def fan(self, steps: int) -> str:
        """A pipeline of steps that wait for nothing."""
        graph = {"ModuleNodes": [node(f"n{number}", self.module) for number in range(steps)], "Edges": []}
        context, workspace_id, run_id = self.context, self.workspace_id, self.context.ids.guid()
        graph_id = context.pipelines.add_graph(workspace_id, graph, {}).key
        now = context.clock.now()
        fields = {"workspace_id": workspace_id, "run_id": run_id, "experiment": "e", "created": now}
        context.pipelines.add_run(PipelineRun(**fields, graph_id=graph_id, assigned=Values()))
        context.runs.add(Run(**fields, experiment_id="e", run_type=PIPELINE_RUN_TYPE))
        context.pipeline_executor.submit(workspace_id, run_id)
        return run_id

    def statuses(self, condition: str, run_id: str) -> dict[str, int]:
        """The number of runs by status, in a statement that is not counted."""
        sql = f"SELECT status, COUNT(*) AS number FROM runs WHERE {condition} = ? GROUP BY status"  # noqa: S608
        with self.context.database._lock:
            rows = self.context.database._connection.execute(sql, (run_id,)).fetchall()
        return {row["status"]: row["number"] for row in rows}

    def await_all(self, pipeline: str, **statuses: int) -> None:
        until(lambda: self.statuses("parent_id", pipeline) == statuses)

    def await_end(self, pipeline: str, status: RunStatus) -> None:
        until(lambda: self.statuses("run_id", pipeline) == {status.value: 1})
        until(lambda: not self.context.executor.is_busy())


@pytest.fixture
def service(tmp_path, monkeypatch):
    service = Service(tmp_path / "home", monkeypatch)
    yield service
    service.starter.ends.set()
    service.context.pipeline_executor.close()
    service.context.executor.close()


def jobs_with_threads() -> int:
    return sum(thread.name.startswith("job ") for thread in threading.enumerate())


def statements(service: Service, steps: int) -> tuple[int, int]:
    """How many it takes to start a fan, and to cancel it."""
    before = service.context.database.statements
    pipeline = service.fan(steps)
    service.await_all(pipeline, Running=1, Queued=steps - 1)
    until(lambda: jobs_with_threads() == 1)
    started = service.context.database.statements
    assert service.context.pipeline_executor.cancel(service.workspace_id, pipeline)
    # None of those that wait starts because another one has ended.
    service.await_all(pipeline, Canceled=steps)
    service.await_end(pipeline, RunStatus.CANCELED)
    service.starter.ends.clear()
    return started - before, service.context.database.statements - started


def test_a_fan_costs_the_same_for_each_step_has_one_thread_for_all_that_wait_and_is_canceled_as_one(service):
    few, many = statements(service, 20), statements(service, 80)
    assert [cost <= 4.2 * less for cost, less in zip(many, few, strict=True)] == [True, True], (few, many)


def test_steps_that_wait_are_canceled_in_the_same_statements_however_many_they_are(service):
    (_, few), (_, many) = statements(service, 20), statements(service, 80)
    # Which of the first two got the free node is up to their threads.
    assert many <= few + 8, (few, many)


def test_canceled_steps_end_one_by_one_if_they_cannot_together(service, monkeypatch):
    def cancel_waiting(workspace, run_ids):
        raise Damaged("a defect")

    monkeypatch.setattr(service.context.runs, "cancel_waiting", cancel_waiting)
    pipeline = service.fan(20)
    service.await_all(pipeline, Running=1, Queued=19)
    assert service.context.pipeline_executor.cancel(service.workspace_id, pipeline)
    service.await_end(pipeline, RunStatus.CANCELED)
    assert service.statuses("parent_id", pipeline) == {"Canceled": 20}
    assert service.context.jobs.all() == []


def test_a_step_that_waits_is_canceled_even_if_its_run_has_a_start(service):
    pipeline = service.fan(10)
    service.await_all(pipeline, Running=1, Queued=9)
    queued = [run for run in service.context.runs.children(service.workspace_id, pipeline) if not run.started]
    service.context.runs.change(service.workspace_id, queued[0].run_id, started=service.context.clock.now())
    assert service.context.pipeline_executor.cancel(service.workspace_id, pipeline)
    service.await_end(pipeline, RunStatus.CANCELED)
    assert service.statuses("parent_id", pipeline) == {"Canceled": 10}


def test_a_run_below_a_step_that_waits_is_canceled_with_it(service):
    pipeline = service.fan(10)
    service.await_all(pipeline, Running=1, Queued=9)
    queued = [run for run in service.context.runs.children(service.workspace_id, pipeline) if not run.started]
    child = replace(queued[0], run_id="child", parent_id=queued[0].run_id, run_type=None, status=RunStatus.RUNNING)
    service.context.runs.add(child)
    assert service.context.pipeline_executor.cancel(service.workspace_id, pipeline)
    service.await_end(pipeline, RunStatus.CANCELED)
    assert service.context.runs.get(service.workspace_id, "child").status is RunStatus.CANCELED
    log = service.context.artifact(service.workspace_id, queued[0].run_id, EXECUTION_LOG).read_text()
    assert f"Job failed, job RunId is {queued[0].run_id}. Error: The run is Canceled." in log


def test_a_fan_runs_in_the_order_of_its_steps(service):
    pipeline = service.fan(12)
    service.await_all(pipeline, Running=1, Queued=11)
    service.starter.ends.set()
    service.await_end(pipeline, RunStatus.COMPLETED)
    steps = service.context.pipelines.steps(service.workspace_id, pipeline)
    runs = sorted(service.context.runs.children(service.workspace_id, pipeline), key=lambda run: run.started)
    # Which of the first two got the free node is up to their threads.
    waited = [run.run_id for run in runs[1:]]
    assert waited == [run_id for run_id in (steps[f"n{number}"] for number in range(12)) if run_id in waited]


def test_other_work_gets_its_turn_while_a_fan_starts():
    bench = StoresOnly()
    order: list[str] = []
    bench.executor.submit = lambda job: order.append("step")
    run = bench.store(bench.graph(nodes=[f"n{number}" for number in range(100)]))
    bench.queue.put(lambda: bench.queue.put(lambda: order.append("other")))
    bench.graphs.submit(W, run)
    assert bench.queue.join(60)
    assert order.count("step") == 100
    assert order.index("other") <= 20


def statements_of_layers(width: int) -> int:
    """How many a pipeline takes in which each of two layers of steps reads all outputs of the one before."""
    bench = StoresOnly()
    bench.executor.instant = True
    outputs = [{"Name": "out", "DataStoreName": "workspaceblobstore", "DataStoreMode": "Mount"}]
    graph = bench.graph(nodes=[f"{layer}-{number}" for layer in "ab" for number in range(width)])
    for each in graph["ModuleNodes"]:
        each["ModuleOutputSettings"] = outputs
    graph["Edges"] = [
        edge_of(f"a-{one}", "out", f"b-{other}", f"in{one}") for one in range(width) for other in range(width)
    ]
    before = bench.database.statements
    run = bench.begin(graph)
    assert bench.status(run) is RunStatus.COMPLETED
    job = bench.executor.jobs[bench.run_of(run, "b-0")]
    assert len({item.path for item in job.inputs}) == width
    return bench.database.statements - before


def test_an_edge_costs_no_statement():
    assert statements_of_layers(16) <= 2.1 * statements_of_layers(8)
