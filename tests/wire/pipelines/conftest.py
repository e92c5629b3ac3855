"""Steps of one short script each, on one compute for all tests of a process."""

from __future__ import annotations

import textwrap
import uuid

import pytest
from azureml.core import Environment, Experiment, RunConfiguration
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.pipeline.core import Pipeline, PipelineRun
from azureml.pipeline.steps import PythonScriptStep


@pytest.fixture(scope="session")
def cluster(ws):
    name = f"c{uuid.uuid4().hex[:8]}"
    compute = ComputeTarget.create(ws, name, AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=4))
    compute.wait_for_completion(show_output=False)
    return compute


@pytest.fixture(scope="session")
def runconfig(cluster):
    """Scripts run in the interpreter as it is: nothing is to be installed."""
    config = RunConfiguration()
    config.target = cluster
    config.environment = Environment("none-needed")
    config.environment.python.user_managed_dependencies = True
    return config


@pytest.fixture
def make(tmp_path, cluster, runconfig):
    """`make(WRITE, "name", arguments)`: a step whose source directory holds one script.

    It runs each time: tests share a workspace, and an equal step of another test must not stand in for it.
    """

    def step(source: str, name: str | None = None, arguments: list | None = None, **more) -> PythonScriptStep:
        name = name or f"step{uuid.uuid4().hex[:6]}"
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "script.py").write_text(textwrap.dedent(source))
        settings = {"compute_target": cluster, "runconfig": runconfig, "source_directory": str(folder)}
        settings = {**settings, "allow_reuse": False, **more}
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
