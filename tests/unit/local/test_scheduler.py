"""The scheduler over real stores, with a clock that the tests move and an executor that only notes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.errors import Invalid, NotFound
from azureml_wrapper.local.domain.pipelines import BATCH_SECONDS, PipelineEndpoint, PublishedPipeline
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.scheduler import loop, triggers, watched
from azureml_wrapper.local.scheduler.loop import LONGEST_SLEEP, SchedulerLoop
from azureml_wrapper.local.services.pipelines.publishedwire import read_schedule

MONDAY = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
GRAPH = {"ModuleNodes": [{"Id": "n", "ModuleId": "m"}]}
INTERFACE = {"Parameters": [{"Name": "lr", "DefaultValue": "0.5"}], "DataPathParameters": [{"Name": "file"}]}


class Clock:
    def __init__(self):
        self.time = MONDAY

    def now(self):
        return self.time

    def steady(self):
        return self.time.timestamp()

    def move(self, **span):
        self.time += timedelta(**span)


class Executor:
    """Begins runs by noting them; `fault` is raised instead."""

    def __init__(self, context):
        self.context, self.begun, self.fault = context, [], None

    def submit(self, workspace_id, run_id):
        if self.fault:
            raise self.fault
        self.context.pipelines.mark_submitted(workspace_id, run_id)
        self.context.runs.advance(workspace_id, run_id, RunStatus.RUNNING)
        self.begun.append(run_id)


class Bench:
    def __init__(self, folder, clock=None):
        home = Home(folder)
        home.create()
        self.context, self.clock = build_context(home, 1), clock or Clock()
        self.workspace = self.context.workspaces.get("local", "local", "local").workspace_id
        self.executor = Executor(self.context)
        self.loop = SchedulerLoop(self.context.scheduler._stores, self.executor, self.clock)
        self.store, self.datastore = self.context.schedules, self.context.datastores.default(self.workspace)

    def publish(self, pipeline_id="p", **fields):
        graph_id = self.context.pipelines.add_graph(self.workspace, GRAPH, INTERFACE).key
        self.context.published.add(
            self.workspace, PublishedPipeline(pipeline_id=pipeline_id, graph_id=graph_id, name="n", **fields)
        )

    def schedule(self, recurrence=None, trigger=None, *, parameters=None, **body):
        """Adds a schedule of the pipeline `p`."""
        target = {} if "PipelineEndpointId" in body else {"PipelineId": "p"}
        info = {"ExperimentName": "nightly", "ParameterAssignments": parameters or {}}
        made = read_schedule(
            {
                "Name": "s",
                "PipelineSubmissionInfo": info,
                "Recurrence": recurrence,
                "DataStoreTriggerInfo": trigger,
                **target,
                **body,
            },
            workspace_id=self.workspace,
            schedule_id=self.context.ids.guid(),
            created=self.clock.now(),
            modified=self.clock.now(),
            anchor=self.clock.now(),
        )
        return self.loop.add(made)

    def watch(self, *, polling=5, parameter="file", batch=None, path="in"):
        trigger = {
            "DataStoreName": self.datastore.name,
            "PathOnDataStore": path,
            "PollingInterval": polling,
            "DataPathParameterName": parameter,
        }
        return self.schedule(trigger=trigger, parameters={BATCH_SECONDS: str(batch)} if batch else None)

    def put(self, name, content=b"x"):
        self.context.blobs.put_bytes(self.datastore.account, self.datastore.container, name, content)

    def fired(self, schedule):
        return self.context.pipelines.runs_of_schedule(self.workspace, schedule.schedule_id)

    def run(self, record):
        return self.context.runs.get(self.workspace, record.run_id)

    def paths(self, schedule):
        """The paths that the runs of a schedule were given, oldest first."""
        return [record.assigned.data_paths["file"]["RelativePath"] for record in self.fired(schedule)][::-1]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "home")
    made.publish()
    return made


def every(frequency, interval=1, **more):
    return {"Frequency": frequency, "Interval": interval, **more}


def days(*names, **more):
    return {"WeekDays": [*names], **more}


def test_without_a_start_time_it_fires_at_once_and_then_by_the_recurrence(bench):
    schedule = bench.schedule(every("Hour"))
    assert bench.loop.tick() == LONGEST_SLEEP
    assert len(bench.fired(schedule)) == 1
    bench.clock.move(minutes=59, seconds=50)
    assert bench.loop.tick() == 10
    assert len(bench.fired(schedule)) == 1
    bench.clock.move(seconds=10)
    bench.loop.tick()
    assert len(bench.fired(schedule)) == 2


def test_a_start_in_the_future_is_the_first_instant(bench):
    schedule = bench.schedule(every("Day", StartTime="2026-01-07T06:00:00", TimeZone="Romance Standard Time"))
    assert schedule.next_fire == datetime(2026, 1, 7, 5, tzinfo=timezone.utc)


def test_a_start_in_the_past_means_the_next_instant(bench):
    schedule = bench.schedule(every("Day", StartTime="2020-01-01T06:00:00"))
    assert schedule.next_fire == datetime(2026, 1, 6, 6, tzinfo=timezone.utc)
    bench.loop.tick()
    assert bench.fired(schedule) == []


def test_a_year_of_every_second_week(bench):
    schedule = bench.schedule(
        every("Week", 2, StartTime="2026-01-05T00:00:00", Schedule=days("Monday", Hours=[13], Minutes=[30]))
    )
    while bench.clock.now() < MONDAY + timedelta(days=365):
        wait = bench.loop.tick()
        assert wait > 0
        following = bench.store.get(bench.workspace, schedule.schedule_id).next_fire
        bench.clock.move(seconds=(following - bench.clock.now()).total_seconds())
    instants = [datetime.fromisoformat(instant_of(bench, record)) for record in bench.fired(schedule)][::-1]
    assert instants[0] == datetime(2026, 1, 5, 13, 30, tzinfo=timezone.utc)
    assert len(instants) == 27
    assert {later - sooner for sooner, later in itertools.pairwise(instants)} == {timedelta(days=14)}


def instant_of(bench, record):
    return bench.run(record).properties["azureml_wrapper.schedule_instant"]


@pytest.mark.parametrize(
    ("start", "frequency", "zone", "expected"),
    [
        ("2026-01-31T08:00:00", "Month", "UTC", ["2026-01-31T08", "2026-02-28T08", "2026-03-31T08", "2026-04-30T08"]),
        # Summer time begins on 29 March in Paris: eight o'clock is an hour earlier in UTC from then on.
        ("2026-03-28T08:00:00", "Day", "Romance Standard Time", ["2026-03-28T07", "2026-03-29T06", "2026-03-30T06"]),
        ("2026-10-24T08:00:00", "Day", "Europe/Paris", ["2026-10-24T06", "2026-10-25T07", "2026-10-26T07"]),
    ],
)
def test_month_ends_and_changes_of_the_clock(bench, start, frequency, zone, expected):
    schedule = bench.schedule(every(frequency, StartTime=start, TimeZone=zone))
    found = []
    for _ in expected:
        found.append(schedule.next_fire.strftime("%Y-%m-%dT%H"))
        bench.clock.time = schedule.next_fire
        bench.loop.tick()
        schedule = bench.store.get(bench.workspace, schedule.schedule_id)
    assert found == expected
    assert len(bench.fired(schedule)) == len(expected)


def test_after_the_service_was_away_it_fires_once(bench, tmp_path):
    schedule = bench.schedule(every("Minute", 10, StartTime="2026-01-05T12:10:00"))
    bench.clock.move(hours=9, minutes=5)
    again = Bench(tmp_path / "home", bench.clock)
    again.loop.resume()
    again.loop.tick()
    again.loop.tick()
    (record,) = again.fired(schedule)
    assert instant_of(again, record) == "2026-01-05T12:10:00.000000+00:00"
    assert again.store.get(again.workspace, schedule.schedule_id).next_fire == MONDAY + timedelta(hours=9, minutes=10)


class Killed(BaseException):
    pass


def test_a_firing_that_was_kept_but_not_begun_is_begun_by_the_next_process(bench, tmp_path):
    schedule = bench.schedule(every("Hour"))
    bench.executor.submit = lambda *_: (_ for _ in ()).throw(Killed)
    with pytest.raises(Killed):
        bench.loop.tick()
    again = Bench(tmp_path / "home", bench.clock)
    # What the executors fail at a start is what was begun, and nothing else.
    again.context.executor.recover()
    again.context.pipeline_executor.recover()
    again.loop.resume()
    again.loop.tick()
    (record,) = again.fired(schedule)
    assert again.executor.begun == [record.run_id]
    Bench(tmp_path / "home", bench.clock).loop.resume()
    assert len(again.fired(schedule)) == 1


def test_a_firing_that_was_not_kept_is_due_for_the_next_process(bench, tmp_path, monkeypatch):
    schedule = bench.schedule(every("Hour"))
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.store), "plan", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            bench.loop.tick()
    assert bench.fired(schedule) == []
    again = Bench(tmp_path / "home", bench.clock)
    again.loop.resume()
    again.loop.tick()
    assert len(again.fired(schedule)) == 1


def test_a_run_carries_its_schedule(bench):
    schedule = bench.schedule(every("Day"), parameters={"lr": "0.1"}, Name="every night")
    bench.loop.tick()
    (record,) = bench.fired(schedule)
    run = bench.run(record)
    assert run.display_name == "every night"
    assert run.properties["azureml.scheduleid"] == schedule.schedule_id
    assert run.properties["azureml_wrapper.schedule_name"] == "every night"
    assert (run.properties["runType"], run.properties["azureml.pipelineid"]) == ("Schedule", "p")
    assert run.experiment == "nightly"
    assert record.assigned.parameters == {"lr": "0.1"}


def test_a_disabled_schedule_does_not_fire_and_does_not_make_up_for_it(bench):
    schedule = bench.schedule(every("Hour"))
    bench.loop.tick()
    bench.loop.change(dataclasses.replace(schedule, is_active=False))
    assert not bench.loop.is_busy()
    bench.clock.move(hours=5, minutes=30)
    bench.loop.tick()
    changed = bench.loop.change(schedule)
    bench.loop.tick()
    assert len(bench.fired(schedule)) == 1
    assert changed.next_fire == MONDAY + timedelta(hours=6)
    assert bench.loop.is_busy()


def test_a_new_name_does_not_move_the_next_instant(bench):
    schedule = bench.schedule(every("Hour"))
    bench.loop.tick()
    bench.clock.move(minutes=10)
    changed = bench.loop.change(dataclasses.replace(schedule, name="other"))
    assert changed.next_fire == MONDAY + timedelta(hours=1)


def test_an_endpoint_runs_what_is_its_default_when_it_fires(bench):
    bench.publish("q")
    endpoint = PipelineEndpoint(endpoint_id="e", name="e", default_version="0", versions={"0": "p", "1": "q"})
    bench.context.published.add_endpoint(bench.workspace, endpoint)
    schedule = bench.schedule(every("Hour"), PipelineEndpointId="e")
    bench.loop.tick()
    bench.context.published.put_endpoint(bench.workspace, dataclasses.replace(endpoint, default_version="1"))
    bench.clock.move(hours=1)
    bench.loop.tick()
    assert [record.pipeline_id for record in bench.fired(schedule)] == ["q", "p"]


def test_what_cannot_be_begun_fails_with_the_reason_and_the_next_instant_stays(bench):
    schedule = bench.schedule(every("Hour"))
    bench.executor.fault = NotFound("the dataset is gone")
    bench.loop.tick()
    (record,) = bench.fired(schedule)
    run = bench.run(record)
    assert (run.status, run.error["error"]["message"]) == (RunStatus.FAILED, "the dataset is gone")
    bench.executor.fault = None
    bench.loop.resume()
    bench.clock.move(hours=1)
    bench.loop.tick()
    assert len(bench.executor.begun) == 1


def test_a_run_that_could_not_be_begun_is_begun_when_it_can_be(bench, caplog):
    schedule = bench.schedule(every("Hour"))
    bench.executor.fault = OSError("No space left on device")
    for _ in range(3):
        bench.loop.tick()
    assert bench.executor.begun == []
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1, 1]
    bench.executor.fault = None
    bench.loop.tick()
    bench.loop.tick()
    (record,) = bench.fired(schedule)
    assert bench.executor.begun == [record.run_id]


def test_a_changed_schedule_still_knows_when_it_fired_last(bench):
    schedule = bench.schedule(every("Hour"))
    bench.loop.tick()
    # What a client has read before that does not undo it.
    changed = bench.loop.change(dataclasses.replace(schedule, name="other"))
    assert changed.last_fire == bench.store.get(bench.workspace, schedule.schedule_id).last_fire == MONDAY


def test_a_run_whose_start_failed_half_way_does_not_fail_of_it(bench, caplog):
    """It was submitted, so whoever submitted it goes on with it."""
    schedule = bench.schedule(every("Hour"))
    submit = bench.executor.submit

    def submit_and_fail(workspace_id, run_id):
        submit(workspace_id, run_id)
        raise NotFound("gone")

    bench.executor.submit = submit_and_fail
    bench.loop.tick()
    [record] = bench.fired(schedule)
    assert bench.run(record).status is RunStatus.RUNNING
    assert any("cannot fire: gone" in message for message in caplog.messages)


def test_a_pipeline_that_was_disabled_behind_an_endpoint_fails_its_run(bench):
    bench.publish("q", status="Disabled")
    endpoint = PipelineEndpoint(endpoint_id="e", name="e", default_version="0", versions={"0": "q"})
    bench.context.published.add_endpoint(bench.workspace, endpoint)
    schedule = bench.schedule(every("Hour"), PipelineEndpointId="e")
    bench.loop.tick()
    (record,) = bench.fired(schedule)
    assert "is Disabled" in bench.run(record).error["error"]["message"]


@pytest.mark.parametrize("change", ["moved", "disabled", "watching and disabled"])
def test_a_schedule_that_changes_while_another_one_fires_does_not_fire(bench, change):
    """Both were due when the scheduler listed them."""
    later = bench.schedule(every("Day", StartTime="2040-01-01T00:00:00"))
    moved = {"recurrence": later.recurrence, "anchor": later.anchor, "has_start": True}
    due = [bench.watch() if "watching" in change else bench.schedule(every("Hour")) for _ in range(2)]
    bench.put("in/a.csv")
    submit = bench.executor.submit

    def change_the_other(workspace_id, run_id):
        submit(workspace_id, run_id)
        for schedule in due:
            if not bench.fired(schedule):
                changed = moved if change == "moved" else {"is_active": False}
                bench.loop.change(dataclasses.replace(schedule, **changed))

    bench.executor.submit = change_the_other
    bench.loop.tick()
    assert sorted(len(bench.fired(schedule)) for schedule in due) == [0, 1]


def test_each_changed_blob_begins_a_run(bench):
    bench.put("in/old.csv")
    schedule = bench.watch()
    bench.loop.tick()
    assert bench.fired(schedule) == []
    bench.put("in/a.csv")
    bench.put("in/b.csv")
    bench.put("in/sub/c.csv")
    bench.put("elsewhere.csv")
    bench.loop.tick()
    bench.loop.tick()
    assert sorted(bench.paths(schedule)) == ["in/a.csv", "in/b.csv"]
    bench.put("in/a.csv", b"changed")
    bench.loop.tick()
    assert bench.paths(schedule)[2:] == ["in/a.csv"]
    (record, *_) = bench.fired(schedule)
    assert json.loads(bench.run(record).properties["azureml_wrapper.changed_files"]) == ["in/a.csv"]


def test_all_blobs_of_a_folder_are_seen_however_many_pages_they_take(bench, monkeypatch):
    monkeypatch.setattr(loop, "PAGE", 2)
    schedule = bench.watch()
    names = [f"in/{number}.csv" for number in range(5)]
    for name in names:
        bench.put(name)
    bench.loop.tick()
    assert sorted(bench.paths(schedule)) == names


def test_without_a_path_the_container_itself_is_watched(bench):
    schedule = bench.watch(path="")
    bench.put("a.csv")
    bench.put("in/b.csv")
    bench.loop.tick()
    assert bench.paths(schedule) == ["a.csv"]


def test_a_file_that_is_written_in_place_is_seen_when_the_polling_interval_is_over(bench):
    bench.put("in/a.csv")
    schedule = bench.watch(polling=5)
    bench.loop.tick()
    with bench.context.blobs.path(bench.datastore.account, bench.datastore.container, "in/a.csv").open("ab") as file:
        file.write(b"more")
    bench.clock.move(minutes=4)
    bench.loop.tick()
    assert bench.fired(schedule) == []
    bench.clock.move(minutes=1)
    bench.loop.tick()
    assert bench.paths(schedule) == ["in/a.csv"]


def test_a_watched_folder_need_not_be_there(bench):
    schedule = bench.watch(path="later/on")
    bench.loop.tick()
    bench.put("later/on/a.csv")
    bench.loop.tick()
    assert bench.paths(schedule) == ["later/on/a.csv"]


def test_a_blob_that_comes_back_counts_as_new(bench):
    schedule = bench.watch(polling=0)
    bench.put("in/a.csv")
    bench.loop.tick()
    bench.context.blobs.delete(bench.datastore.account, bench.datastore.container, "in/a.csv")
    bench.loop.tick()
    bench.put("in/a.csv")
    bench.loop.tick()
    assert len(bench.fired(schedule)) == 2


def test_a_blob_that_is_moved_away_and_back_counts_as_new(bench):
    """A renamed file keeps its ETag: a blob that is gone must be forgotten, or it is never new again."""
    schedule = bench.watch(polling=0)
    bench.put("in/a.csv")
    bench.loop.tick()
    file = bench.context.blobs.path(bench.datastore.account, bench.datastore.container, "in/a.csv")
    aside = file.parent.parent / "aside"
    file.rename(aside)
    bench.loop.tick()
    assert bench.store.blobs(schedule) == {}
    aside.rename(file)
    bench.loop.tick()
    assert bench.paths(schedule) == ["in/a.csv", "in/a.csv"]


def test_blobs_of_the_time_without_a_service_are_seen_by_the_next_one(bench, tmp_path):
    schedule = bench.watch()
    bench.put("in/a.csv")
    again = Bench(tmp_path / "home", bench.clock)
    again.loop.resume()
    again.loop.tick()
    assert again.paths(schedule) == ["in/a.csv"]


def test_what_a_disabled_schedule_misses_does_not_make_it_fire(bench):
    schedule = bench.watch(polling=0)
    bench.loop.change(dataclasses.replace(schedule, is_active=False))
    bench.put("in/a.csv")
    bench.loop.tick()
    bench.loop.change(schedule)
    bench.loop.tick()
    assert bench.fired(schedule) == []
    bench.put("in/b.csv")
    bench.loop.tick()
    assert bench.paths(schedule) == ["in/b.csv"]


def test_a_burst_begins_one_run_that_is_given_the_folder(bench, tmp_path):
    schedule = bench.watch(batch=30)
    for count in range(3):
        bench.put(f"in/{count}.csv")
        bench.loop.tick()
        bench.clock.move(seconds=5)
    bench.clock.move(seconds=14)
    # What waits is kept.
    bench = Bench(tmp_path / "home", bench.clock)
    bench.loop.tick()
    assert bench.fired(schedule) == []
    bench.clock.move(seconds=1)
    bench.put("in/last.csv")
    bench.loop.tick()
    bench.loop.tick()
    assert bench.paths(schedule) == ["in"]
    (record,) = bench.fired(schedule)
    changed = json.loads(bench.run(record).properties["azureml_wrapper.changed_files"])
    assert changed == ["in/0.csv", "in/1.csv", "in/2.csv", "in/last.csv"]
    assert BATCH_SECONDS not in record.assigned.parameters
    bench.put("in/next.csv")
    bench.loop.tick()
    assert len(bench.fired(schedule)) == 1


def test_a_burst_ends_though_nothing_more_changes_and_polling_is_not_due(bench):
    schedule = bench.watch(batch=30, polling=60)
    bench.put("in/a.csv")
    bench.loop.tick()
    for seconds, fired in ((29, 0), (1, 1), (60, 1)):
        bench.clock.move(seconds=seconds)
        bench.loop.tick()
        assert len(bench.fired(schedule)) == fired


def test_a_schedule_that_cannot_look_keeps_no_other_from_firing(bench, caplog):
    broken = bench.watch()
    bench.context.blobs.delete_container(bench.datastore.account, bench.datastore.container)
    schedule = bench.schedule(every("Hour"))
    for _ in range(3):
        bench.loop.tick()
    assert len(bench.fired(schedule)) == 1
    assert bench.fired(broken) == []
    assert sum("cannot fire" in message for message in caplog.messages) == 1


def test_changed_files_are_listed_as_far_as_a_property_holds_them():
    names = [f"in/{count:05}.csv" for count in range(5000)]
    text = triggers._listed(names)
    assert len(text) <= 1000
    assert json.loads(text)[0] == "in/00000.csv"
    assert "more" in json.loads(text)[-1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"recurrence": every("Fortnight")}, "Fortnight"),
        ({"recurrence": every("Day", 0)}, "interval must be an integer ≥ 1; got 0"),
        ({"recurrence": every("Day", 10**30)}, "Invalid recurrence"),
        ({"recurrence": every("Day", TimeZone="Mars")}, "Mars"),
        ({"recurrence": every("Day", StartTime="soon")}, "soon"),
        ({"recurrence": every("Day", Schedule=days("Monday"))}, "week_days require Week"),
        ({"recurrence": every("Week", Schedule=days("Funday"))}, "Funday"),
        ({}, "either a Recurrence"),
        ({"recurrence": every("Day"), "PipelineEndpointId": "e", "PipelineId": "p"}, "either a PipelineId"),
        ({"recurrence": every("Month", 10**6, StartTime="2099-01-01T00:00:00")}, "Invalid recurrence"),
        ({"trigger": {"DataStoreName": "d", "PollingInterval": -1}}, "PollingInterval"),
        ({"trigger": {"DataStoreName": "d", "PathOnDataStore": "../x"}}, "x"),
        ({"trigger": {"DataStoreName": "d"}, "parameters": {BATCH_SECONDS: "often"}}, BATCH_SECONDS),
    ],
)
def test_an_invalid_schedule_is_refused_with_the_reason(bench, body, reason):
    with pytest.raises(Invalid, match=reason):
        bench.schedule(**body)


# Growth


class Looks:
    """Counts the times of folders, the datastores and the schedules that a scheduler reads."""

    def __init__(self, bench, monkeypatch):
        self.times = self.datastores = self.schedules = 0
        store, datastores, stat = bench.store, bench.context.datastores, watched.WatchedFolders.changed
        read, get = store._read, datastores.get

        def changed(folders, *given):
            self.times += 1
            return stat(folders, *given)

        def parsed(*given, **fields):
            self.schedules += 1
            return read(*given, **fields)

        def got(*given):
            self.datastores += 1
            return get(*given)

        monkeypatch.setattr(watched.WatchedFolders, "changed", changed)
        monkeypatch.setattr(store, "_read", parsed)
        monkeypatch.setattr(datastores, "get", got)


def test_schedules_that_are_not_due_are_not_read(bench, monkeypatch):
    bench.schedule(every("Hour"))
    bench.loop.tick()
    for _ in range(20):
        bench.schedule(every("Day", StartTime="2026-01-07T06:00:00"))
    looks = Looks(bench, monkeypatch)
    assert bench.loop.is_busy()
    bench.loop.tick()
    assert looks.schedules == 0
    bench.clock.move(hours=1)
    bench.loop.tick()
    assert 0 < looks.schedules <= 4


def test_one_look_at_a_folder_is_for_all_schedules_that_watch_it(bench, monkeypatch):
    bench.put("in/a.csv")
    schedules = [bench.watch(polling=60) for _ in range(10)]
    bench.loop.tick()
    looks = Looks(bench, monkeypatch)
    for _ in range(3):
        bench.loop.tick()
    assert (looks.times, looks.datastores, looks.schedules) == (3, 0, 0)
    bench.put("in/b.csv")
    bench.loop.tick()
    assert [len(bench.fired(schedule)) for schedule in schedules] == [1] * 10


def test_a_changed_watch_looks_at_its_new_folder_and_a_disabled_one_at_none(bench):
    schedule = bench.watch(path="old")
    bench.loop.tick()
    bench.loop.change(dataclasses.replace(schedule, watch=dataclasses.replace(schedule.watch, path="new")))
    bench.put("old/a.csv")
    bench.put("new/b.csv")
    bench.loop.tick()
    assert bench.paths(schedule) == ["new/b.csv"]
    current = bench.store.get(bench.workspace, schedule.schedule_id)
    bench.loop.change(dataclasses.replace(current, is_active=False))
    bench.put("new/c.csv")
    bench.loop.tick()
    assert len(bench.fired(schedule)) == 1
    assert not bench.loop.is_busy()


def test_the_schedules_of_a_deleted_workspace_are_forgotten_without_a_complaint(bench, caplog):
    bench.put("in/a.csv")
    bench.watch()
    bench.loop.tick()
    bench.context.database.forget(bench.workspace)
    bench.put("in/b.csv")
    bench.loop.tick()
    assert bench.loop.tick() == LONGEST_SLEEP
    assert caplog.records == []
