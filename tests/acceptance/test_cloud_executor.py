"""The cloud executor's README, command by command, in a project that trains a model."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess

import pytest

from tests.acceptance.conftest import ROOT

SCRIPTS = "pipeline/image/classification/screenshot"
SCREENSHOT = "image/classification/screenshot"
OPTIONS = [
    *("--script-path", f"{SCREENSHOT}/model_train.py", "--experiment-name", "ScreencopyDetection-Train-ExtData"),
    *("--config-path", f"{SCREENSHOT}/configs/baseline.json"),
    *("--required-datasets-path", f"working/{SCREENSHOT}/preprocessednpk/64x64"),
]
# As the README of the original has it.
VERBATIM = ["python", "pipeline/azureml/cloud_executor.py", *OPTIONS, "--should-upload-datasets", "False"]


@pytest.fixture
def project(shell):
    """A shell in a copy of the example, without what somebody may have made there."""
    made = shutil.ignore_patterns("data_blobs", "outputs")
    shutil.copytree(ROOT / "examples" / "cloud_executor", shell.folder / "project", ignore=made)
    shell.folder = shell.folder / "project"
    return shell


def prepare(project):
    for script in ("data_create.py", "data_preprocess.py"):
        project.run("python", f"{SCRIPTS}/{script}")


def run_id(output):
    return re.search(r"^Run ([\w-]+): http", output, re.MULTILINE)[1]


@pytest.mark.slow
def test_the_readme_as_a_user_would_play_it(project):
    prepare(project)
    project.run("python", f"{SCRIPTS}/model_train.py", "image/classification/screenshot/configs/baseline.json")
    here = json.loads((project.folder / "outputs" / "result.json").read_text())
    shutil.rmtree(project.folder / "outputs")

    refused = project.run(*VERBATIM, check=False)
    assert refused.returncode == 1
    assert "has no 'data_blobs/working/image/classification/screenshot/preprocessednpk/64x64'" in refused.stderr
    assert "--should-upload-datasets True" in refused.stderr

    first = project.run(
        "python", "-m", "azureml_wrapper.cloud_executor", *OPTIONS, "--should-upload-datasets", "True"
    )
    assert "data_blobs/raw: 120 uploaded" in first.stderr
    assert "data_blobs/working: 1 uploaded" in first.stderr
    assert "Compute 'cpu-cluster' created" in first.stderr
    assert "Environment 'pptdaml': registered version 1." in first.stderr
    assert re.search(r"^epoch 40: loss 0\.\d+\naccuracy [\d.]+ of 30 pictures$", first.stdout, re.MULTILINE)
    assert "Outputs of the run: outputs/model.npz, outputs/result.json." in first.stdout

    again = project.run(*VERBATIM, "--outputs", "fetched")
    assert "uploaded" not in again.stderr
    assert "Using the existing compute 'cpu-cluster'." in again.stderr
    assert "Environment 'pptdaml' is already registered, unchanged: version 1." in again.stderr
    assert json.loads((project.folder / "fetched" / "outputs" / "result.json").read_text()) == here
    assert not (project.folder / "outputs").exists()

    (project.folder / "data_blobs" / "raw" / "new.txt").write_text("new")
    mounted = project.aml("execute", *OPTIONS, "--mode", "mount")
    assert "data_blobs/raw: 1 uploaded, 120 unchanged" in mounted.stderr
    assert "data_blobs/working: 1 unchanged; 0 bytes" in mounted.stderr
    assert f"accuracy {here['accuracy']:.3f}" in mounted.stdout


def script(project, source, name="job.py"):
    (project.folder / "pipeline" / name).write_text(source)
    return ["--script-path", name, "--should-upload-datasets", "False"]


SLOW = """
import time
from azureml_wrapper import file_paths
file_paths.outputs_path("begun.txt").write_text("x")
print("begun", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_cancel_the_run(project, sent):
    command = ["python", "-m", "azureml_wrapper.cloud_executor", *script(project, SLOW)]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env={**project.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output = ""
        while "begun" not in output:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            output += line
        process.send_signal(sent)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Canceling the run…" in errors
    assert f"Run {run_id(output)} was canceled" in errors
    shown = json.loads(project.aml("show", run_id(output), "--json").stdout)
    assert shown["status"] == "Canceled"


@pytest.mark.slow
def test_a_job_sees_its_data_where_the_laptop_has_them(project):
    """Arguments, an own file as the required dataset, Windows' way of writing paths, a broken script."""
    raw = project.folder / "data_blobs" / "raw"
    raw.mkdir(parents=True)
    (raw / "é #1 100%.csv").write_bytes(b"a\r\nb\r\n")
    source = (
        "import sys\nfrom azureml_wrapper import file_paths\n"
        "print('got', file_paths.raw_path('é #1 100%.csv').read_bytes(), sys.argv[1:], file_paths.is_job())\n"
        "file_paths.outputs_path('x').mkdir()\nfile_paths.outputs_path('x', 'é #2.txt').write_text('y')\n"
        "sys.exit(int(sys.argv[-1]))\n"
    )
    options = [*script(project, source)[:2], "--required-datasets-path", "data_blobs\\raw\\é #1 100%.csv"]
    done = project.aml("execute", *options, "--outputs", "fetched", "--", "--lr", "0.1", "0")
    assert r"got b'a\r\nb\r\n' ['--lr', '0.1', '0'] True" in done.stdout
    assert (project.folder / "fetched" / "outputs" / "x" / "é #2.txt").read_text() == "y"
    failed = project.fails("execute", *options, "--", "3", code=1)
    assert "exited with status code 3" in failed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--script-path", "image/classification/screenshot/model_trian.py"], "model_trian.py' not found in"),
        (["--script-path", "azureml/cloud_executor.py", "--project", ".."], "has no folder 'pipeline'"),
        (["--script-path", "azureml/cloud_executor.py", "--should-upload-datasets", "Maybe"], "not a valid boolean"),
    ],
)
def test_a_mistake_is_said_before_anything_is_sent(project, options, words):
    assert words in project.fails("execute", *options, code=2)
    assert not project.home.exists(), "no service was started"


@pytest.mark.slow
def test_aml_sync_makes_folders_alike_in_both_directions(project):
    (project.folder / "here").mkdir()
    (project.folder / "here" / "a b.txt").write_text("1")
    sync = ("sync", "here", "--target", "some/place")
    assert "here -> workspaceblobstore/some/place: 1 uploaded; 1 byte in" in project.aml(*sync).stdout
    assert "1 unchanged; 0 bytes" in project.aml(*sync).stdout
    report = json.loads(project.aml("sync", "there", "--target", "some/place", "--down", "--json").stdout)
    assert (report["downloaded"], report["bytes"]) == (["a b.txt"], 1)
    assert (project.folder / "there" / "a b.txt").read_text() == "1"
    (project.folder / "here" / "a b.txt").rename(project.folder / "here" / "c.txt")
    assert "1 copied, 1 deleted; 0 bytes" in project.aml(*sync, "--delete").stdout
    assert "is not a folder" in project.fails("sync", "nowhere", code=1)
    assert "No files in workspaceblobstore/plase;" in project.fails(*sync[:2], "--target", "plase", "--down", code=1)
