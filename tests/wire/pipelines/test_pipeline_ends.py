"""What becomes of a pipeline when the service ends in the middle of it: killed, or told to."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from azureml.core import Environment, Experiment, RunConfiguration
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.pipeline.core import Pipeline, PipelineRun
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.waiting import until
from tests.wire.pipelines.scripts import PASS, SLEEP

# A forked process keeps the environment of its start in /proc, where these tests look.
pytestmark = [pytest.mark.local_only, pytest.mark.slow, pytest.mark.usefixtures("cold")]


@pytest.fixture
def home(local_workspace):
    return Home(os.environ["AZUREML_WRAPPER_HOME"])


@pytest.fixture
def running(local_workspace, home, tmp_path) -> PipelineRun:
    """A pipeline whose first step runs and whose second one waits for it."""
    config = RunConfiguration()
    config.target = ComputeTarget.create(
        local_workspace, "one", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=1)
    )
    config.environment = Environment("none-needed")
    config.environment.python.user_managed_dependencies = True
    (tmp_path / "sleep.py").write_text(SLEEP)
    (tmp_path / "pass.py").write_text(PASS)
    first, second = (
        PythonScriptStep(
            f"{name}.py", name=name, compute_target="one", runconfig=config, source_directory=str(tmp_path)
        )
        for name in ("sleep", "pass")
    )
    second.run_after(first)
    run = Experiment(local_workspace, "ends").submit(Pipeline(local_workspace, steps=[second]))
    until(lambda: any(step.get_status() == "Running" for step in run.get_steps()))
    return run


def processes_of(run_id: str) -> list[str]:
    """The processes that have the environment of a run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"AZUREML_RUN_ID={run_id}\0".encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def errors_of(run: PipelineRun) -> dict[str, str]:
    """The errors of a pipeline's run and of its steps' runs, all of which have failed."""
    runs = {"pipeline": run, **{step.name: step for step in run.get_steps()}}
    assert {found.get_details()["status"] for found in runs.values()} == {"Failed"}
    return {name: found.get_details()["error"]["error"]["message"] for name, found in runs.items()}


def test_a_pipeline_of_a_killed_service_is_failed_with_the_reason(home, running):
    service = service_process.find(home)
    (step,) = running.get_steps()
    # A process has its variables a moment after its run is said to run.
    until(lambda: processes_of(step.id))
    os.kill(service.pid, signal.SIGKILL)
    until(lambda: service_process.find(home) is None)
    service_process.start(home)
    assert processes_of(step.id) == []
    errors = errors_of(running)
    assert sorted(errors) == ["pipeline", "sleep"]
    assert "The local service ended while the pipeline was running" in errors["pipeline"]
    assert running.get_status() == "Failed"


def test_a_service_that_is_stopped_fails_its_pipelines_and_begins_no_further_step(home, running):
    service_process.stop(home)
    service_process.start(home)
    errors = errors_of(running)
    assert sorted(errors) == ["pipeline", "sleep"]
    assert "The local service was stopped while the pipeline was running" in errors["pipeline"]
