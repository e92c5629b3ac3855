"""What steps run: a HyperDriveStep's sweep, without the SDK and without processes."""

from __future__ import annotations

import json

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.jobs import Command, Job, JobInput, JobOutput, Mode, Script, TrainingOutput
from azureml_wrapper.local.domain.metrics import Point, Series
from azureml_wrapper.local.domain.pipelines import OUT_LOG, STEP_RUN_TYPE
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.storage import CONTAINER, of_run
from azureml_wrapper.local.domain.sweeps import Trials
from azureml_wrapper.local.executor.runlogs import PipelineLogs, SweepLogs
from azureml_wrapper.local.executor.sweeps import SweepExecutor
from azureml_wrapper.local.executor.sweepsteps import StepJobs
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.services.execution.newruns import ScriptRuns
from azureml_wrapper.local.services.sweeps import read_sweep
from azureml_wrapper.local.tls import server_context
from tests.waiting import SECONDS

STEP, STORE = "step1", "workspaceblobstore"
SWEEP = {
    "platform": "AML",
    "generator_config": {"name": "GRID", "parameter_space": {"--lr": ["choice", [[0.1, 0.5]]]}},
    "primary_metric_config": {"name": "accuracy", "goal": "maximize"},
    "platform_config": {"Definition": {"Overrides": {"script": "train.py", "target": "cpu", "arguments": ["--x"]}}},
    "max_total_jobs": 2,
}
METRICS = TrainingOutput(is_metrics=True)
MODEL = TrainingOutput(is_metrics=False, file="outputs/model")


class Trained:
    """An executor whose jobs log their learning rate and write a model; then they end as they are told."""

    def __init__(self, context):
        self.context, self.jobs, self.logs, self.status = context, {}, True, RunStatus.COMPLETED
        self.canceled: list[str] = []

    def submit(self, job):
        self.jobs[job.run_id] = job
        if self.status is None:
            return
        if self.logs:
            rate = float(job.task.arguments[-1])
            for name, value in (("accuracy", rate), ("loss", -rate)):
                point = Point(point_id=name, created="2026-01-01T00:00:00+00:00", data={name: value})
                series = Series(name=name, columns={name: "Double"}, kind="azureml.v1.scalar")
                self.context.metrics.add(job.workspace_id, job.run_id, series, [point])
            file = self.context.artifact(job.workspace_id, job.run_id, "outputs/model/m.txt")
            file.write_text(f"model of {rate}")
        self.end(job.run_id)

    def end(self, run_id):
        job = self.jobs[run_id]
        self.context.runs.advance(job.workspace_id, run_id, RunStatus.RUNNING)
        self.context.runs.advance(job.workspace_id, run_id, self.status, error={"error": {"message": "it broke"}})

    def cancel(self, workspace_id, run_id):
        self.canceled.append(run_id)
        if run_id in self.jobs:
            self.context.runs.advance(workspace_id, run_id, RunStatus.CANCELED)
        return run_id in self.jobs


class Bench:
    def __init__(self, folder):
        home = Home(folder)
        home.create()
        server_context(home)
        self.context = build_context(home, 1)
        self.workspace = self.context.workspaces.get("local", "local", "local")
        self.key = (self.workspace.workspace_id, STEP)
        self.executor = Trained(self.context)
        shared = self.context.executor._context
        children, self.queue = ScriptRuns(shared, self.context.environments), WorkQueue()
        self.sweeps = SweepExecutor(
            executor=self.executor,
            runs=shared.runs,
            metrics=self.context.metrics,
            children=children,
            logs=SweepLogs(shared),
            forms=shared.forms,
            queue=self.queue,
        )
        self.steps = StepJobs(
            shared,
            executor=self.executor,
            sweeps=self.sweeps,
            children=children,
            metrics=self.context.metrics,
            logs=PipelineLogs(shared),
            queue=self.queue,
        )
        experiment = self.context.experiments.ensure(self.workspace.workspace_id, "e")
        self.context.runs.add(
            Run(
                workspace_id=self.workspace.workspace_id,
                run_id=STEP,
                experiment="e",
                experiment_id=experiment.experiment_id,
                created=self.context.clock.now(),
                run_type=STEP_RUN_TYPE,
            )
        )

    def run(self, *outputs, inputs=(), **fields):
        """The step, when its sweep has ended or waits."""
        sweep = read_sweep({**SWEEP, **fields})
        task = Trials(path="train.py", arguments=("--x",), sweep=sweep)
        job = Job(
            workspace_id=self.key[0],
            run_id=STEP,
            target="cpu",
            snapshot_id=None,
            task=task,
            inputs=inputs,
            outputs=outputs,
            environment_variables={"AML_PARAMETER_x": "1"},
        )
        self.steps.submit(job)
        self.queue.join(SECONDS)
        return self.step

    @property
    def step(self) -> Run:
        return self.context.runs.get(*self.key)

    @property
    def sweep(self) -> Run:
        (found,) = self.context.runs.children(*self.key)
        return found

    def output(self, path: str) -> str:
        store = self.context.datastores.get(self.key[0], STORE)
        return self.context.blobs.path(store.account, store.container, path).read_text()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("AZUREML_WRAPPER_WARM", "off")
    return Bench(tmp_path / "home")


def output(name, training=None, **more):
    path = "azureml/{run-id}/{output-name}"
    settings = {"mode": Mode.MOUNT, "datastore": STORE, "path": path, "is_dataset": False, **more}
    return JobOutput(name=name, training=training, **settings)


def test_outputs_get_the_metrics_of_all_runs_and_the_best_model(bench):
    by_loss = MODEL._replace(metric="loss", file="outputs/model/m.txt")
    first = MODEL._replace(iteration=0)
    step = bench.run(output("all", METRICS), output("best", MODEL), output("loss", by_loss), output("first", first))
    assert step.status is RunStatus.COMPLETED
    low, high = f"{bench.sweep.run_id}_0", f"{bench.sweep.run_id}_1"
    metrics = {low: {"accuracy": [0.1], "loss": [-0.1]}, high: {"accuracy": [0.5], "loss": [-0.5]}}
    assert json.loads(bench.output(f"azureml/{STEP}/all")) == metrics
    assert bench.output(f"azureml/{STEP}/best/m.txt") == "model of 0.5"
    assert bench.output(f"azureml/{STEP}/loss") == "model of 0.1"
    assert bench.output(f"azureml/{STEP}/first/m.txt") == "model of 0.1"
    account = bench.workspace.storage_account
    log = bench.context.blobs.path(account, CONTAINER, of_run(STEP).name(OUT_LOG)).read_text()
    assert "Metrics for HyperDrive run:" in log
    assert json.dumps(metrics, separators=(",", ":")) in log


def test_every_run_gets_the_data_and_the_variables_of_the_step(bench):
    given = JobInput(name="data", mode=Mode.MOUNT, variable="data", datastore=STORE, path="data")
    bench.run(output("shared"), output("all", METRICS), inputs=(given,))
    assert {job.task.arguments for job in bench.executor.jobs.values()} == {
        ("--x", "--lr", "0.1"),
        ("--x", "--lr", "0.5"),
    }
    for job in bench.executor.jobs.values():
        assert job.inputs == (given,)
        assert [(each.name, each.path) for each in job.outputs] == [("shared", f"azureml/{STEP}/shared")]
        assert job.environment_variables["AML_PARAMETER_x"] == "1"


def test_a_command_gets_the_values_at_its_end(bench):
    overrides = {"command": ["python", "train.py"], "target": "cpu", "arguments": []}
    bench.run(platform_config={"Definition": {"Overrides": overrides}})
    assert {job.task for job in bench.executor.jobs.values()} == {
        Command(line="python train.py", arguments=("--lr", "0.1")),
        Command(line="python train.py", arguments=("--lr", "0.5")),
    }


def test_a_step_fails_with_the_reason_of_its_sweep_or_of_its_output(bench, tmp_path):
    bench.executor.status = RunStatus.FAILED
    step = bench.run()
    assert step.status is RunStatus.FAILED
    assert f"All of them failed; see their logs. {bench.sweep.run_id}_0: it broke" in str(step.error)
    other = Bench(tmp_path / "other")
    assert "has no file 'none'" in str(other.run(output("model", MODEL._replace(file="none"))).error)
    silent = Bench(tmp_path / "silent")
    silent.executor.logs = False
    assert "Output model got no model. The sweep has no best run" in str(silent.run(output("model", MODEL)).error)


def test_a_canceled_step_cancels_its_sweep_and_other_jobs_go_to_the_executor(bench):
    bench.executor.status = None
    assert bench.run().status is RunStatus.RUNNING
    assert bench.steps.cancel(*bench.key)
    bench.queue.join(SECONDS)
    assert {bench.step.status, bench.sweep.status} == {RunStatus.CANCELED}
    assert sorted(bench.executor.canceled) == [f"{bench.sweep.run_id}_0", f"{bench.sweep.run_id}_1"]
    assert not bench.steps.cancel(*bench.key)
    job = Job(workspace_id=bench.key[0], run_id="other", target="cpu", snapshot_id=None, task=Script(path="a.py"))
    bench.steps.submit(job)
    assert bench.executor.jobs["other"] == job
