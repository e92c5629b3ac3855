"""RunWrapper.resubmit, retries, and a run that is cancelled with its steps."""

from __future__ import annotations

import time

import pytest
from azureml.pipeline.core import PipelineRun

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import BadArgument, BadParameter, RunCanceled, RunFailed
from azureml_wrapper.runs.resubmission import RESUBMITTED_FROM
from azureml_wrapper.runs.waiting import REASON, TRY
from tests.waiting import until

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

WORK = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--input-folder")
parser.add_argument("--output-folder")
args, _ = parser.parse_known_args()
text = pathlib.Path(args.input_folder, "all.txt").read_text() if args.input_folder else ""
if args.output_folder:
    pathlib.Path(args.output_folder, "all.txt").write_text(text + "x")
print("seen", text)
"""
# Fails until the file is there, as a database that is away for a while.
UNTIL = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads)
args, _ = parser.parse_known_args()
gate = pathlib.Path(args.config["gate"])
tries = int(gate.read_text())
gate.write_text(str(tries - 1))
print("lr", args.config["lr"])
if tries > 0:
    raise ConnectionError("the database is away")
"""
# A child, one of that, and a script of its own, which runs as long: four runs below the step and its pipeline.
MAKES_CHILDREN = """
import pathlib, time
from azureml.core import Environment, Run, ScriptRunConfig
run = Run.get_context()
child = run.child_run("child")
child.child_run("grandchild")
pathlib.Path("source").mkdir()
pathlib.Path("source", "sleep.py").write_text("import time; time.sleep(300)")
environment = Environment("none-needed")
environment.python.user_managed_dependencies = True
run.submit_child(ScriptRunConfig("source", "sleep.py", compute_target="resubmit-cpu", environment=environment))
child.child_run("last")
time.sleep(300)
"""
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(300)\n"


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("resubmit_env", [])
    wrapper.register_compute("resubmit-cpu", compute_max_nodes=2)
    return wrapper


@pytest.fixture
def gate(tmp_path):
    """How often the third step fails."""
    return tmp_path / "gate.txt"


@pytest.fixture
def make(workspace, tmp_path, gate):
    """Steps, each with a script folder of its own; the one of UNTIL has the config."""

    def pipeline(scripts, **until):
        steps = []
        for name, text in scripts.items():
            folder = tmp_path / name
            folder.mkdir()
            # Of this test alone: an equal step of another one would be reused.
            (folder / "script.py").write_text(f"{text}\n# {tmp_path}\n")
            step = {"step_name": name, "script_name": "script.py", "script_directory": str(folder)}
            if text.startswith(UNTIL):
                step |= {"step_config": {"gate": str(gate), "lr": "${{parameters.lr}}"}, **until}
            steps.append(step)
        scope = workspace.scope
        config = {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "env_name": "resubmit_env",
            "compute_name": "resubmit-cpu",
            "steps": steps,
        }
        if any(text.startswith(UNTIL) for text in scripts.values()):
            config["pipeline_parameters"] = {"lr": 0.5}
        return PipelineWrapper.from_config(config)

    return pipeline


def failing(pipeline, experiment, **options):
    run = pipeline.run(experiment, wait=False, **options)
    with pytest.raises(RunFailed, match="the database is away"):
        run.wait()
    return run


FIVE = {"a": WORK, "b": WORK, "c": UNTIL + WORK, "d": WORK, "e": WORK}


def test_of_five_steps_only_the_failed_one_and_what_follows_run_again(make, gate, unique):
    gate.write_text("1")
    before = failing(make(FIVE), unique("exp"), parameters={"lr": 0.25})
    assert list(before.steps) == ["a", "b", "c"]
    run = before.resubmit().wait()
    assert isinstance(run.raw, PipelineRun)
    steps = run.steps
    assert {name: step.reused_from for name, step in steps.items()} == {
        "a": before.steps["a"].id,
        "b": before.steps["b"].id,
        "c": None,
        "d": None,
        "e": None,
    }
    assert "lr 0.25" in run.logs("c")
    assert "seen xxxx" in run.logs("e")
    assert run.raw.get_properties()[RESUBMITTED_FROM] == before.id
    assert run.raw.experiment.name == before.raw.experiment.name


def test_everything_runs_again_where_that_is_wanted(make, gate, unique):
    gate.write_text("1")
    before = failing(make({"a": WORK, "c": UNTIL}), unique("exp"))
    again = before.resubmit(from_failed=False).wait()
    assert [step.reused_from for step in again.steps.values()] == [None, None]
    # What regenerate_outputs leaves in the graph does not hold on.
    third = again.resubmit().wait()
    assert third.steps["a"].reused_from == again.steps["a"].id


def test_other_values_can_be_given(make, gate, unique):
    gate.write_text("1")
    before = failing(make({"c": UNTIL}), unique("exp"))
    assert "lr 0.125" in before.resubmit(parameters={"lr": "0.125"}).wait().logs()
    with pytest.raises(BadParameter, match="Its parameters: lr"):
        before.resubmit(parameters={"rate": 1})


def test_a_step_is_not_submitted_again_by_itself(make, unique):
    run = make({"a": WORK}).run(unique("exp"))
    with pytest.raises(BadArgument, match="is not a run of a pipeline"):
        run.steps["a"].resubmit()


def test_a_failed_step_is_tried_as_often_as_its_config_says(make, gate, unique, reported):
    gate.write_text("2")
    run = make({"a": WORK, "c": UNTIL}, retries=2).run(unique("exp"))
    assert run.status == "Completed"
    assert run.steps["a"].reused_from
    properties = run.raw.get_properties()
    assert properties[TRY] == "3 of 3"
    assert "the database is away" in properties[REASON]
    output = reported()
    assert "Retrying step 'c' (try 2 of 3)" in output
    assert output.count("ConnectionError: the database is away") == 2
    log = run.steps["c"].logs()
    assert "[local] Try 3 of 3. The previous one failed:" in log
    assert "the database is away" in log


def test_and_no_more(make, gate, unique):
    gate.write_text("5")
    with pytest.raises(RunFailed, match="the database is away"):
        make({"c": UNTIL}, retries=1).run(unique("exp"))
    assert gate.read_text() == "3"


def test_a_cancelled_run_leaves_no_child_running(ws, make, unique):
    run = make({"parent": MAKES_CHILDREN}).run(unique("exp"), wait=False)

    def children():
        return list(run.raw.get_children(recursive=True, _rehydrate_runs=False))

    def states():
        return [child.get_status() for child in children()]

    until(lambda: len(children()) == 5)
    run.cancel()
    run.wait(timeout=30)
    until(lambda: states() == ["Canceled"] * 5, tell=states)


def test_a_cancelled_run_leaves_no_step_running(ws, make, unique):
    run = make({"left": SLEEP, "right": SLEEP}).run(unique("exp"), wait=False)
    until(lambda: any(step.status == "Running" for step in run.steps.values()))
    began = time.monotonic()
    RunWrapper(ws.get_run(run.id)).cancel()
    with pytest.raises(RunCanceled):
        run.wait(timeout=30)
    assert {step.status for step in run.steps.values()} <= {"Canceled", "NotStarted"}
    assert time.monotonic() - began < 5
