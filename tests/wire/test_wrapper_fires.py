"""The three calls of the original project's README, word for word; and that what they ask for comes to pass."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
import requests

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.local.home import Home
from tests.waiting import until
from tests.wire.clocks import service_ahead

pytestmark = [pytest.mark.local_only, pytest.mark.slow, pytest.mark.usefixtures("cold")]

NAME, SCHEDULE_NAME = "nom du pipeline", "azureml_wrapper.schedule_name"


@pytest.fixture
def home(local_workspace):
    return Home(os.environ["AZUREML_WRAPPER_HOME"])


@pytest.fixture
def pipeline(local_workspace, tmp_path):
    wrapper = WorkspaceWrapper.from_workspace(local_workspace)
    wrapper.register_env("env_name", [])
    wrapper.register_compute("compute-name")
    (tmp_path / "step_script.py").write_text("print('fired')")
    scope = wrapper.scope
    step = {"step_name": "step name", "script_name": "step_script.py", "script_directory": str(tmp_path)}
    return PipelineWrapper.from_config(
        {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "env_name": "env_name",
            "compute_name": "compute-name",
            "steps": {"step1": step},
        }
    )


def test_without_a_schedule_it_runs_by_its_url(local_workspace, pipeline):
    made = pipeline.register("nom du pipeline", "courte description du pipeline")
    headers = local_workspace._auth.get_authentication_header()
    answer = requests.post(made.endpoint, json={"ExperimentName": "by-url"}, headers=headers, timeout=30)
    run = RunWrapper(local_workspace.get_run(answer.json()["Id"])).wait()
    assert "fired" in run.logs()


def test_every_second_week_it_fires_after_two_weeks_and_once_for_those_it_missed(home, pipeline):
    made = pipeline.register("nom du pipeline", "courte description du pipeline", "Week", interval=2)
    assert made.schedule.get_last_pipeline_run() is None
    with service_ahead(home, timedelta(days=14, seconds=30)):
        first = RunWrapper(until(made.schedule.get_last_pipeline_run)).wait()
        assert first.raw.get_properties()[SCHEDULE_NAME] == NAME
    # Down for half a year, of which it missed twelve.
    with service_ahead(home, timedelta(days=14 * 13, seconds=30)):
        until(lambda: len(made.schedule.get_pipeline_runs()) == 2)
        RunWrapper(made.schedule.get_last_pipeline_run()).wait()
        time.sleep(1)
        assert len(made.schedule.get_pipeline_runs()) == 2


def test_on_a_changed_blob_it_fires_within_seconds(local_workspace, pipeline, tmp_path):
    store = local_workspace.get_default_datastore()
    made = pipeline.register(
        "nom du pipeline", "courte description du pipeline", "On_blob_change", datastore_name=store.name
    )
    (tmp_path / "new.csv").write_text("a\n1\n")
    # Not into a folder: a schedule sees the folder that it watches, not those within it.
    store.upload_files([str(tmp_path / "new.csv")], show_progress=False)
    run = RunWrapper(until(made.schedule.get_last_pipeline_run)).wait()
    assert (run.raw.get_properties()[SCHEDULE_NAME], run.status) == (NAME, "Completed")


def test_every_minute_it_fires_a_minute_after_it_was_registered(home, pipeline):
    """That nothing fires before is seen in a real minute by tests/wire/pipelines/test_schedules.py."""
    made = pipeline.register("nom du pipeline", "courte description du pipeline", "Minute", interval=1)
    (due,) = made.next_runs(1)
    assert made.schedule.get_last_pipeline_run() is None
    with service_ahead(home, timedelta(seconds=60)):
        run = RunWrapper(until(made.schedule.get_last_pipeline_run)).wait()
        began = run.raw.get_details()["startTimeUtc"]
        assert began.replace("Z", "+00:00") >= due.isoformat()
        assert run.raw.get_properties()[SCHEDULE_NAME] == NAME
