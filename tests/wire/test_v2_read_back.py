"""The quickstart, exported to SDK v2 and read back: a workspace made of the exported files gives the same outputs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.v2 import computes, environments, read
from azureml_wrapper.v2.submit.jobs import submit

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
PACKAGES = ["pandas", "numpy"]


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
    source = folder / "data" / "penguins.csv"
    first = WorkspaceWrapper("quickstart", "examples", "local")
    first.register_env("quickstart", PACKAGES)
    first.register_csv("workspaceblobstore", "penguins", source=source)
    first.register_compute("cpu-cluster")
    pipeline = PipelineWrapper.from_config(folder / "config.json")
    wanted = pipeline.run("penguins", regenerate_outputs=True)

    exported = folder / "v2"
    size = {"compute_size": "STANDARD_DS3_V2"}
    pipeline.to_v2(exported, experiment_name="penguins", environment={"dependencies": PACKAGES}, compute=size)
    second = WorkspaceWrapper("quickstart-v2", "examples", "local")
    second.register_csv("workspaceblobstore", "penguins", source=source)
    computes.create(second.ws, read.read_compute(exported / "compute.yml")[0])
    environments.create(second.ws, read.read_environment(exported / "environment.yml")[0])
    job, notes = read.read_job(exported / "pipeline.yml")
    found = submit(second.ws, job).wait()

    assert notes == []
    assert list(found.steps) == list(wanted.steps) == ["prepare", "train", "evaluate"]
    files = outputs(found, tmp_path / "found")
    assert sorted(files) == ["evaluate/outputs/confusion.png", "evaluate/outputs/result.json"]
    assert files == outputs(wanted, tmp_path / "wanted")
    assert found.steps["train"].metrics == wanted.steps["train"].metrics
