"""The quickstart as a pipeline job of SDK v2, run through SDK v1, does what its config does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.v2 import read
from azureml_wrapper.v2.submit.jobs import submit

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
# As `aml export` writes it.
PIPELINE = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
experiment_name: penguins
inputs:
  penguins:
    type: mltable
    path: azureml:penguins@latest
settings:
  default_compute: azureml:cpu-cluster
  continue_on_step_failure: false
jobs:
  prepare:
    type: command
    display_name: prepare
    code: ./scripts
    command: >-
      python prepare.py
      --config '{"dataset": "penguins", "features": ["bill_length_mm", "bill_depth_mm"],
      "test_share": 0.3, "seed": 7}'
      --penguins ${{inputs.penguins}}
      --output-folder ${{outputs.output_folder}}
    environment: azureml:quickstart@latest
    inputs:
      penguins:
        type: mltable
        path: ${{parent.inputs.penguins}}
        mode: direct
    outputs:
      output_folder:
        type: uri_folder
        mode: rw_mount
  train:
    type: command
    display_name: train
    code: ./scripts
    command: >-
      python train.py
      --config '{"learning_rate": 0.5, "epochs": 200, "log_every": 20}'
      --input-folder ${{inputs.input_folder}}
      --output-folder ${{outputs.output_folder}}
    environment: azureml:quickstart@latest
    inputs:
      input_folder: ${{parent.jobs.prepare.outputs.output_folder}}
    outputs:
      output_folder:
        type: uri_folder
        mode: rw_mount
  evaluate:
    type: command
    display_name: evaluate
    code: ./scripts
    command: >-
      python evaluate.py
      --input-folder ${{inputs.input_folder}}
    environment: azureml:quickstart@latest
    inputs:
      input_folder: ${{parent.jobs.train.outputs.output_folder}}
"""


def outputs(run: RunWrapper, folder: Path) -> dict[str, bytes]:
    """The files that the steps have left in `outputs`."""
    run.download(folder)
    files = [file for file in folder.rglob("*") if file.is_file() and "outputs" in file.parts]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.local_only
def test_the_files_are_those_that_the_config_gives(tmp_path):
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder)
    workspace = WorkspaceWrapper("quickstart", "examples", "local")
    workspace.register_env("quickstart", ["pandas", "numpy"])
    workspace.register_csv("workspaceblobstore", "penguins", source=folder / "data" / "penguins.csv")
    workspace.register_compute("cpu-cluster")
    wanted = PipelineWrapper.from_config(folder / "config.json").run("penguins", regenerate_outputs=True)
    (folder / "pipeline.yml").write_text(PIPELINE)
    job, notes = read.read_job(folder / "pipeline.yml", ["settings.force_rerun=true"])
    found = submit(workspace.ws, job).wait()
    assert notes == []
    assert list(found.steps) == list(wanted.steps) == ["prepare", "train", "evaluate"]
    files = outputs(found, tmp_path / "found")
    assert sorted(files) == ["evaluate/outputs/confusion.png", "evaluate/outputs/result.json"]
    assert files == outputs(wanted, tmp_path / "wanted")
    assert found.steps["train"].metrics == wanted.steps["train"].metrics
