"""Schedules through the SDK, and that they fire."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from azureml.core import Dataset
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.pipeline.core import (
    Pipeline,
    PipelineEndpoint,
    PipelineParameter,
    PublishedPipeline,
    Schedule,
    ScheduleRecurrence,
    TimeZone,
)

from tests.wire.pipelines.scripts import LIST, await_runs
from tests.wire.pipelines.test_published import ECHO, said

# Never within a test.
LATER = ScheduleRecurrence("Day", 1, start_time=datetime(2099, 1, 1))
BATCH_SECONDS = "azureml_wrapper.batch_seconds"


@pytest.fixture
def publish(ws, make, unique):
    """Publishes a step; its schedules are disabled at the end, lest they fire beside later tests."""
    made = []

    def published(arguments=(), source=ECHO, **more):
        step = make(source, arguments=list(arguments), **more)
        made.append(Pipeline(ws, steps=[step]).publish(name=unique("scheduled")))
        return made[-1]

    yield published
    for pipeline in made:
        for schedule in Schedule.get_schedules_for_pipeline_id(ws, pipeline.id):
            schedule.disable()


@pytest.fixture
def create(ws, unique):
    """Makes a schedule of a published pipeline."""

    def schedule(pipeline, recurrence=None, **more):
        experiment = more.pop("experiment_name", unique("sched"))
        return Schedule.create(ws, unique("schedule"), pipeline.id, experiment, recurrence, **more)

    return schedule


@pytest.fixture
def parameter(ws, folder):
    """A DataPath parameter, and the step's settings that read it."""
    data = (PipelineParameter("file", DataPath(ws.get_default_datastore(), folder)), DataPathComputeBinding("mount"))
    return {"arguments": [data], "inputs": [data], "source": LIST}


def upload(ws, path, tmp_path, *names):
    for name in names:
        (tmp_path / name).write_text(name)
    files = [str(tmp_path / name) for name in names]
    ws.get_default_datastore().upload_files(files, target_path=path, overwrite=True, show_progress=False)


def test_a_schedule_is_read_back_as_it_was_made(ws, publish, create):
    recurrence = ScheduleRecurrence(
        "Week",
        2,
        start_time=datetime(2099, 1, 1, 8),
        time_zone=TimeZone.RomanceStandardTime,
        week_days=["Monday", "Friday"],
        time_of_day="6:30",
    )
    pipeline = publish()
    made = create(pipeline, recurrence, description="every other week", continue_on_step_failure=True)
    found = Schedule.get(ws, made.id)
    assert (found.name, found.description, found.pipeline_id) == (made.name, "every other week", pipeline.id)
    assert (found.status, found.continue_on_step_failure, found.pipeline_endpoint_id) == ("Active", True, None)
    assert vars(found.recurrence) == vars(recurrence)
    assert "Runs at 6:30 on Monday, Friday every 2 Weeks" in repr(found)
    assert found.get_last_pipeline_run() is None


def test_schedules_are_listed_by_workspace_and_by_pipeline(ws, publish, create):
    pipeline, other = publish(), publish()
    first, second = create(pipeline, LATER), create(pipeline, LATER)
    elsewhere = create(other, LATER)
    first.disable()
    listed = [schedule.id for schedule in Schedule.list(ws)]
    assert first.id not in listed
    assert {second.id, elsewhere.id} <= {*listed}
    assert first.id in [schedule.id for schedule in Schedule.list(ws, active_only=False)]
    assert [item.id for item in Schedule.list(ws, pipeline_id=pipeline.id)] == [second.id, first.id]
    first.enable(wait_for_provisioning=True)
    assert Schedule.get(ws, first.id).status == "Active"


def test_a_schedule_is_updated(ws, publish, create):
    schedule = create(publish([PipelineParameter("lr", 0.5)]), LATER, pipeline_parameters={"lr": 0.1})
    weekly = ScheduleRecurrence("Week", 1, start_time=datetime(2099, 2, 1))
    schedule.update(name="renamed", description="new", recurrence=weekly)
    found = Schedule.get(ws, schedule.id)
    assert (found.name, found.description, found.recurrence.frequency) == ("renamed", "new", "Week")
    schedule.update(status="Disabled", wait_for_provisioning=True)
    assert Schedule.get(ws, schedule.id).status == "Disabled"


def test_without_a_start_time_it_runs_at_once_with_its_parameters(ws, publish, create, unique, tmp_path):
    experiment = unique("sched")
    pipeline = publish([PipelineParameter("lr", 0.5), PipelineParameter("name", "x")])
    recurrence = ScheduleRecurrence("Month", 1)
    schedule = create(pipeline, recurrence, pipeline_parameters={"lr": 0.1}, experiment_name=experiment)
    (run,) = await_runs(schedule)
    assert said(run, tmp_path) == ["0.1", "x"]
    assert run.experiment.name == experiment
    assert schedule.get_last_pipeline_run().id == run.id
    properties = run.get_properties()
    assert (properties["azureml.scheduleid"], properties["azureml.pipelineid"]) == (schedule.id, pipeline.id)
    assert run.display_name == schedule.name
    schedule.disable()
    schedule.enable()
    schedule.update(name="renamed")
    time.sleep(1)
    assert len(schedule.get_pipeline_runs()) == 1


def test_data_is_resolved_when_it_fires(ws, publish, create, unique, folder, tmp_path):
    name, store = unique("ds"), ws.get_default_datastore()
    Dataset.File.from_files((store, f"{folder}/a.csv")).register(ws, name)
    # What `Dataset.get_by_name` gives is one version for ever, in Azure too.
    latest = DatasetConsumptionConfig("files", (ws, name)).as_mount()
    pipeline = publish([latest], LIST, inputs=[latest])
    Dataset.File.from_files((store, f"{folder}/sub/b.txt")).register(ws, name, create_new_version=True)
    (run,) = await_runs(create(pipeline, ScheduleRecurrence("Month", 1)))
    assert run.wait_for_completion(show_output=False, timeout_seconds=120) == "Finished"
    (step,) = run.get_steps()
    assert "/b.txt" in step.get_stdout_log()


def test_a_pipeline_is_not_disabled_before_its_schedules(ws, publish, create):
    pipeline = publish()
    schedule = create(pipeline, LATER)
    with pytest.raises(Exception, match="Schedules must be disabled before the published pipeline"):
        pipeline.disable()
    schedule.disable()
    pipeline.disable()
    assert PublishedPipeline.get(ws, pipeline.id).status == "Disabled"
    with pytest.raises(Exception, match="is Disabled"):
        schedule.enable()


def test_an_endpoint_is_scheduled(ws, publish, unique, tmp_path):
    endpoint = PipelineEndpoint.publish(ws, name=unique("endpoint"), pipeline=publish(["one"]), description="d")
    schedule = Schedule.create_for_pipeline_endpoint(
        ws, unique("schedule"), endpoint.id, unique("sched"), ScheduleRecurrence("Month", 1)
    )
    assert [item.id for item in Schedule.list(ws, pipeline_endpoint_id=endpoint.id)] == [schedule.id]
    (run,) = await_runs(schedule)
    assert said(run, tmp_path) == ["one"]
    with pytest.raises(Exception, match="active schedules"):
        endpoint.disable()
    schedule.disable()


def test_each_new_file_begins_a_run_that_is_given_it(ws, publish, create, parameter, folder, tmp_path):
    schedule = create(
        publish(**parameter),
        datastore=ws.get_default_datastore(),
        polling_interval=1,
        data_path_parameter_name="file",
        path_on_datastore=folder,
    )
    found = Schedule.get(ws, schedule.id)
    assert (found.datastore_name, found.polling_interval) == (ws.get_default_datastore().name, 1)
    assert (found.path_on_datastore, found.data_path_parameter_name, found.recurrence) == (folder, "file", None)
    upload(ws, folder, tmp_path, "new1.txt", "new2.txt")
    printed = []
    for run in await_runs(schedule, 2):
        run.wait_for_completion(show_output=False, timeout_seconds=120)
        (step,) = run.get_steps()
        printed.append(step.get_stdout_log())
    assert len(printed) == 2
    assert {name for name in ("new1.txt", "new2.txt") for text in printed if name in text} == {"new1.txt", "new2.txt"}


@pytest.mark.local_only
@pytest.mark.slow(10)
def test_a_burst_begins_one_run(ws, publish, create, parameter, folder, tmp_path):
    schedule = create(
        publish(**parameter),
        datastore=ws.get_default_datastore(),
        data_path_parameter_name="file",
        path_on_datastore=folder,
        pipeline_parameters={BATCH_SECONDS: 6},
    )
    schedule.update(description="an update keeps it")
    upload(ws, folder, tmp_path, *(f"{count}.txt" for count in range(5)))
    (run,) = await_runs(schedule)
    run.wait_for_completion(show_output=False, timeout_seconds=120)
    (step,) = run.get_steps()
    assert "4.txt" in step.get_stdout_log()
    assert run.get_properties()["azureml_wrapper.changed_files"].count(".txt") == 5
    assert len(schedule.get_pipeline_runs()) == 1


def test_a_schedule_is_loaded_from_yaml(ws, publish, create, tmp_path):
    file = tmp_path / "schedule.yml"
    file.write_text(
        "Schedule:\n"
        "  description: from a file\n"
        "  recurrence:\n"
        "    {frequency: Week, interval: 1, start_time: 2099-06-07T10:50:00, time_zone: UTC, hours: [1],"
        " minutes: [0], time_of_day: null, week_days: [Friday]}\n"
        "  pipeline_parameters: {lr: 0.25}\n"
        "  polling_interval: 7\n"
    )
    loaded = Schedule.load_yaml(ws, str(file))
    pipeline = publish([PipelineParameter("lr", 0.5)])
    schedule = create(pipeline, loaded["recurrence"], description=loaded["description"])
    found = Schedule.get(ws, schedule.id)
    assert (found.description, found.recurrence.week_days, found.recurrence.hours) == (
        "from a file",
        ["Friday"],
        [1],
    )


@pytest.mark.local_only
@pytest.mark.parametrize("start", ["soon", "2026-99-01"])
def test_a_start_that_is_none_is_refused_with_a_reason(publish, create, start):
    with pytest.raises(Exception, match=start):
        create(publish(), ScheduleRecurrence("Day", 1, start_time=start))


@pytest.mark.slow(70)
def test_a_schedule_of_every_minute_fires_again_after_a_minute(publish, create):
    """Waits for a real minute."""
    begun = datetime.now(timezone.utc)
    schedule = create(publish(), ScheduleRecurrence("Minute", 1))
    await_runs(schedule)
    # That nothing fires before its minute is over can only be seen by letting the minute pass.
    time.sleep(max(0.0, (begun + timedelta(seconds=58) - datetime.now(timezone.utc)).total_seconds()))
    assert len(schedule.get_pipeline_runs()) == 1
    second, first = await_runs(schedule, 2)
    schedule.disable()
    details = [run.get_details()["startTimeUtc"] for run in (first, second)]
    instants = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in details]
    assert timedelta(seconds=40) < instants[1] - instants[0] < timedelta(seconds=90)
