"""`aml run` as a user types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest

from tests.acceptance.conftest import own_workspace

REGISTER = """
import sys
from azureml_wrapper import WorkspaceWrapper
workspace = WorkspaceWrapper(sys.argv[1], "g", sys.argv[2])
workspace.register_env("env", [])
workspace.register_compute("cpu")
"""
GOOD = """
from pathlib import Path
from azureml_wrapper import ScriptWrapper
script = ScriptWrapper()
script.run.log("answer", 42)
if script.output_folder:
    Path(script.output_folder, "done.txt").write_text("done")
"""
BAD = "raise ValueError('a column is missing')\n"
SLOW = "import time\nprint('asleep', flush=True)\ntime.sleep(300)\n"
AZURE = "11111111-2222-3333-4444-555555555555"


def write(folder, subscription="local", **scripts):
    """A pipeline of one step per script, in their order."""
    steps = {}
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
        steps[name] = {"step_name": name, "script_name": name}
    config = {
        "ws_name": own_workspace(folder),
        "resource_group": "g",
        "subscription_id": subscription,
        "env_name": "env",
        "compute_name": "cpu",
        "steps": steps,
    }
    (folder / "pipeline.json").write_text(json.dumps(config, indent=2))


def register(shell, subscription="local"):
    shell.python(REGISTER, own_workspace(shell.folder), subscription)
    return shell


@pytest.fixture
def ready(shared):
    """A shell whose workspace has what the pipelines here need."""
    return register(shared)


@pytest.fixture
def alone(shell):
    """The same in a home of its own."""
    return register(shell)


def run(*options):
    return ("run", "pipeline.json", "-e", "exp", *options)


def count_runs(shell):
    return dict(line.split(None, 1) for line in shell.aml("local", "status").stdout.splitlines())["runs"]


@pytest.mark.slow
def test_a_good_run_shows_its_steps_and_ends_with_0(alone):
    write(alone.folder, first=GOOD, second=GOOD)
    lines = alone.aml(*run()).stdout.splitlines()
    assert len(lines) <= 2 + 2 * 5
    assert re.fullmatch(r"Run [0-9a-f-]{36}", lines[0])
    assert lines[1].startswith("http://127.0.0.1:")
    for name in ("first", "second"):
        assert [line for line in lines if re.fullmatch(rf"[\d:]{{8}} {name} Completed", line)]
    assert count_runs(alone) == "3 Completed"


@pytest.mark.slow
def test_a_step_that_does_not_have_to_run_is_shown_as_reused(ready):
    write(ready.folder, first=GOOD, second=GOOD)
    ready.aml(*run())
    (ready.folder / "second.py").write_text(GOOD.replace("42", "43"))
    # Both scripts lie in one folder, so both steps have changed.
    assert "reused" not in ready.aml(*run()).stdout
    lines = ready.aml(*run()).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in lines[2:]] == ["first reused", "second reused"]


@pytest.mark.slow
def test_a_reset_leaves_nothing_of_a_run(alone):
    write(alone.folder, first=GOOD)
    alone.aml(*run())
    alone.aml("local", "reset", "--yes")
    assert list(alone.home.iterdir()) == []


@pytest.mark.slow
def test_a_failed_run_says_why_in_a_few_lines_and_ends_with_1(ready):
    write(ready.folder, first=GOOD, second=BAD)
    told = ready.fails(*run(), code=1).partition("Error: ")[2]
    assert "second" in told
    assert "ValueError: a column is missing" in told
    assert len(told.splitlines()) <= 21


@pytest.mark.slow
def test_a_dry_run_checks_and_runs_nothing(alone):
    write(alone.folder, first=GOOD, second=GOOD)
    output = alone.aml(*run("--dry-run")).stdout
    assert [line.split()[:2] for line in output.splitlines()[-3:-1]] == [
        ["first:", "first.py"],
        ["second:", "second.py"],
    ]
    assert "nothing was run" in output
    assert count_runs(alone) == "none"


@pytest.mark.slow
def test_no_wait_leaves_at_once(alone):
    write(alone.folder, first=SLOW)
    assert re.match(r"Run [0-9a-f-]{36}\n", alone.aml(*run("--no-wait")).stdout)
    assert "Completed" not in count_runs(alone)


@pytest.mark.slow
def test_local_sends_a_config_for_azure_to_the_local_service(shared):
    shared.extra["AZUREML_WRAPPER_TARGET"] = "local"
    register(shared, AZURE)
    del shared.extra["AZUREML_WRAPPER_TARGET"]
    write(shared.folder, subscription=AZURE, first=GOOD)
    assert "first Completed" in shared.aml(*run("--local")).stdout


@pytest.mark.slow
def test_ctrl_c_once_says_that_the_run_goes_on_and_twice_cancels_it(ready):
    write(ready.folder, first=SLOW)
    process = subprocess.Popen(
        ["aml", *run()],
        cwd=ready.folder,
        env={**ready.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "first Running" in line:
                break
        process.send_signal(signal.SIGINT)
        assert "Press Ctrl-C again to cancel it" in process.stderr.readline()
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "first Canceled" in output
    assert "was canceled" in errors
    assert "Traceback" not in errors


def test_all_that_is_wrong_with_a_config_is_told_at_once(shell):
    write(shell.folder, first=GOOD)
    config = json.loads((shell.folder / "pipeline.json").read_text())
    config["steps"]["first"]["scriptname"] = config["steps"]["first"].pop("script_name")
    del config["env_name"]
    (shell.folder / "pipeline.json").write_text(json.dumps(config))
    told = shell.fails(*run(), code=2)
    assert "env_name is missing" in told
    assert "script_name" in told


def test_a_config_that_does_not_exist_is_a_usage_error(shell):
    assert "pipeline.json" in shell.fails(*run(), code=2)


def test_an_experiment_has_to_be_named(shell):
    write(shell.folder, first=GOOD)
    assert "--experiment" in shell.fails("run", "pipeline.json", code=2)


@pytest.mark.slow
def test_a_dataset_that_is_not_registered_is_named(ready):
    write(ready.folder, first=GOOD)
    config = json.loads((ready.folder / "pipeline.json").read_text())
    config["steps"]["first"]["input_datasets"] = {"--data": "pinguins"}
    (ready.folder / "pipeline.json").write_text(json.dumps(config))
    assert "'pinguins'" in ready.fails(*run(), code=2)
