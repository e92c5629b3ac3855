"""PipelineWrapper.register: published, scheduled, replaced, triggered."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
import requests
from azureml.pipeline.core import PublishedPipeline, Schedule

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.errors import (
    BadArgument,
    BadName,
    BadParameter,
    BadSchedule,
    UnregisteredDatastore,
    UnregisteredPipeline,
)
from azureml_wrapper.publishing.publication import Publication, find_registered, list_registered, publish
from azureml_wrapper.publishing.schedule import OnBlobChange
from tests.waiting import until

pytestmark = pytest.mark.local_only

WATCH = {"schedule": "On_blob_change", "datastore_name": "workspaceblobstore"}
SCRIPT = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads)
parser.add_argument("--word")
print("lr", parser.parse_args().config["lr"])
"""


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("register_env", [])
    wrapper.register_compute("register-cpu")
    return wrapper


@pytest.fixture
def pipeline(workspace, tmp_path):
    (tmp_path / "show.py").write_text(SCRIPT)
    scope = workspace.scope
    return PipelineWrapper.from_config(
        {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "env_name": "register_env",
            "compute_name": "register-cpu",
            "pipeline_parameters": {"lr": 0.5, "word": "a", "word2": "b"},
            "steps": {
                "show": {
                    "step_name": "show",
                    "script_name": "show.py",
                    "script_directory": str(tmp_path),
                    "step_config": {"lr": "${{parameters.lr}}", "word": "${{parameters.word}}"},
                    "arguments": {"--word": "${{parameters.word2}}"},
                }
            },
        }
    )


@pytest.fixture
def name(ws, unique):
    """Of a pipeline; its schedules do not stay."""
    given = unique("pipeline")
    yield given
    for schedule in active(ws, given):
        schedule.disable()


def active(ws, name):
    return [schedule for schedule in Schedule.list(ws) if schedule.name == name]


def published(ws, name):
    return [each for each in PublishedPipeline.list(ws, active_only=False) if each.name == name]


class TestTheOriginalCalls:
    """Example 7 of the original project's README."""

    NAME = "nom du pipeline"

    @pytest.fixture(autouse=True)
    def _leave_no_schedule(self, ws):
        yield
        for schedule in active(ws, self.NAME):
            schedule.disable()

    def test_without_a_schedule(self, pipeline):
        made = pipeline.register("nom du pipeline", "courte description du pipeline")
        assert isinstance(made.pipeline, PublishedPipeline)
        assert (made.schedule, made.next_runs()) == (None, [])
        assert made.endpoint.endswith(f"/PipelineRuns/PipelineSubmit/{made.pipeline.id}")
        assert made.pipeline.description == "courte description du pipeline"

    def test_every_second_week(self, ws, pipeline):
        before = datetime.now(timezone.utc).replace(microsecond=0)
        made = pipeline.register("nom du pipeline", "courte description du pipeline", "Week", interval=2)
        assert (made.schedule.recurrence.frequency, made.schedule.recurrence.interval) == ("Week", 2)
        first, second = made.next_runs(2)
        assert before + timedelta(weeks=2) <= first <= datetime.now(timezone.utc) + timedelta(weeks=2)
        assert second - first == timedelta(weeks=2)
        assert find_registered(ws, self.NAME).next_runs(2) == [first, second]
        assert made.schedule.get_last_pipeline_run() is None

    def test_on_a_changed_blob(self, ws, pipeline):
        store = ws.get_default_datastore().name
        made = pipeline.register(
            "nom du pipeline", "courte description du pipeline", "On_blob_change", datastore_name=store
        )
        assert (made.schedule.datastore_name, made.schedule.polling_interval) == (store, 5)
        assert made.next_runs() == []


class TestVersions:
    def test_each_publication_has_the_next_one(self, ws, pipeline, name):
        versions = [pipeline.register(name, "").version for _ in range(2)]
        versions.append(pipeline.register(name, "", version="7").version)
        versions.append(pipeline.register(name, "").version)
        assert versions == ["1", "2", "7", "8"]
        assert find_registered(ws, name).version == "8"

    def test_a_disabled_version_keeps_its_number(self, ws, pipeline, name):
        pipeline.register(name, "").disable()
        assert pipeline.register(name, "").version == "2"

    def test_the_highest_number_is_the_newest_version(self, ws, pipeline, name):
        pipeline.register(name, "", version="9")
        assert pipeline.register(name, "").version == "10"
        assert find_registered(ws, name).version == "10"
        assert [each.version for each in list_registered(ws) if each.name == name] == ["9", "10"]

    def test_registering_again_replaces_the_schedule(self, ws, pipeline, name):
        first = pipeline.register(name, "", "Day", 1)
        second = pipeline.register(name, "", "Hour", 3)
        assert [schedule.id for schedule in active(ws, name)] == [second.schedule.id]
        assert Schedule.get(ws, first.schedule.id).status == "Disabled"

    def test_registering_without_a_schedule_says_that_the_one_before_is_disabled(self, ws, pipeline, name, reported):
        pipeline.register(name, "", "Day", 1)
        pipeline.register(name, "")
        assert active(ws, name) == []
        assert f"Disabled the previous schedule of {name}" in reported()

    def test_a_schedule_stays_if_the_one_that_replaces_it_cannot_be_created(self, ws, pipeline, name):
        """Its runs would be missed until somebody notices."""
        first = pipeline.register(name, "", "Day", 1)
        gone = OnBlobChange(datastore_name="nowhere", polling_interval=5)
        wanted = Publication(name=name, description="", plan=gone, experiment=name, parameters={})
        with pytest.raises(UnregisteredDatastore):
            publish(ws, pipeline.pipeline, wanted)
        assert [schedule.id for schedule in active(ws, name)] == [first.schedule.id]

    def test_both_the_pipeline_and_its_schedule_know_whether_other_branches_go_on(self, pipeline, name):
        for goes_on in (True, False):
            made = pipeline.register(name, "", "Day", 1, continue_on_step_failure=goes_on)
            assert made.pipeline.continue_on_step_failure is goes_on
            assert made.schedule.continue_on_step_failure is goes_on

    @pytest.mark.slow
    def test_scheduled_runs_stay_in_the_experiment_of_the_last_run(self, pipeline, name, unique):
        run = pipeline.run(unique("exp"), wait=False)
        made = pipeline.register(name, "", "Day", 1, start_now=True)
        assert made.experiment_name == run.experiment.name
        assert until(made.schedule.get_last_pipeline_run).experiment.name == run.experiment.name
        assert pipeline.register(name, "", experiment_name="other").experiment_name == "other"
        run.wait()

    def test_somebody_elses_schedule_of_that_name_stays(self, ws, pipeline, name, unique):
        # Only what has versions has schedules to replace.
        pipeline.register(name, "", "Day", 1)
        other = pipeline.register(unique("other"), "")
        theirs = Schedule.create(ws, name, other.pipeline.id, "exp", recurrence=daily())
        pipeline.register(name, "", "Day", 1)
        assert theirs.id in [schedule.id for schedule in active(ws, name)]


def daily():
    from azureml.pipeline.core import ScheduleRecurrence

    return ScheduleRecurrence("Day", 1, start_time="2040-01-01T00:00:00")


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"schedule": "Weekly", "interval": 1}, BadSchedule),
            ({"schedule": "Week"}, BadSchedule),
            ({"schedule": "Week", "interval": 0}, BadSchedule),
            ({"schedule": "Week", "interval": 1, "time_zone": "Mars"}, BadSchedule),
            ({"schedule": "On_blob_change", "datastore_name": "nowhere"}, UnregisteredDatastore),
            ({"schedule": "On_blob_change", "datastore_name": "workspacefilestore"}, BadSchedule),
            ({"schedule": "Week", "interval": 1, "parameters": {"rate": 1}}, BadParameter),
            ({"schedule": "Month", "interval": 200_000}, BadSchedule),
            ({**WATCH, "path_on_datastore": "../other"}, BadSchedule),
            ({"description": 5}, BadArgument),
            ({"version": 2}, BadArgument),
        ],
    )
    def test_it_is_told_before_anything_is_published(self, ws, pipeline, name, arguments, error):
        with pytest.raises(error):
            pipeline.register(name, **{"description": "", **arguments})
        assert published(ws, name) == []

    @pytest.mark.parametrize("wrong", ["", " ", None, 5])
    def test_a_pipeline_needs_a_name(self, ws, pipeline, wrong):
        with pytest.raises(BadName, match="must be a non-empty string"):
            pipeline.register(wrong, "")

    def test_a_name_that_was_never_published_is_told_with_those_that_were(self, ws, pipeline, name):
        pipeline.register(name, "")
        with pytest.raises(UnregisteredPipeline, match=f"Did you mean '{name}'"):
            find_registered(ws, name + "x")


class TestLife:
    def test_disabled_it_neither_fires_nor_runs(self, ws, pipeline, name):
        made = pipeline.register(name, "", "Day", 1)
        made.disable()
        assert (made.pipeline.status, made.schedule.status, made.next_runs()) == ("Disabled", "Disabled", [])
        assert name not in [each.name for each in list_registered(ws)]
        with pytest.raises(UnregisteredPipeline, match=r"is disabled\. Publish it again"):
            find_registered(ws, name)
        made.enable()
        assert (made.pipeline.status, made.schedule.status, len(made.next_runs(3))) == ("Active", "Active", 3)

    @pytest.mark.slow
    def test_triggered_it_runs_with_the_values_given(self, ws, pipeline, name, unique):
        made = pipeline.register(name, "", experiment_name=unique("exp"))
        assert made.parameters() == {"lr": 0.5, "word": "a", "word2": "b"}
        run = made.trigger({"lr": "0.25"}).wait()
        assert "lr 0.25" in run.logs()
        assert run.raw.experiment.name == made.experiment_name
        assert "lr 0.5" in find_registered(ws, name).trigger().wait().logs()

    def test_a_parameter_that_it_does_not_have_is_told(self, pipeline, name):
        with pytest.raises(BadParameter, match="Its parameters: lr, word"):
            pipeline.register(name, "").trigger({"x": 1})

    def test_a_text_that_would_break_a_step_config_is_refused(self, ws, pipeline, name):
        made = pipeline.register(name, "")
        run = made.trigger({"word2": 'in an "argument" it may stand'})
        again = partial(run.resubmit, True)
        for begin in (made.trigger, find_registered(ws, name).trigger, again):
            with pytest.raises(BadParameter, match="word is used in a step_config and cannot contain"):
                begin({"word": "C:\\temp"})
        run.wait()

    @pytest.mark.slow
    def test_a_program_without_the_sdk_runs_it_by_its_url(self, ws, pipeline, name, unique):
        made = pipeline.register(name, "")
        body = {"ExperimentName": unique("exp"), "ParameterAssignments": {"lr": 0.125}}
        answer = requests.post(made.endpoint, json=body, headers=ws._auth.get_authentication_header(), timeout=30)
        assert answer.ok, answer.text
        from azureml_wrapper import RunWrapper

        run = RunWrapper(ws.get_run(answer.json()["Id"])).wait()
        assert "lr 0.125" in run.logs()

    def test_what_is_next_without_a_start_is_counted_from_the_making(self, ws, pipeline, name):
        pipeline.register(name, "", "Month", 3, start_now=True)
        first = find_registered(ws, name).next_runs(2)
        time.sleep(1.1)
        assert find_registered(ws, name).next_runs(2) == first

    @pytest.mark.slow
    def test_start_now_runs_at_once_with_the_schedules_values(self, ws, pipeline, name):
        made = pipeline.register(name, "", "Day", 1, start_now=True, parameters={"lr": 0.75})
        run = until(made.schedule.get_last_pipeline_run)
        from azureml_wrapper import RunWrapper

        assert "lr 0.75" in RunWrapper(run).wait().logs()
        assert run.experiment.name == name
