"""Exports held against SDK v2 itself, as processes: it writes variables that SDK v1 reads."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from tests.acceptance.conftest import ROOT
from tests.acceptance.mfe import FrontEnd

EXAMPLES = ROOT / "examples"
AZURE = {"ws_name": "w-v2", "resource_group": "g", "subscription_id": "11111111-2222-3333-4444-555555555555"}
SCRIPT = """
import json, sys
from pathlib import Path
arguments = sys.argv[1:]
given = dict(zip(arguments[::2], arguments[1::2]))
text = json.dumps({name: given[name] for name in ("--config", "--word") if name in given}, sort_keys=True)
if "--input-folder" in given:
    text += Path(given["--input-folder"], "result.txt").read_text()
if "--images" in given:
    from azureml.core import Run
    assert Run.get_context().input_datasets["cats"] == given["--images"]
    text += str([path.read_text() for path in Path(given["--images"]).iterdir()])
for folder in filter(None, ("outputs", given.get("--output-folder"))):
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "result.txt").write_text(text)
"""

BOTH_WAYS = """
from azureml_wrapper import PipelineWrapper
from azureml_wrapper.v2.read import read_job
from azureml_wrapper.v2.v1_jobs.submitting import submit
pipeline = PipelineWrapper.from_config("config.json")
pipeline.workspace.register_env("env", [])
pipeline.workspace.register_compute("cpu")
from pathlib import Path
from azureml.core import Dataset
Path("cats").mkdir()
Path("cats", "a.txt").write_text("meow")
store = pipeline.workspace.ws.get_default_datastore()
Dataset.File.upload_directory("cats", (store, "cats")).register(pipeline.workspace.ws, "cats")
exported = pipeline.to_v2("v2", file_datasets=["cats"])
pipeline.run("e").download("config")
job, notes = read_job(exported.folder / "pipeline.yml")
assert notes == [], notes
run = submit(pipeline.workspace.ws, job)
run.wait()
run.download("export")
"""


@pytest.fixture
def front(tmp_path):
    front = FrontEnd(tmp_path)
    yield front
    front.close()


def everything(folder, scope):
    """A pipeline with all that the exporter knows."""
    (folder / "src").mkdir()
    (folder / "src" / "step.py").write_text(SCRIPT)
    step = {"script_name": "step", "script_directory": "src"}
    config = {
        **scope,
        "env_name": "env",
        "compute_name": "cpu",
        "pipeline_parameters": {"lr": 2e-5, "word": "it is", "flag": True},
        "steps": {
            "a": {
                **step,
                "step_name": "First step",
                "step_config": {"lr": "${{parameters.lr}}", "flag": "${{parameters.flag}}", "x": "it's $HOME é"},
                "arguments": {"--word": "${{parameters.word}}"},
                "allow_reuse": False,
            },
            "b": {**step, "step_name": "second", "step_config": {"y": [1, None]}},
            "c": {**step, "step_name": "third", "input_steps": {"--input-folder": "a"}},
        },
    }
    (folder / "config.json").write_text(json.dumps(config))


def with_data(folder, scope):
    everything(folder, scope)
    config = json.loads((folder / "config.json").read_text())
    config["steps"]["b"] |= {
        "input_datasets": {"--table": "sales", "--images": "cats"},
        "input_paths": {
            "--raw": {"datastore": "store", "path": "a/b.csv"},
            "--dir": {"datastore": "store", "path": "a", "mode": "download", "parameter": "place"},
        },
        "env_name": "other",
        "compute_name": "gpu",
    }
    (folder / "config.json").write_text(json.dumps(config))


def never_reused(folder):
    """The steps of the example, as components; two of them share no data."""
    steps = json.loads((folder / "pipeline_config.json").read_text())
    return {name: {**step, "allow_reuse": False} for name, step in steps.items()}


@pytest.mark.slow
def test_every_file_of_every_export_is_loaded_by_azure_ai_ml(shell):
    shutil.copytree(EXAMPLES / "quickstart", shell.folder / "quickstart", ignore=shutil.ignore_patterns("results"))
    shutil.copytree(EXAMPLES / "tutorial", shell.folder / "tutorial")
    (shell.folder / "more").mkdir()
    with_data(shell.folder / "more", AZURE)
    week = ["--schedule", "Week", "--interval", "2", "--hours", "10", "--week-days", "Monday"]
    shell.aml("export", "quickstart/config.json", "-o", "quickstart/v2", *week, "--time-zone", "Europe/Paris")
    program = "import sys; sys.path.insert(0, 'tutorial'); import tutorial; tutorial.example_5().to_v2('tutorial/v2')"
    shell.run("python", "-c", program)
    shell.aml("export", "more/config.json", "-o", "more/v2", "--file-dataset", "cats")
    shutil.copytree(EXAMPLES / "train_pipeline", shell.folder / "pipes")
    (shell.folder / "pipes" / "env.example").rename(shell.folder / "pipes" / ".env")
    (shell.folder / "pipes" / "every_time.json").write_text(json.dumps(never_reused(shell.folder / "pipes")))
    shell.aml("export", "pipes/pipeline_config.json", "-o", "pipes/v2", "-c", "more/config.json")
    shell.aml("export", "pipes/every_time.json", "-o", "again/v2", "-c", "more/config.json")
    files = sorted(str(file) for file in shell.folder.glob("*/v2/*.yml"))
    done = shell.aml("lint", "--validate", *files)
    assert done.stdout.count("azure-ai-ml loads it.") == len(files) == 16


@pytest.mark.slow
def test_what_azure_ai_ml_refuses_is_told_in_words(shell):
    (shell.folder / "job.yml").write_text("type: pipeline\njobs:\n  a: {type: command, nope: 1}\n")
    (shell.folder / "bare.yml").write_text(
        "type: pipeline\njobs:\n  a: {type: command, command: ls, environment: azureml:e@latest}\n"
    )
    told = shell.fails("lint", "--validate", "job.yml", code=2)
    assert "job.yml" in told
    assert "Traceback" not in told
    assert "Compute not set" in shell.fails("lint", "--validate", "bare.yml", code=2)


@pytest.mark.slow
@pytest.mark.local_only
def test_an_exported_pipeline_gives_the_files_that_its_config_gives(shared):
    everything(shared.folder, {**AZURE, "subscription_id": "local"})
    config = json.loads((shared.folder / "config.json").read_text())
    config["steps"]["c"]["input_datasets"] = {"--images": "cats"}
    (shared.folder / "config.json").write_text(json.dumps(config))
    shared.run("python", "-c", BOTH_WAYS)
    of_config, of_export = (results(shared.folder / name) for name in ("config", "export"))
    assert of_config == of_export
    assert set(of_config) == {"First step", "second", "third"}
    found = json.loads(json.loads(of_config["First step"])["--config"])
    assert found == {"lr": 2e-5, "flag": True, "x": "it's $HOME é"}
    assert "it is" in of_config["second"]
    assert of_config["third"].endswith("['meow']")


def results(folder):
    """Step -> the file that its script has written."""
    return {file.parts[-3]: file.read_text() for file in folder.glob("*/outputs/result.txt")}


@pytest.mark.slow
def test_aml_run_submits_with_mlclient(shell, front):
    everything(shell.folder, AZURE)
    shell.extra |= front.variables
    done = shell.aml("run", "config.json", "-e", "trial", "--target", "v2", "--no-wait", "--set", "lr=0.5")
    assert front.unknown == []
    ((name, job),) = front.jobs.items()
    assert done.stdout.splitlines() == [f"Job {name}", f"https://ml.azure.com/{name}"]
    assert job["experimentName"] == "trial"
    assert job["jobType"] == "Pipeline"
    assert {key: each["value"] for key, each in job["inputs"].items()} == {
        "lr": "0.5",
        "word": "it is",
        "flag": "true",
    }
    assert set(job["jobs"]) == {"first_step", "second", "third"}
    assert len(front.components) == 3
    sent = hashlib.sha256((shell.folder / "src" / "step.py").read_bytes()).hexdigest()
    assert sent in {hashlib.sha256(body).hexdigest() for body in front.blobs.values()}


@pytest.mark.slow
def test_aml_run_submits_a_pipeline_configuration_file_with_mlclient(shell, front):
    shutil.copytree(EXAMPLES / "train_pipeline", shell.folder / "pipes")
    (shell.folder / "pipes" / "env.example").rename(shell.folder / "pipes" / ".env")
    (shell.folder / "ws.json").write_text(json.dumps(AZURE))
    shell.extra |= front.variables
    shell.aml("run", "pipes/pipeline_config.json", "-c", "ws.json", "-e", "trial", "--target", "v2", "--no-wait")
    assert front.unknown == []
    (job,) = front.jobs.values()
    assert list(job["jobs"]) == ["normalize", "train", "score", "report"]
    after = job["jobs"]["score"]["inputs"]["after_train"]
    assert after == {"job_input_type": "literal", "value": "${{parent.jobs.train.outputs.models}}", "mode": "Direct"}


@pytest.mark.slow
def test_a_ready_client_is_used_and_its_variable_does_not_stay(shell, front):
    everything(shell.folder, AZURE)
    shell.extra |= front.variables
    program = """
import os, sys
os.environ.pop("AZUREML_CURRENT_CLOUD", None)
from azure.identity import ManagedIdentityCredential
from azureml_wrapper import PipelineWrapper
from azureml_wrapper.v2.client import open_client, submit
pipeline = PipelineWrapper.from_config("config.json")
client = open_client(pipeline.workspace.scope, credential=ManagedIdentityCredential())
print(submit(pipeline, "e", client=client).name, os.environ.get("AZUREML_CURRENT_CLOUD"))
print([name for name in sys.modules if name.startswith("azureml.")])
"""
    lines = shell.run("python", "-c", program).stdout.splitlines()
    assert lines[-2] == f"{next(iter(front.jobs))} None"
    assert lines[-1] == "[]"


def test_the_local_azure_ml_is_not_given_jobs_of_sdk_v2(shell):
    everything(shell.folder, {**AZURE, "subscription_id": "local"})
    assert "speaks SDK v1" in shell.fails("run", "config.json", "-e", "e", "--target", "v2", code=2)


def test_what_is_meant_for_the_local_azure_ml_does_not_go_to_azure(shell):
    everything(shell.folder, AZURE)
    assert "without --local" in shell.fails("run", "config.json", "-e", "e", "--target", "v2", "--local", code=2)


def test_a_mistake_is_linted_with_file_and_line(shell):
    (shell.folder / "c.yml").write_text("name: c\ntype: amlcompute\nmin_instances: 3\nmax_instances: 1\n")
    told = shell.fails("lint", "c.yml", code=2)
    assert "c.yml has 2 problems" in told
    assert "line 3: min_instances is 3, more than max_instances, 1." in told


def test_an_export_says_what_was_written_and_what_needs_a_hand(shell):
    shutil.copytree(EXAMPLES / "quickstart", shell.folder / "q", ignore=shutil.ignore_patterns("results"))
    lines = shell.aml("export", "q/config.json", "-o", "q/v2").stdout.splitlines()
    assert lines[0] == "Wrote REPORT.md, compute.yml, config.json, environment.yml, pipeline.yml"
    assert "  step prepare: --penguins, dataset penguins" in lines
    report = (shell.folder / "q" / "v2" / "REPORT.md").read_text()
    assert "### ../scripts/train.py" in report
    assert "| `script.run.log(…)` | `mlflow.log_metric(name, value)` |" in report
    assert str(shell.folder) not in report


def test_a_schedule_for_blobs_is_refused_unless_a_choice_is_made(shell):
    everything(shell.folder, AZURE)
    watch = ["export", "config.json", "-o", "v2", "--schedule", "On_blob_change", "--datastore", "raw"]
    assert "--blob-change poll" in shell.fails(*watch, code=2)
    shell.aml(*watch, "--blob-change", "event-grid", "--data-path-parameter", "place")
    report = (shell.folder / "v2" / "REPORT.md").read_text()
    assert "Microsoft.Storage.BlobCreated" in report
    assert "the event's `subject`" in report


def test_the_workspace_of_a_pipeline_configuration_file_is_given_beside_it(shell):
    shutil.copytree(EXAMPLES / "train_pipeline", shell.folder / "t")
    (shell.folder / "t" / "env.example").rename(shell.folder / "t" / ".env")
    told = shell.fails("export", "t/pipeline_config.json", "-o", "v2", code=2)
    assert ".azureml/config.json" in told
    (shell.folder / "ws.json").write_text(json.dumps(AZURE))
    lines = shell.aml("export", "t/pipeline_config.json", "-o", "v2", "-c", "ws.json").stdout.splitlines()
    assert lines[0] == "Wrote REPORT.md, compute.yml, config.json, pipeline.yml"
    assert json.loads((shell.folder / "v2" / "config.json").read_text())["workspace_name"] == "w-v2"
    assert "bXkta2V5" not in "".join(file.read_text() for file in (shell.folder / "v2").iterdir())
