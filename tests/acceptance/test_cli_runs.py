"""`aml publish`, `pipelines`, `schedules`, `trigger`, `runs`, `show`, `cancel`, `resubmit` as a user types them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from tests.acceptance.conftest import own_workspace

REGISTER = """
import sys
from azureml_wrapper import WorkspaceWrapper
workspace = WorkspaceWrapper(sys.argv[1], "g", "local")
workspace.register_env("env", [])
workspace.register_compute("cpu")
"""
FIRST = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads)
parser.add_argument("--output-folder")
args = parser.parse_args()
print("lr", args.config["lr"])
if args.output_folder:
    pathlib.Path(args.output_folder, "lr.txt").write_text(str(args.config["lr"]))
"""
# Fails once.
SECOND = """
from pathlib import Path
gate = Path(r"GATE")
if not gate.exists():
    gate.touch()
    raise ValueError("a column is missing")
"""
SLOW = "import time\ntime.sleep(300)\n"


@pytest.fixture
def ready(shared):
    """A shell in a folder with a pipeline, whose workspace has what it needs."""
    return prepare(shared)


@pytest.fixture
def alone(shell):
    """The same in a home of its own."""
    return prepare(shell)


def prepare(shell):
    shell.python(REGISTER, own_workspace(shell.folder))
    write(shell.folder, first=FIRST)
    return shell


def write(folder, **scripts):
    steps = {}
    for name, text in scripts.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "script.py").write_text(text)
        steps[name] = {"step_name": name, "script_name": "script", "script_directory": name}
    steps[next(iter(scripts))]["step_config"] = {"lr": "${{parameters.lr}}"}
    config = {
        "ws_name": own_workspace(folder),
        "resource_group": "g",
        "subscription_id": "local",
        "env_name": "env",
        "compute_name": "cpu",
        "pipeline_parameters": {"lr": 0.5},
        "steps": steps,
    }
    (folder / "pipeline.json").write_text(json.dumps(config))
    (folder / ".azureml").mkdir(exist_ok=True)
    named = {"subscription_id": "local", "resource_group": "g", "workspace_name": own_workspace(folder)}
    (folder / ".azureml" / "config.json").write_text(json.dumps(named))


def read(shell, *arguments, check=True):
    """What a command prints with --json."""
    return json.loads(shell.aml(*arguments, "--json", check=check).stdout)


@pytest.mark.slow
def test_a_pipeline_is_published_listed_scheduled_triggered_and_left_alone(alone):
    assert read(alone, "pipelines") == []
    made = read(alone, "publish", "pipeline.json", "nightly", "-d", "each night")
    assert (made["version"], made["schedule"], made["next"]) == ("1", None, [])
    options = ("--schedule", "Day", "--interval", "2", "--time-zone", "Europe/Paris")
    told = alone.aml("publish", "pipeline.json", "nightly", *options).stdout
    assert "nightly, version 2" in told
    assert "Runs every 2 days (Romance Standard Time)" in told
    assert [each["version"] for each in read(alone, "pipelines")] == ["1", "2"]
    assert "each night" in alone.aml("pipelines").stdout
    (schedule,) = read(alone, "schedules", "--next", "3")
    assert (schedule["name"], len(schedule["next"])) == ("nightly", 3)
    assert alone.aml("schedules", "--next", "2").stdout.count("+0") == 2

    run = read(alone, "trigger", "nightly", "--set", "lr=0.25", "-e", "exp")
    assert run["status"] == "Completed"
    shown = read(alone, "show", run["run"])
    assert (shown["experiment"], shown["parameters"]) == ("exp", {"lr": "0.25"})
    assert "Did you mean 'nightly'" in alone.fails("trigger", "nigthly", code=2)
    assert "Its parameters: lr" in alone.fails("trigger", "nightly", "--set", "x=1", code=2)
    assert "NAME=VALUE" in alone.fails("trigger", "nightly", "--set", "lr", code=2)

    assert "is disabled" in alone.aml("schedules", "disable", "nightly").stdout
    assert read(alone, "schedules") == []
    assert "no active schedule" in alone.fails("schedules", "disable", "nightly", code=2)
    assert "No results" in alone.aml("schedules").stderr
    assert [each["status"] for each in read(alone, "schedules", "--all")] == ["Disabled"]
    assert "is enabled" in alone.aml("schedules", "enable", "nightly").stdout
    assert [each["id"] for each in read(alone, "schedules")] == [schedule["id"]]
    assert "1 enabled" in (stopped := alone.aml("local", "down").stdout)
    assert "none fires until the service runs again" in stopped


@pytest.mark.slow
def test_commands_that_other_tests_fork_start_by_themselves(ready):
    """With the imports of their own, from the console script on."""
    (ready.folder / "environment.yml").write_text("name: mine\nimage: ubuntu\n")
    real = replace(ready, forks=False)
    assert read(real, "publish", "pipeline.json", "own", "--schedule", "Day", "--interval", "1")["version"] == "1"
    assert [each["name"] for each in read(real, "pipelines")] == ["own"]
    assert len(read(real, "schedules", "--next", "2")[0]["next"]) == 2
    run = read(real, "trigger", "own", "-e", "exp")["run"]
    assert read(real, "show", run)["status"] == "Completed"
    assert read(real, "resubmit", run)["status"] == "Completed"
    assert "is Completed already" in real.fails("cancel", run, code=1)
    assert read(real, "sync", "first", "--target", "some/place")["uploaded"] == ["script.py"]
    assert "registered" in real.aml("environment", "create", "-f", "environment.yml").stdout


@pytest.mark.slow
def test_a_schedule_is_pinned_to_the_clock_and_of_several_of_a_name_the_newest_is_enabled(ready):
    ready.aml("publish", "pipeline.json", "weekly", "--schedule", "Day", "--interval", "1")
    days = ("--week-days", "Monday", "--week-days", "Friday", "--hours", "7", "--minutes", "0", "--minutes", "30")
    made = read(ready, "publish", "pipeline.json", "weekly", "--schedule", "Week", "--interval", "1", *days)
    assert {(datetime.fromisoformat(each).strftime("%a %H:%M")) for each in made["next"]} <= {
        f"{day} 07:{minute}" for day in ("Mon", "Fri") for minute in ("00", "30")
    }
    (newest,) = read(ready, "schedules")
    assert read(ready, "schedules", "disable", "weekly") == [
        {"name": "weekly", "id": newest["id"], "status": "Disabled"}
    ]
    assert len(read(ready, "schedules", "--all")) == 2
    expected = {"name": "weekly", "id": newest["id"], "status": "Active"}
    assert read(ready, "schedules", "enable", "weekly") == [expected]
    assert [each["id"] for each in read(ready, "schedules", "enable", "weekly")] == [newest["id"]]
    watching = ("--schedule", "On_blob_change", "--datastore", "workspaceblobstore", "--batch-seconds", "2")
    assert "blobs of workspaceblobstore change" in ready.aml("publish", "pipeline.json", "watch", *watching).stdout
    assert "no schedule 'weakly'" in ready.fails("schedules", "enable", "weakly", code=2)


def test_a_schedule_that_cannot_be_is_told_with_what_is_allowed(shell):
    write(shell.folder, first=FIRST)
    told = shell.fails("publish", "pipeline.json", "p", "--schedule", "Weekly", "--interval", "1", code=2)
    assert "Minute, Hour, Day, Week, Month, On_blob_change" in told


@pytest.mark.slow
def test_a_failed_run_is_listed_shown_and_resubmitted_from_where_it_failed(ready):
    write(ready.folder, first=FIRST, second=SECOND.replace("GATE", str(ready.folder / "gate")))
    ready.fails("run", "pipeline.json", "-e", "exp", "--set", "lr=0.125", code=1)
    (failed,) = read(ready, "runs", "-e", "exp", "--status", "failed")
    assert read(ready, "runs", "--status", "Completed") == []
    shown = ready.aml("show", failed["run"]).stdout
    assert "a column is missing" in shown
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith(("first ", "second "))] == [
        ["first", "Completed"],
        ["second", "Failed"],
    ]
    output = ready.aml("resubmit", failed["run"], "--from-failed").stdout
    assert "first reused" in output
    assert "second Completed" in output
    (again,) = read(ready, "runs", "--status", "Completed")
    assert again["resubmitted_from"] == failed["run"]
    shown = read(ready, "show", again["run"])
    assert shown["parameters"] == {"lr": "0.125"}
    assert [step["reused_from"] is None for step in shown["steps"]] == [False, True]
    assert len(read(ready, "runs")) == 2
    assert len(ready.aml("runs").stdout.splitlines()) == 3
    assert read(ready, "resubmit", failed["run"], "--set", "lr=0.75")["status"] == "Completed"


@pytest.mark.slow
def test_a_run_is_cancelled_once(ready):
    write(ready.folder, first=SLOW)
    ready.aml("run", "pipeline.json", "-e", "exp", "--no-wait")
    (run,) = read(ready, "runs")
    assert read(ready, "cancel", run["run"])["status"] == "Canceled"
    assert read(ready, "show", run["run"])["status"] == "Canceled"
    write(ready.folder, first=FIRST)
    ready.aml("run", "pipeline.json", "-e", "exp")
    (completed,) = read(ready, "runs", "--status", "Completed")
    assert "is Completed already" in ready.fails("cancel", completed["run"], code=1)


@pytest.mark.slow
def test_what_does_not_exist_is_said(ready):
    assert "no run 'nowhere'" in ready.fails("show", "nowhere", code=2)
    assert "no experiment 'nowhere'. Experiments: none." in ready.fails("runs", "-e", "nowhere", code=2)
    assert "'Faild' is not one of" in ready.fails("runs", "--status", "Faild", code=2)


def test_without_a_config_the_workspace_has_to_be_named(shell):
    assert "config.json" in shell.fails("runs", code=2)
