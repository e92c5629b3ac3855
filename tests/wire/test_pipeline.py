"""Pipelines through the SDK: build, submit, watch, read."""

from __future__ import annotations

import json
import textwrap
import uuid
from pathlib import Path

import pytest
from azureml.core import Dataset, Environment, Experiment, RunConfiguration
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.exceptions import ActivityFailedException
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter, PipelineRun, StepRun, StepSequence
from azureml.pipeline.steps import CommandStep, PythonScriptStep

pytestmark = pytest.mark.slow

WRITE = """
    import pathlib, sys
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text(" ".join(sys.argv[2:]))
    print("wrote", sys.argv[2:])
"""
APPEND = """
    import pathlib, sys
    source, target = map(pathlib.Path, sys.argv[1:3])
    text = (source / "words.txt").read_text()
    target.mkdir(parents=True, exist_ok=True)
    (target / "words.txt").write_text(text + " and " + sys.argv[3])
    print("read", text)
"""
SHOW = """
    import json, os, sys
    print("ARGUMENTS", json.dumps(sys.argv[1:]))
    print("PARAMETERS", json.dumps({k: v for k, v in os.environ.items() if k.startswith("AML_PARAMETER_")}))
"""
LIST = """
    import json, os, sys
    found = {}
    for place in sys.argv[1:]:
        if os.path.isdir(place):
            found[place] = sorted(os.path.join(folder, name)[len(place) + 1:]
                                  for folder, _, names in os.walk(place) for name in names)
        else:
            found[place] = open(place).read() if os.path.exists(place) else None
    print("FOUND", json.dumps(list(found.values())))
"""
FAIL = "raise ValueError('the soup is too hot')"
SLEEP = "import time; print('asleep', flush=True); time.sleep(600)"
PASS = "print('done')"


@pytest.fixture(scope="session")
def cluster(ws):
    """One compute for all tests of a process."""
    name = f"c{uuid.uuid4().hex[:8]}"
    compute = ComputeTarget.create(ws, name, AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=4))
    compute.wait_for_completion(show_output=False)
    return compute


@pytest.fixture(scope="session")
def runconfig(cluster):
    """Scripts run in the interpreter of the service."""
    config = RunConfiguration()
    config.target = cluster
    config.environment = Environment("none-needed")
    config.environment.python.user_managed_dependencies = True
    return config


@pytest.fixture
def make(tmp_path, cluster, runconfig):
    """`make(WRITE, …)`: a step whose source directory holds one script."""

    def step(source: str, name: str | None = None, arguments: list | None = None, **more) -> PythonScriptStep:
        name = name or f"step{uuid.uuid4().hex[:6]}"
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "script.py").write_text(textwrap.dedent(source))
        settings = {"compute_target": cluster, "runconfig": runconfig, "source_directory": str(folder), **more}
        return PythonScriptStep("script.py", name=name, arguments=arguments or [], **settings)

    return step


@pytest.fixture
def submit(ws, unique):
    """Submits steps as a pipeline."""

    def run(steps, *, experiment: str | None = None, **more) -> PipelineRun:
        pipeline = Pipeline(ws, steps=steps)
        assert pipeline.validate() == []
        return Experiment(ws, experiment or unique("pipes")).submit(pipeline, show_output=False, **more)

    return run


@pytest.fixture
def complete(submit):
    """Submits, and waits for a good end."""

    def run(steps, **more) -> PipelineRun:
        submitted = submit(steps, **more)
        assert submitted.wait_for_completion(show_output=False, timeout_seconds=120) == "Finished"
        return submitted

    return run


@pytest.fixture
def folder(ws, unique, tmp_path):
    """A folder of the default datastore with `a.csv` and `sub/b.txt`; its path."""
    local, path = tmp_path / "upload", unique("data")
    (local / "sub").mkdir(parents=True)
    (local / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (local / "sub" / "b.txt").write_text("b")
    ws.get_default_datastore().upload(str(local), path, show_progress=False)
    return path


def step_of(run: PipelineRun, name: str) -> StepRun:
    (found,) = run.find_step_run(name)
    return found


def said(run: PipelineRun, name: str, word: str):
    """The JSON that a step printed after a word."""
    lines = step_of(run, name).get_stdout_log().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{word} ")]
    return json.loads(line.removeprefix(f"{word} "))


def test_a_folder_goes_from_step_to_step(complete, make, tmp_path):
    middle, end = OutputFileDatasetConfig("middle"), OutputFileDatasetConfig("end")
    run = complete(
        [
            make(APPEND, "second", [middle.as_input("words"), end, "b"]),
            make(WRITE, "first", [middle, "a"]),
        ]
    )
    assert [step.name for step in run.get_steps()] == ["second", "first"]
    second = step_of(run, "second")
    assert second.get_stdout_log().splitlines()[-1] == "read a"
    second.get_output_data("end").download(str(tmp_path / "got"), show_progress=False)
    (file,) = (path for path in (tmp_path / "got").rglob("*") if path.is_file())
    assert file.read_text() == "a and b"


def test_states_have_the_words_of_pipelines_and_of_run_history(complete, make):
    run = complete([make(PASS, "only")])
    assert (run.get_status(), run.get_details()["status"]) == ("Finished", "Completed")
    assert step_of(run, "only").get_status() == "Finished"
    assert step_of(run, "only").get_details()["status"] == "Completed"
