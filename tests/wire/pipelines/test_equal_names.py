"""Steps with the same name, as plain SDK pipelines and files of `az ml` can have them: none hides another."""

from __future__ import annotations

import json

import click
import pytest
from azureml.pipeline.core import StepSequence

from azureml_wrapper import RunWrapper, WorkspaceWrapper
from azureml_wrapper.cli.work import runs as work
from azureml_wrapper.errors import RunFailed
from azureml_wrapper.runs.history_client import HistoryClient

# Source folder -> the step's name and script.
SCRIPTS = {
    "a": ("Train", "print('upper')"),
    "b": ("train", "from azureml.core import Run\nRun.get_context().log('place', 1)\nprint('first')\n"),
    "c": ("train", "print('second')\nraise SystemExit(3)\n"),
}


pytestmark = pytest.mark.slow


@pytest.fixture
def run(make, submit):
    """Three steps in a sequence: "Train", "train", and another "train", which fails."""
    steps = []
    for folder, (name, script) in SCRIPTS.items():
        step = make(script, folder)
        step.name = name
        steps.append(step)
    return RunWrapper(submit(StepSequence(steps)))


def test_no_step_hides_another_one_of_its_name(run, ws, tmp_path, capsys):
    with pytest.raises(RunFailed, match=r"Step 'train \(2\)' failed with exit code 3"):
        run.wait(120)
    assert {name: step.status for name, step in run.steps.items()} == {
        "Train": "Completed",
        "train": "Completed",
        "train (2)": "Failed",
    }
    assert [step.name for step in run.steps.values()] == ["Train", "train", "train"]
    assert run.steps["train"].metrics == {"place": 1}
    assert run.failure.step == "train (2)"
    assert "==> train <==" in run.logs()
    assert run.logs("train (2)").endswith("second\n")
    assert run.logs(run.steps["train (2)"].id) == run.logs("train (2)")

    # Three folders even where "Train" and "train" would be the same one.
    folder = run.download(tmp_path / "downloaded")
    logs = {file.parts[-3]: file.read_text() for file in folder.glob("*/user_logs/std_log.txt")}
    printed = {name: next(word for word in ("upper", "first", "second") if word in log) for name, log in logs.items()}
    assert printed == {"Train": "upper", "train (3)": "first", "train (2)": "second"}

    wrapper = WorkspaceWrapper.from_workspace(ws)
    work.show(wrapper, run.id, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert [(step["step"], step["status"]) for step in shown["steps"]] == [
        ("Train", "Completed"),
        ("train", "Completed"),
        ("train (2)", "Failed"),
    ]

    first, second = (run.steps[name] for name in ("train", "train (2)"))
    client = HistoryClient(wrapper._services(), wrapper.scope)
    with pytest.raises(click.UsageError) as told:
        work._find_run_or_step(client, [run.id, "train"])
    assert told.value.message == (
        f"Run {run.id} has 2 steps named 'train'. Use the id of one:\n"
        f"  {first.id}  train, Completed\n  {second.id}  train (2), Failed"
    )
    for word in ("train (2)", second.id):
        assert work._find_run_or_step(client, [run.id, word]).id == second.id
