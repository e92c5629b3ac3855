"""Exports to SDK v2, read back: a workspace made of the exported files gives the same outputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.v2 import amlcompute, environment_file, read
from azureml_wrapper.v2.v1_jobs.submitting import submit
from tests.programs import need_mpirun

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
    amlcompute.create(second.ws, read.read_compute(exported / "compute.yml")[0])
    environment_file.create(second.ws, read.read_environment(exported / "environment.yml")[0])
    job, notes = read.read_job(exported / "pipeline.yml")
    found = submit(second.ws, job).wait()

    assert notes == []
    assert list(found.steps) == list(wanted.steps) == ["prepare", "train", "evaluate"]
    files = outputs(found, tmp_path / "found")
    assert sorted(files) == ["evaluate/outputs/confusion.png", "evaluate/outputs/result.json"]
    assert files == outputs(wanted, tmp_path / "wanted")
    assert found.steps["train"].metrics == wanted.steps["train"].metrics


SCRIPT = """
import argparse, os
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--input_data", "--output", "--word"):
    parser.add_argument(name)
given = parser.parse_args()
read = ""
if given.input_data:
    read = "".join(f"{file.name}: {file.read_text()}" for file in sorted(Path(given.input_data).iterdir()))
rank, size = (os.environ.get(f"OMPI_COMM_WORLD_{name}", "none") for name in ("RANK", "SIZE"))
text = f"{given.word}, rank {rank} of {size}, read {read}"
for folder in filter(None, ("outputs", given.output)):
    Path(folder).mkdir(exist_ok=True)
    Path(folder, f"{rank}.txt").write_text(text)
"""


def step(name: str, kind: str = "PythonScriptStep", **more: object) -> dict[str, object]:
    return {"type": kind, "name": name, "script": "step.py", "source_directory": "src", **more}


@pytest.mark.slow
@pytest.mark.local_only
def test_a_pipeline_configuration_file_gives_the_same_files_in_the_same_order(tmp_path, ws, unique, monkeypatch):
    need_mpirun()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_NAME", "train-cluster")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "step.py").write_text(SCRIPT)
    place = unique("raw")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("raw")
    ws.get_default_datastore().upload("raw", place, show_progress=False)
    steps = {
        "step1": step("prepare it", input_datareference_path=f"{place}/", output="made", arguments="--word 'it is'"),
        "step2": step("ranks", "MpiStep", node_count=2, processes_per_node=2),
        "step3": step("after", allow_reuse=False),
    }
    (tmp_path / "pipeline.json").write_text(json.dumps(steps))
    pipeline = PipelineWrapper.from_config("pipeline.json", workspace=ws)
    wanted = pipeline.run(unique("exp"), regenerate_outputs=True)
    made = pipeline.to_v2("v2", experiment_name=unique("back"))
    job, notes = read.read_job(made.folder / "pipeline.yml")
    found = submit(ws, job).wait()

    assert notes == []
    assert list(found.steps) == list(wanted.steps) == ["prepare it", "ranks", "after"]
    files = outputs(found, tmp_path / "found")
    assert files == outputs(wanted, tmp_path / "wanted")
    said = {name: text.decode() for name, text in files.items()}
    assert said["prepare it/outputs/none.txt"] == "it is, rank none of none, read a.txt: raw"
    assert sum(name.startswith("ranks/outputs/") for name in said) == 4
    assert "rank 3 of 4, read none.txt: it is" in said["ranks/outputs/3.txt"]
    ends = [step.raw.get_details()["endTimeUtc"] for step in found.steps.values()]
    starts = [step.raw.get_details()["startTimeUtc"] for step in found.steps.values()]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
