"""Sweeps without processes: what begins when, and how each ends."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from azureml_wrapper.local.domain.jobs import Job, NewJob, Script
from azureml_wrapper.local.domain.metrics import Point, Series
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.sweeps import SWEEP_RUN_TYPE, arguments_of
from azureml_wrapper.local.executor.sweeps import SweepExecutor
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.services.runforms import RunHistoryForms
from azureml_wrapper.local.services.sweeps import read_sweep
from azureml_wrapper.local.store import metrics
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.metrics import MetricStore
from azureml_wrapper.local.store.runs import RunStore
from tests.unit.local.pipelinebench import START, FakeExecutor, MemoryLogs, Ticking, W
from tests.waiting import SECONDS

HD = "HD_1"


SOME = Run(workspace_id=W, run_id=HD, experiment="e", experiment_id="e1", created=START, run_type=SWEEP_RUN_TYPE)


class Logs(MemoryLogs):
    def begin(self, parent, samples):
        self.say(parent.run_id, f"{samples} samples")

    def say(self, parent, *lines):
        self.lines += [lines]


class Children:
    """Runs of nothing."""

    def make(self, parent, run_id, sweep, values):
        run = Run(
            workspace_id=W,
            run_id=run_id,
            experiment="e",
            experiment_id="e1",
            created=parent.created,
            parent_id=parent.run_id,
            run_type="azureml.scriptrun",
        )
        task = Script(path="train.py", arguments=(*sweep.config["arguments"], *arguments_of(values)))
        job = Job(workspace_id=W, run_id=run_id, target="c", snapshot_id=sweep.snapshot_id, task=task)
        return NewJob(run=run, definition=sweep.config, job=job)


class Bench:
    """A sweep service without the service; with the database of another one, it is what comes after that."""

    def __init__(self, database=None):
        self.clock = Ticking()
        self.database = database or Database(":memory:")
        self.runs, self.metrics = RunStore(self.database, self.clock), MetricStore(self.database)
        self.executor = FakeExecutor(self.runs)
        self.queue = WorkQueue()
        self.sweeps = SweepExecutor(
            executor=self.executor,
            runs=self.runs,
            metrics=self.metrics,
            children=Children(),
            logs=Logs(),
            forms=RunHistoryForms(),
            queue=self.queue,
        )
        # Whoever changes a run or logs a metric sees what follows from it.
        self.runs.listen(lambda run: self.queue.join(SECONDS))
        self.metrics.listen(lambda *_: self.queue.join(SECONDS))

    def begin(self, values=(1, 2, 3), concurrent=2, **changes):
        body = {
            "platform": "AML",
            "platform_config": {"Definition": {"Overrides": {"script": "train.py", "arguments": ["--base"]}}},
            "generator_config": {"name": "GRID", "parameter_space": {"--a": ["choice", [list(values)]]}},
            "primary_metric_config": {"name": "loss", "goal": "minimize"},
            "policy_config": {"name": "Default"},
            "max_total_jobs": 10,
            "max_concurrent_jobs": concurrent,
            **changes,
        }
        parent = self.runs.add(
            Run(
                workspace_id=W,
                run_id=HD,
                experiment="e",
                experiment_id="e1",
                created=self.clock.now(),
                run_type=SWEEP_RUN_TYPE,
            )
        )
        self.sweeps.submit(parent, read_sweep(body))
        self.queue.join(SECONDS)

    def log(self, number, value, at=None, name="loss"):
        at = at or str(self.clock.now())
        point = Point(point_id=f"{number}-{value}-{at}", created=at, data={name: value})
        series = Series(name=name, kind="azureml.v1.scalar", columns={name: "double"})
        self.metrics.add(W, f"{HD}_{number}", series, [point])

    def end(self, number, status=RunStatus.COMPLETED):
        self.executor.end(f"{HD}_{number}", status)

    @property
    def parent(self):
        return self.runs.get(W, HD)

    @property
    def begun(self):
        return [run_id.removeprefix(f"{HD}_") for run_id in self.executor.jobs]


@pytest.fixture
def bench():
    return Bench()


def test_the_next_run_begins_when_one_has_ended(bench):
    bench.begin()
    assert bench.begun == ["0", "1"]
    assert bench.parent.status is RunStatus.RUNNING
    bench.end(1)
    assert bench.begun == ["0", "1", "2"]
    assert bench.executor.jobs[f"{HD}_2"].task.arguments == ("--base", "--a", "3")
    bench.end(0)
    assert bench.parent.status is RunStatus.RUNNING
    bench.end(2)
    assert bench.parent.status is RunStatus.COMPLETED


def test_runs_that_end_at_once_do_not_pile_up(bench):
    bench.executor.instant = True
    bench.begin(values=range(500), max_total_jobs=500)
    assert len(bench.begun) == 500
    assert bench.parent.status is RunStatus.COMPLETED


def test_the_values_of_each_run_and_the_best_one_are_the_sweeps(bench):
    bench.begin(values=(1, 2))
    for number, value in ((0, 0.5), (1, 0.2), (0, 0.4)):
        bench.log(number, value)
    bench.end(0)
    bench.end(1)
    assert json.loads(bench.parent.tags[f"_aml_system_{HD}_1"]) == {"--a": 2}
    assert bench.parent.tags["_aml_system_all_jobs_generated"] == "true"
    assert (bench.parent.properties["best_child_run_id"], bench.parent.properties["score"]) == (f"{HD}_1", "0.2")


def test_the_best_run_is_found_behind_the_first_page_of_values(bench, monkeypatch):
    monkeypatch.setattr(metrics, "PAGE_SIZE", 2)
    bench.begin(values=(1, 2))
    for number, value in ((0, 0.5), (1, 0.9), (1, 0.8), (1, 0.7), (1, 0.1)):
        bench.log(number, value)
    bench.end(0)
    bench.end(1)
    assert (bench.parent.properties["best_child_run_id"], bench.parent.properties["score"]) == (f"{HD}_1", "0.1")


def test_a_value_that_comes_late_counts_at_the_end(bench):
    """Several processes of a run send for themselves: what was logged first may arrive last."""
    bench.begin(values=(1, 2))
    bench.log(1, 0.4)
    bench.log(0, 0.5)
    bench.log(0, 0.2, at="2020-01-01T00:00:00.000000+00:00")
    bench.end(0)
    bench.end(1)
    assert (bench.parent.properties["best_child_run_id"], bench.parent.properties["score"]) == (f"{HD}_0", "0.2")


def test_a_value_is_read_once_while_a_run_logs(bench, monkeypatch):
    bench.begin(values=(1, 2), policy_config={"name": "MedianStopping", "properties": {"evaluation_interval": 1}})
    read = []
    rest = bench.metrics.rest
    monkeypatch.setattr(bench.metrics, "rest", lambda *place: read.append(len((found := rest(*place))[0])) or found)
    for value in range(10):
        bench.log(0, value)
    assert read == [1] * 10


@pytest.mark.parametrize(
    ("logged", "message"),
    [
        ({}, "no run logged its primary metric 'loss', or any other metric."),
        ({"Loss": 1, "acc": 1}, "'loss'. Logged metrics: 'Loss', 'acc'. Did you mean 'Loss'?"),
        ({"acc": 1}, "'loss'. Logged metrics: 'acc'."),
        ({"loss": "NaN"}, "no run logged a number as its primary metric 'loss'."),
        ({"loss": "low"}, "no run logged a number as its primary metric 'loss'."),
    ],
)
def test_a_sweep_without_the_metric_has_no_best_run_and_says_why(bench, logged, message):
    bench.begin(values=(1, 2))
    for name, value in logged.items():
        bench.log(0, value, name=name)
    bench.end(0)
    bench.end(1)
    assert bench.parent.status is RunStatus.COMPLETED
    assert "best_child_run_id" not in bench.parent.properties
    (warning,) = bench.parent.warnings
    assert warning["message"].startswith("The sweep has no best run, because no run ")
    assert warning["message"].endswith(message)


def test_a_sweep_with_a_best_run_has_no_warning(bench):
    bench.begin(values=(1, 2))
    bench.log(1, 0.5)
    bench.end(0)
    bench.end(1)
    assert bench.parent.warnings == []


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ((RunStatus.FAILED, RunStatus.FAILED), RunStatus.FAILED),
        ((RunStatus.FAILED, RunStatus.COMPLETED), RunStatus.COMPLETED),
        ((RunStatus.CANCELED, RunStatus.FAILED), RunStatus.COMPLETED),
    ],
)
def test_a_sweep_fails_where_all_its_runs_do(bench, ends, status):
    bench.begin(values=(1, 2))
    for number, end in enumerate(ends):
        bench.end(number, end)
    assert bench.parent.status is status


def test_a_cancelled_sweep_stops_its_runs_and_begins_no_others(bench):
    bench.begin()
    assert bench.sweeps.cancel(W, HD)
    assert bench.executor.canceled == [f"{HD}_0", f"{HD}_1"]
    assert bench.begun == ["0", "1"]
    assert bench.parent.status is RunStatus.CANCELED
    assert not bench.sweeps.cancel(W, HD)


def test_a_sweep_whose_time_is_over_is_cancelled(bench):
    bench.begin(max_duration_minutes=1)
    active = bench.sweeps._active[W, HD]
    assert active.timer.interval == 60
    active.timer.function()
    bench.queue.join(SECONDS)
    assert bench.parent.status is RunStatus.CANCELED


def test_a_run_that_does_badly_is_ended_when_it_logs(bench):
    policy = {"name": "Bandit", "properties": {"slack_factor": 0.1, "evaluation_interval": 1, "delay_evaluation": 2}}
    bench.begin(values=(1, 2), policy_config=policy)
    bench.log(0, 0.5)
    bench.log(1, 0.9)
    assert bench.executor.canceled == []
    bench.log(0, 0.5)
    bench.log(1, 0.9)
    assert bench.executor.canceled == [f"{HD}_1"]
    assert any(
        "is stopped early: loss 0.9 is not within the slack" in " ".join(map(str, line))
        for line in bench.sweeps._logs.lines
    )


def test_a_run_that_cannot_be_made_counts_as_a_failed_one(bench):
    parent = bench.runs.add(replace(SOME, run_id="other"))
    taken = Children().make(parent, f"{HD}_0", SimpleNamespace(config={"arguments": []}, snapshot_id=None), {})
    bench.runs.add(taken.run)
    bench.begin(values=(1, 2))
    assert bench.begun == ["1"]
    bench.end(1)
    assert bench.parent.status is RunStatus.COMPLETED
    assert any(f"{HD}_0 could not be created" in " ".join(map(str, line)) for line in bench.sweeps._logs.lines)


def test_a_service_that_ends_begins_no_further_run(bench):
    bench.begin()
    bench.sweeps.close()
    bench.end(0, RunStatus.FAILED)
    bench.end(1, RunStatus.FAILED)
    assert bench.begun == ["0", "1"]
    assert bench.parent.status is RunStatus.FAILED


def test_a_sweep_that_a_killed_service_left_has_failed(bench):
    bench.begin()
    after = Bench(bench.database)
    after.sweeps.recover()
    assert after.parent.status is RunStatus.FAILED
    assert "The local service ended while the sweep was running" in after.parent.error["error"]["message"]
