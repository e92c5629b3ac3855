"""Jobs as a user has them: a real small project, command by command, as processes, on the local Azure ML.

The commands are those of the tools that this part takes over (aml_submit.py, aml_job.py and the alias `aml`).
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace

import pytest

from tests.acceptance.blocks import read
from tests.acceptance.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.local_only]

KEY = "bXkta2V5"
JOB, SMALL = "output/20190802_test", "output/20190802_small_test2"


@pytest.fixture
def unprepared(shared):
    """A shell in a copy of examples/jobs."""
    shutil.copytree(ROOT / "examples", shared.folder / "examples")
    return replace(shared, folder=shared.folder / "examples" / "jobs", extra={"STORAGE_KEY": KEY})


@pytest.fixture
def project(unprepared):
    unprepared.run("python", "prepare.py")
    return unprepared


def states(shell, *words):
    """Job folder -> its line of `aml status --json`."""
    return {line["job"]: line for line in json.loads(shell.aml("status", *words, "--json").stdout)}


def submit(shell, name, *words):
    command = ("python", "tools/azureml/aml_submit.py", "--config_file", "configs/penguins.yaml", "--exp_name", "you")
    return shell.run(*command, "--input_dir", "tables", "--output_dir", f"output/{name}", *words).stdout


def play(shell, line):
    """What a line prints that a user types; a command of `aml` is forked."""
    words = shlex.split(line)
    done = shell.aml(*words[1:]) if words[0] == "aml" else shell.run("bash", "-euc", line)
    return done.stdout


def test_the_readme_of_the_example_runs(unprepared):
    """Every command of examples/jobs/README.md, in order: what it prints, and what it leaves."""
    shell = unprepared
    lines = [line for block in read(shell.folder / "README.md") for line in block.text.splitlines()]
    outputs = {}
    for line in lines:
        outputs[line] = play(shell, line)
        if line.startswith("aml resubmit"):
            shell.aml("logs", "-f", JOB)
    assert "Uploading 8 files" in outputs[lines[2]]
    assert f"aml logs -f {JOB}" in outputs[lines[2]]
    assert "no GPUs: the script gets --num_gpus 2" in outputs[lines[3]]

    log = outputs[f"aml logs -f {JOB}/"]
    assert "process 0: fold 3 accuracy 0.9684" in log
    assert "accuracy 0.9594 over 4 folds" in log
    line = outputs[f"aml status {JOB}/"].splitlines()[1].split(maxsplit=3)
    assert line[:2] == [JOB, "Completed"]
    assert line[3].strip() == "accuracy 0.9594 over 4 folds"
    assert "It was Completed already" in outputs[f"aml abort {JOB}/"]
    [again] = states(shell, f"{JOB}/").values()
    assert again["run"] in outputs[f"aml resubmit {JOB}/"]
    assert again["original_run_id"] in outputs[f"aml resubmit {JOB}/"]
    assert again["original_run_id"] != again["run"]
    assert "accuracy 0.9594" in outputs[f"aml logs {JOB}/"]

    # Four folds, the result, and what was printed, in today's place and in the one before.
    assert int(outputs[f"aml results {JOB}/"].splitlines()[1].split()[1]) >= 7
    job = shell.folder / JOB
    result = json.loads((job / "runs" / again["run"] / "outputs" / "result.json").read_text())
    assert result["accuracy"] == pytest.approx(0.9594, abs=1e-4)
    assert sorted(file.name for file in (job / "results").iterdir()) == [f"fold_{n}.json" for n in range(4)]
    assert "accuracy" in (job / "runs" / again["run"] / "user_logs" / "std_log.txt").read_text()
    assert "process 1: fold 3" in shell.aml("logs", "-f", SMALL).stdout

    meant = {"output/20190802": [SMALL, JOB], '"output/20190802_*_test*"': [SMALL], "all": [SMALL, JOB]}
    for words, jobs in meant.items():
        shown = outputs[f"aml status {words}"].splitlines()[1:]
        assert [line.split()[0] for line in shown] == jobs
    alias = 'shopt -s expand_aliases\nalias aml="python tools/azureml/aml_job.py "\naml status all'
    assert shell.run("bash", "-euc", alias).stdout == shell.aml("status", "all").stdout


def test_what_the_page_of_jobs_shows_runs(project):
    """The block of docs/jobs.md, line by line, in the example."""
    [block] = [block.text for block in read(ROOT / "docs" / "jobs.md") if "aml submit" in block.text]
    source = project.folder / "tools" / "azureml" / "aml_main.py"
    (project.folder / "aml_main.py").write_text(source.read_text())
    # The page describes a project whose data is at the datastore's root.
    config = project.folder / "configs" / "penguins.yaml"
    config.write_text(config.read_text().replace("penguins.csv", "tables/penguins.csv"))
    outputs = [play(project, line) for line in block.splitlines()]
    assert "Uploading 9 files" in outputs[0]
    assert "over 4 folds" in outputs[2]
    assert "output/20190802_test" in outputs[3]
    found = states(project, "all")["output/20190802_test"]
    assert found["status"] in ("Completed", "Canceled")
    record = json.loads((project.folder / "output" / "20190802_test" / "aml_job.json").read_text())
    assert record["asked"]["parameters"] == {"SOLVER.IMS_PER_BATCH": "8", "SOLVER.BASE_LR": "0.1"}


def test_the_record_has_what_was_asked_and_the_state_of_the_repository(project):
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.com")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        project.run(*git, *words)
    (project.folder / "configs" / "penguins.yaml").open("a").write("# changed\n")
    submit(project, "a", "--tag", "who=me", "DATA.FOLDS", "2")
    text = (project.folder / "output" / "a" / "aml_job.json").read_text()
    record = json.loads(text)
    assert record["asked"]["parameters"] == {"DATA.FOLDS": "2"}
    assert record["asked"]["config_file"] == "configs/penguins.yaml"
    assert (record["git"]["dirty"], len(record["git"]["commit"])) == (True, 40)
    assert (record["tags"], record["experiment"]) == ({"who": "me"}, "you")
    assert record["portal_url"].startswith("http://127.0.0.1:")
    assert KEY not in text
    shown = json.loads(project.aml("show", record["run_id"], "--json").stdout)
    assert shown["experiment"] == "you"
