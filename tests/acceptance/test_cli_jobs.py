"""`aml submit` and the commands for job folders where something is not as it should be."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.conftest import Shell

PROJECT = {
    "config": {"subscription_id": "local", "resource_group": "rg", "workspace_name": "jobs"},
    "compute_target": {"compute_target": "cpu-cluster"},
    "datastore": {"datastore_name": "mine", "account_name": "myacc", "container_name": "data", "account_key": "a2V5"},
    "environment": {"name": "env", "dependencies": ["numpy"]},
}
MAIN = """
import os, pathlib, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("config", pathlib.Path(given["--config_file"]).read_text().strip() if "--config_file" in given else None)
time.sleep(float(given.get("SECONDS", 0)))
out = pathlib.Path(given["--output_dir"], "été")
out.mkdir(parents=True, exist_ok=True)
(out / "model #1 100% 🐧.txt").write_text("model")
print("the end")
"""
SET_UP = "from azureml_wrapper import WorkspaceWrapper as W; W('jobs', 'rg', 'local').register_compute('cpu-cluster')"


@pytest.fixture(scope="session")
def prepared(served, tmp_path_factory):
    """The home of a service whose workspace has a compute target; all tests of this file share both."""
    Shell(tmp_path_factory.mktemp("jobs"), served).python(SET_UP)
    return served


@pytest.fixture
def bare(shell):
    """A project whose workspace was never asked for anything."""
    (shell.folder / ".azureml").mkdir()
    for name in PROJECT:
        put(shell, name)
    (shell.folder / "aml_main.py").write_text(MAIN)
    return shell


@pytest.fixture
def project(bare, prepared):
    """One whose workspace is ready; its account is of this test alone."""
    mine = uuid.uuid4().hex[:8]
    put(bare, "datastore", datastore_name=f"mine_{mine}", account_name=f"acc{mine}")
    return replace(bare, home=prepared)


def put(shell, name, **changes):
    (shell.folder / ".azureml" / f"{name}.json").write_text(json.dumps({**PROJECT[name], **changes}))


def submit(name="output/job", *words):
    return ("submit", "--output_dir", name, "--experiment", "me", *words)


def add(shell, name, **changes):
    """Change a file of the project as it is."""
    file = shell.folder / ".azureml" / f"{name}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def status(shell, *words, check=True):
    return json.loads(shell.aml("status", *words, "--json", check=check).stdout)


class TestBeforeAnybodyIsAsked:
    def test_without_a_project_the_files_are_named(self, shell):
        assert "No .azureml/config.json found in" in shell.fails(*submit(), code=2)

    def test_broken_json_is_told_with_file_line_and_column(self, bare):
        (bare.folder / ".azureml" / "datastore.json").write_bytes(b'{\r\n  "datastore_name": "mine",\r\n}\r\n')
        assert "datastore.json, line 3, column 1: Expecting property name" in bare.fails(*submit(), code=2)

    def test_what_is_typed_wrong_is_told(self, bare):
        assert "Did you mean '--exp_name'" in bare.fails("submit", "--output_dir", "x", "--exp_nme", "me", code=2)
        assert "has no VALUE" in bare.fails(*submit("output/job", "LR"), code=2)
        (bare.folder / "train.yaml").write_text("a: 1")
        missing = bare.fails(*submit("output/job", "--config_file", "trian.yaml"), code=2)
        assert "Config file not found: trian.yaml. Did you mean 'train.yaml'" in missing
        (bare.folder / "aml_main.py").unlink()
        assert "neither aml_main.py nor tools/azureml/aml_main.py" in bare.fails(*submit(), code=2)
        assert not (bare.folder / "output").exists()

    def test_a_pattern_that_matches_nothing_ends_with_1(self, bare):
        for command in ("status", "resubmit", "cancel"):
            assert "No job folder" in bare.fails(command, "output/nothing*", code=1).replace("There is no", "No")

    def test_nobody_waits_for_a_browser(self, bare, tmp_path):
        """Without a terminal, without `az`: who is not logged in is told what to type, and at once."""
        put(bare, "config", subscription_id="11111111-2222-3333-4444-555555555555")
        python = Path(bare.python("import sys; print(sys.executable)").stdout).parent
        bare.extra["PATH"] = str(python)
        began = time.monotonic()
        told = bare.fails(*submit(), code=1)
        assert "az login --use-device-code" in told
        assert time.monotonic() - began < 20
        assert not (bare.folder / "output").exists()


@pytest.mark.slow
def test_a_key_that_does_not_open_the_account_is_told_before_anything_is_sent(project):
    project.aml(*submit())
    add(project, "datastore", account_key="d3Jvbmc=")
    told = project.fails(*submit("output/other"), code=1)
    assert "registered with another access key" in told
    add(project, "datastore", datastore_name="second")
    told = project.fails(*submit("output/other"), code=1)
    assert "key" in told
    assert "d3Jvbmc" not in told
    assert not (project.folder / "output" / "other").exists()


@pytest.mark.slow
def test_names_are_taken_as_they_are(project):
    """Blanks, #, %, accents, emoji, brackets; and Windows line ends in what is read."""
    folder, config = "output/été #1 100% [a] 🐧", "my config #1 100% é.yaml"
    (project.folder / config).write_bytes(b"LR: 0.1\r\n")
    file = project.folder / ".azureml" / "config.json"
    file.write_bytes(file.read_bytes().replace(b", ", b",\r\n"))
    (project.folder / ".amlignore").write_bytes(b".azureml\r\n/output/\r\n")
    told = project.aml(*submit(folder, "--config_file", config)).stdout
    assert "Uploading 3 files" in told
    assert "config LR: 0.1\n" in project.aml("logs", "-f", folder).stdout
    (project.folder / folder / "results").write_text("a file, where a folder is to be")
    assert f"{folder}/results" in project.fails("results", folder, code=1)
    (project.folder / folder / "results").unlink()
    project.aml("results", folder)
    assert (project.folder / folder / "results" / "été" / "model #1 100% 🐧.txt").read_text() == "model"
    [line] = status(project, "output/été*")
    assert (line["job"], line["status"], line["last_line"]) == (folder, "Completed", "the end")


@pytest.mark.slow
def test_an_output_of_another_encoding_loses_no_log(project):
    (project.folder / "aml_main.py").write_text("print('begun')\nprint('é → 🐧')\n")
    project.aml(*submit())
    project.aml("logs", "-f", "output/job")
    shown = {"cp1252": "é \\u2192 \\U0001f427", "utf-8": "é → 🐧"}
    for encoding, line in shown.items():
        for command in (("logs", "output/job"), ("logs", "-f", "output/job"), ("status", "output/job")):
            file = project.folder / "written"
            with file.open("wb") as target:
                variables = {**project.environment, "PYTHONIOENCODING": encoding}
                subprocess.run(["aml", *command], cwd=project.folder, env=variables, stdout=target, check=True)
            assert line in file.read_bytes().decode(encoding), command


@pytest.mark.slow
def test_two_commands_at_once_make_one_job(project):
    first = json.loads(project.aml(*submit("output/job", "--exp_name", "twice", "--json")).stdout)
    assert first["job"] == "output/job"
    command = ["aml", *submit("output/job", "--force", "--exp_name", "twice", "SECONDS", "1")]
    begun = [
        subprocess.Popen(command, cwd=project.folder, env=project.environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[1] for process in begun]
    codes = [process.returncode for process in begun]
    record = json.loads((project.folder / "output" / "job" / "aml_job.json").read_text())
    # One after the other is allowed, at the same instant is not; nobody's run is forgotten.
    assert codes.count(0) == len(record["earlier"])
    refused = [text for code, text in zip(codes, told, strict=True) if code]
    assert all("output/job is in use by another command (aml submit, pid" in text for text in refused)
    runs = json.loads(project.aml("runs", "-e", "twice", "--json").stdout)
    assert {run["run"] for run in runs} == {*record["earlier"], record["run_id"]}
    project.aml("abort", "all")


@pytest.mark.slow
def test_a_run_that_is_gone_and_a_record_that_is_damaged_do_not_hide_the_others(project):
    project.aml(*submit("output/c"))
    shutil.copytree(project.folder / "output" / "c", project.folder / "output" / "a")
    gone = project.folder / "output" / "a" / "aml_job.json"
    gone.write_text(gone.read_text().replace('"run_id": "me_', '"run_id": "no_'))
    (project.folder / "output" / "b").mkdir()
    (project.folder / "output" / "b" / "aml_job.json").write_text('{\n  "version": 1,\n  x\n}')
    done = project.aml("status", "all", "--json", check=False)
    assert done.returncode == 1
    assert "b/aml_job.json, line 3, column 3" in done.stderr
    assert "has no run no_" in done.stderr
    found = {line["job"]: line["status"] for line in json.loads(done.stdout)}
    assert (found["output/a"], found["output/b"]) == ("Gone", "Damaged")
    assert found["output/c"] not in ("Gone", "Damaged")
    assert "--force" in project.fails("logs", "output/a", code=1)
    assert "Use --new-code" in project.fails("resubmit", "output/a", code=1)
    again = json.loads(project.aml("resubmit", "output/a", "--new-code", "--set", "SECONDS=0.1", "--json").stdout)
    assert again[0]["resubmitted_from"].startswith("no_")
    asked = json.loads((project.folder / "output" / "a" / "aml_job.json").read_text())["asked"]
    assert asked["parameters"] == {"SECONDS": "0.1"}


def at_a_terminal(shell, command, answer):
    """Run a command at a terminal of its own, and type `answer` when it asks; what was shown, and the exit code."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=shell.folder, env=shell.environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    ) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    block = os.read(ours, 4096)
                except OSError:
                    break
                shown += block
                if b"[y/N]" in shown and answer:
                    os.write(ours, answer)
                    answer = b""
            elif process.poll() is not None:
                break
        os.close(ours)
    return shown.decode(), process.returncode


@pytest.mark.slow
def test_a_folder_that_holds_a_job_is_asked_about_at_a_terminal_only(project):
    project.aml(*submit("output/job", "SECONDS", "100"))
    [first] = status(project, "output/job")
    told = project.fails(*submit(), code=1)
    assert f"already holds a job: run {first['run']}" in told
    assert "--force" in told

    shown, code = at_a_terminal(project, ["aml", *submit()], b"n\n")
    assert (f"output/job holds run {first['run']}" in shown, code) == (True, 1)
    assert status(project, "output/job")[0]["run"] == first["run"]

    shown, code = at_a_terminal(project, ["aml", *submit()], b"y\n")
    assert code == 0, shown
    [second] = status(project, "output/job")
    assert second["run"] != first["run"]
    shown = json.loads(project.aml("show", first["run"], "--json").stdout)
    assert shown["status"] == "Canceled"


@pytest.mark.slow
def test_jobs_are_aborted_together_and_run_ids_still_count(project):
    for name, words in {"a": ("SECONDS", "100"), "b": ("--set", "SECONDS=100")}.items():
        project.aml(*submit(f"output/{name}", *words))
    aborted = json.loads(project.aml("cancel", "output/", "--json").stdout)
    assert [line["status"] for line in aborted] == ["Canceled", "Canceled"]
    assert "already" in project.aml("abort", "all").stdout
    [line] = status(project, "output/a")
    assert "is not a run of a pipeline" in project.fails("resubmit", line["run"], code=2)
    assert "No job folder has this name either" in project.fails("cancel", "me_1_ab", code=2)
    assert "--from-failed is for runs of pipelines" in project.fails("resubmit", "all", "--from-failed", code=2)
    assert "--new-code" in project.fails("resubmit", line["run"], "--new-code", code=2)
