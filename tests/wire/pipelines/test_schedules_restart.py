"""Schedules and the end of the service: none fires twice, none is lost, and the service stays for them."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta, timezone

import pytest
from azureml.core import Environment, RunConfiguration
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.pipeline.core import Pipeline, Schedule, ScheduleRecurrence
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper.cli.work.local import describe
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.waiting import until
from tests.wire.clocks import service_ahead
from tests.wire.pipelines.scripts import await_runs

pytestmark = [pytest.mark.local_only, pytest.mark.slow, pytest.mark.usefixtures("cold")]


@pytest.fixture
def home(local_workspace):
    return Home(os.environ["AZUREML_WRAPPER_HOME"])


@pytest.fixture
def published(local_workspace, tmp_path):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=1)
    target = ComputeTarget.create(local_workspace, "one", config)
    runconfig = RunConfiguration()
    runconfig.environment = Environment("none-needed")
    runconfig.environment.python.user_managed_dependencies = True
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "s.py").write_text("print('done')")
    step = PythonScriptStep(
        "s.py", compute_target=target, source_directory=str(tmp_path / "source"), runconfig=runconfig
    )
    return Pipeline(local_workspace, steps=[step]).publish("p")


def kill(home):
    info = service_process.find(home)
    os.kill(info.pid, signal.SIGKILL)
    until(lambda: service_process.find(home) is None)


def wait_until(instant):
    time.sleep(max(0.0, (instant - datetime.now(timezone.utc)).total_seconds()))


def test_a_kill_between_two_firings_neither_loses_nor_doubles_one(local_workspace, home, published):
    start = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=8)
    recurrence = ScheduleRecurrence("Minute", 1, start_time=start.replace(tzinfo=None))
    schedule = Schedule.create(local_workspace, "s", published.id, "e", recurrence)
    # While it is due nobody is there.
    kill(home)
    wait_until(start + timedelta(seconds=1))
    service_process.start(home)
    await_runs(schedule, 1)
    # Killed at once after a firing, and again before the next.
    kill(home)
    service_process.start(home)
    kill(home)
    service_process.start(home)
    time.sleep(2)
    assert len(schedule.get_pipeline_runs()) == 1
    due_in = start + timedelta(minutes=1) - datetime.now(timezone.utc)
    with service_ahead(home, max(timedelta(), due_in)):
        second, first = await_runs(schedule, 2)
        instants = [run.get_properties()["azureml_wrapper.schedule_instant"] for run in (first, second)]
        assert instants == [when.isoformat(timespec="microseconds") for when in (start, start + timedelta(minutes=1))]


def test_the_service_stays_while_a_schedule_is_enabled(local_workspace, home, published):
    schedule = Schedule.create(
        local_workspace, "s", published.id, "e", ScheduleRecurrence("Day", 1, start_time=datetime(2099, 1, 1))
    )
    service_process.stop(home)
    assert "1 enabled, the next fires at 2099-01-01 00:00:00 UTC" in describe(home)["schedules"]
    service_process.start(home, idle=1)
    time.sleep(4)
    assert service_process.find(home)
    schedule.disable()
    assert "none enabled" in describe(home)["schedules"]
    until(lambda: service_process.find(home) is None)


def test_a_kill_after_an_upload_neither_loses_nor_doubles_its_run(local_workspace, home, published, tmp_path):
    store = local_workspace.get_default_datastore()
    schedule = Schedule.create(
        local_workspace, "s", published.id, "e", datastore=store, path_on_datastore="in", polling_interval=1
    )
    (tmp_path / "a.txt").write_text("a")
    store.upload_files([str(tmp_path / "a.txt")], target_path="in", show_progress=False)
    # Most likely before it was seen; a kill after that must not make a second run either.
    kill(home)
    service_process.start(home)
    await_runs(schedule, 1)
    kill(home)
    service_process.start(home)
    time.sleep(3)
    assert len(schedule.get_pipeline_runs()) == 1
