"""Pipeline configuration files, and the examples of `aml init`, as a user runs them."""

from __future__ import annotations

import base64
import json
import re
import shutil

import pytest

from tests.acceptance.conftest import ROOT, own_workspace
from tests.wire.test_training import SCRIPT, TRAIN

pytestmark = pytest.mark.slow

REGISTER = """
from azureml_wrapper import WorkspaceWrapper
workspace = WorkspaceWrapper.from_config("pipeline.yml")
workspace.register_env("my-environment", [])
workspace.register_compute("cpu-cluster")
"""
SUBMIT = """
from azureml_wrapper import JobWrapper
run = JobWrapper.from_config("job.yml").submit("my-experiment").wait()
print(run.status, run.logs())
"""
# Puts the data into the container that the variables name.
UPLOAD = """
import pathlib
from azureml_wrapper import TrainPipeline
made = TrainPipeline("pipeline.json", target="local")
store = made.set_up_datastore("normalizeddataconditioned")
pathlib.Path("file.npy").write_text("1")
store.upload_files(["file.npy"], target_path="normalized_data", show_progress=False)
"""


@pytest.fixture
def project(shared):
    """The documented example, with the files that it names, in a project that says which workspace it is of."""
    folder = shared.folder
    (folder / "pipeline.json").write_text(TRAIN)
    (folder / "train").mkdir()
    (folder / "train" / "train.py").write_text(SCRIPT)
    (folder / "train" / "requirements.txt").touch()
    key = base64.b64encode(b"k" * 64).decode()
    (folder / ".env").write_text(
        f"BLOB_ACCOUNT_NAME=seismic\nBLOB_CONTAINER_NAME=raw-data\nBLOB_ACCOUNT_KEY={key}\n"
        "BLOB_SUB_ID=local\nAML_COMPUTE_CLUSTER_NAME=gpu-cluster\nAML_COMPUTE_CLUSTER_MIN_NODES=0\n"
    )
    (folder / ".azureml").mkdir()
    names = {"subscription_id": "local", "resource_group": "group", "workspace_name": own_workspace(folder)}
    (folder / ".azureml" / "config.json").write_text(json.dumps(names))
    return shared


def test_aml_run_reads_the_file_and_aml_cancel_stops_a_step(project):
    project.python(UPLOAD)
    told = project.aml("run", "pipeline.json", "-e", "DEV-train-pipeline", "--local").stdout
    assert re.search(r"train step +Completed", told)
    run = re.search(r"^Run ([0-9a-f-]{36})$", told, re.MULTILINE)[1]
    step = re.search(r"^Step 'train step': ([0-9a-f-]{36})$", told, re.MULTILINE)[1]
    assert step in project.aml("show", run, "--json", "--local").stdout
    assert "cannot be canceled" in project.fails("cancel", run, step, "--local", code=1)

    slow = "import time; print('asleep', flush=True); time.sleep(600)"
    (project.folder / "train" / "train.py").write_text(slow)
    told = project.aml("run", "pipeline.json", "-e", "DEV-train-pipeline", "--local", "--no-wait").stdout
    run = re.search(r"^Run ([0-9a-f-]{36})$", told, re.MULTILINE)[1]
    assert "Did you mean 'train step'?" in project.fails("cancel", run, "trian step", "--local", code=2)
    project.aml("cancel", run, "train step", "--local")
    shown = json.loads(project.aml("show", run, "--json", "--local").stdout)
    assert [(step["step"], step["status"]) for step in shown["steps"]] == [("train step", "Canceled")]


def test_the_workspace_is_that_of_the_nearest_config_or_of_the_option(project):
    told = project.aml("run", "pipeline.json", "-e", "e", "--dry-run").stdout
    assert "train step: train.py --splits splits" in told
    assert "The pipeline is valid" in told
    (project.folder / ".azureml" / "config.json").rename(project.folder / "other.json")
    assert "No .azureml/config.json" in project.fails("run", "pipeline.json", "-e", "e", code=2)
    project.aml("run", "pipeline.json", "-e", "e", "--dry-run", "-c", "other.json")
    quickstart = str(ROOT / "examples" / "quickstart" / "config.json")
    refused = project.fails("run", quickstart, "-e", "e", "-c", "other.json", code=2)
    assert "--config is for pipeline configuration files" in refused


def test_mistakes_are_told_with_file_line_and_key(project):
    text = TRAIN.replace('"node_count": 1', '"node_count": 0').replace('"train.py"', '"trian.py"')
    (project.folder / "pipeline.json").write_text(text)
    told = project.fails("run", "pipeline.json", "-e", "e", "--local", code=2)
    assert "pipeline.json has 2 problems:" in told
    assert "line 6: step1.script: no script 'trian.py'" in told
    assert "line 15: step1.node_count" in told


def test_what_init_writes_runs(shared):
    for kind in ("pipeline", "steps", "job"):
        shared.aml("init", kind)
    shared.python(REGISTER)
    told = shared.aml("run", "pipeline.yml", "-e", "my-experiment", "--set", "learning_rate=0.2").stdout
    assert re.search(r"train +Completed", told)
    assert "AML_COMPUTE_CLUSTER_NAME is not set" in shared.fails(
        "run", "pipeline_config.yml", "-e", "my-experiment", "--local", code=2
    )
    shutil.copy(shared.folder / "env.example", shared.folder / ".env")
    told = shared.aml("run", "pipeline_config.yml", "-e", "my-experiment", "--local").stdout
    assert re.search(r"prepare data +Completed", told)
    assert re.search(r"train +Completed", told)
    told = shared.python(SUBMIT).stdout
    assert "Completed" in told
    assert "epoch 2" in told


def test_init_writes_over_nothing_without_force(shell):
    (shell.folder / "job.yml").write_text("mine")
    assert "job.yml already exists; nothing was written" in shell.fails("init", "job", code=2)
    assert not (shell.folder / "tools").exists()
    shell.aml("init", "job", "--force")
    assert (shell.folder / "job.yml").read_text() != "mine"
    assert shell.aml("init", "job", "new").stdout == "Wrote new/job.yml\nWrote new/tools/aml_main.py\n"


def test_schemas_are_printed(shell):
    assert json.loads(shell.aml("schema", "steps").stdout)["title"] == "Pipeline configuration file"
    assert "steps" in shell.aml("schema").stdout.split()
    assert shell.aml("schema", "job", "--path").stdout.strip().endswith("schemas/job.json")
    assert "Did you mean 'pipeline'?" in shell.fails("schema", "pipelin", code=2)
