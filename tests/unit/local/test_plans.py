"""A new kind of step is one more reader, and a new kind of task one more strategy."""

from __future__ import annotations

from typing import get_args

import pytest

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import Command, Job, JobOutput, Launcher, Mode, ParallelRun, Script, Task
from azureml_wrapper.local.domain.plans import Step
from azureml_wrapper.local.executor.distributed import STARTERS
from azureml_wrapper.local.executor.tasks import RUNNERS, runner_of
from azureml_wrapper.local.services.pipelines import steptypes
from tests.unit.local.pipelinebench import Bench, node

OUTPUT = JobOutput(name="out", mode=Mode.UPLOAD, datastore="store", path="{run-id}/{output-name}")
STEP = Step(node_id="n", name="train", kind="Any", target="cpu", task=Script(path="train.py"), outputs=(OUTPUT,))


def test_every_kind_of_task_and_every_launcher_has_a_strategy():
    assert set(RUNNERS) == set(get_args(Task))
    assert set(STARTERS) == set(Launcher)


@pytest.mark.parametrize(
    ("task", "is_forkable"),
    [(Script(path="a.py"), True), (ParallelRun(path="a.py"), True), (Command(line="a"), False)],
)
def test_only_the_interpreter_of_a_script_is_preloaded(task, is_forkable):
    job = Job(workspace_id="w", run_id="r", target="cpu", snapshot_id=None, task=task)
    assert runner_of(job).runs_in_interpreter is is_forkable


def test_a_step_has_the_outputs_of_its_plan_and_defaults_for_other_inputs():
    assert STEP.output("out").path_of("run") == "run/out"
    assert STEP.input("other").mode is Mode.MOUNT
    with pytest.raises(Invalid, match="Step 'train' has no output 'other'"):
        STEP.output("other")


def test_another_step_class_is_one_more_entry(monkeypatch):
    class ShellStep(steptypes.ScriptStep):
        def task(self, sent):
            return Command(line=sent.parameters["Line"])

    monkeypatch.setitem(steptypes.STEP_TYPES, "ShellStep", ShellStep())
    bench = Bench()
    step = node("a", bench.module(StepType="ShellStep"), [("Line", "echo hi")])
    run = bench.begin({"ModuleNodes": [step]})
    assert bench.executor.jobs[bench.run_of(run, "a")].task == Command(line="echo hi")


def test_steps_of_a_pipeline_share_equal_environments():
    bench = Bench()
    runconfig = '{"environment": {"name": "e", "python": {"condaDependencies": {"dependencies": ["numpy"]}}}}'
    run = bench.begin({"ModuleNodes": [node(name, bench.module(), Runconfig=runconfig) for name in "ab"]})
    first, second = (bench.executor.jobs[bench.run_of(run, name)].environment for name in "ab")
    assert first is second
    assert first.conda == ("numpy",)
