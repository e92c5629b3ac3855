"""The clock is set by years while the service is used, and between its starts: work goes on, and nothing is lost."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local import tls
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.tokens import BadToken, Tokens
from tests.faults.machine import SCOPE, Refused, machine
from tests.faults.test_abandoned_runs import a_run
from tests.faults.usage import (
    OPERATIONS,
    PIPELINES,
    Usage,
    published,
    run_pipeline,
    run_script,
    schedule,
    start_run,
    upload,
)
from tests.unit.local.pipelinebench import W
from tests.unit.local.test_scheduler import Bench as SchedulerBench
from tests.unit.local.test_scheduler import every
from tests.waiting import until

YEARS = timedelta(days=3 * 365)
both_ways = pytest.mark.parametrize("jump", [YEARS, -YEARS], ids=["forward", "back"])
SECRET = "0123456789abcdef" * 4


class SetClock:
    """One that a test sets; `steady` goes on by itself."""

    def __init__(self):
        self.time, self.seconds = datetime(2026, 1, 1, tzinfo=timezone.utc), 0.0

    def now(self):
        return self.time

    def steady(self):
        return self.seconds

    def pass_by(self, seconds):
        self.seconds += seconds
        self.time += timedelta(seconds=seconds)


# Times of runs


@both_ways
def test_the_duration_of_a_run_stays_true(jump):
    clock = SetClock()
    runs = RunStore(Database(":memory:"), clock)
    runs.add(a_run("r"))
    runs.advance(W, "r", RunStatus.RUNNING)
    clock.pass_by(40)
    clock.time += jump
    run = runs.advance(W, "r", RunStatus.COMPLETED)
    assert (run.ended, run.ended - run.started) == (clock.now(), timedelta(seconds=40))


def test_a_small_correction_of_the_clock_changes_no_times():
    clock = SetClock()
    runs = RunStore(Database(":memory:"), clock)
    runs.add(a_run("r"))
    started = runs.advance(W, "r", RunStatus.RUNNING).started
    clock.pass_by(40)
    clock.time -= timedelta(seconds=2)
    assert runs.advance(W, "r", RunStatus.COMPLETED).started == started


def test_a_run_of_an_earlier_process_never_ends_before_it_starts():
    clock, database = SetClock(), Database(":memory:")
    RunStore(database, clock).add(a_run("r"))
    RunStore(database, clock).advance(W, "r", RunStatus.RUNNING)
    clock.time -= YEARS
    run = RunStore(database, clock).advance(W, "r", RunStatus.FAILED)
    assert run.started == run.ended == clock.now()


# Schedules


@pytest.fixture
def bench(tmp_path):
    made = SchedulerBench(tmp_path / "home")
    made.publish()
    return made


@both_ways
def test_a_schedule_goes_on_after_the_clock_was_set(bench, jump):
    made = bench.schedule(every("Minute"))
    bench.loop.tick()
    bench.clock.time += jump
    for _ in range(3):
        assert bench.loop.tick() <= 60
    # Once for the years that were missed; not at all for those that come again.
    assert len(bench.fired(made)) == (2 if jump > timedelta() else 1)
    for _ in range(3):
        bench.clock.move(minutes=1)
        bench.loop.tick()
    assert len(bench.fired(made)) == (5 if jump > timedelta() else 4)


def test_a_schedule_with_a_start_time_keeps_its_times_when_the_clock_is_set_back(bench):
    made = bench.schedule(every("Day", StartTime="2020-01-01T06:00:00"))
    bench.clock.move(days=1)
    bench.loop.tick()
    bench.clock.time -= YEARS
    bench.loop.tick()
    planned = bench.store.get(bench.workspace, made.schedule_id).next_fire
    assert (planned.hour, planned - bench.clock.now() <= timedelta(days=1)) == (6, True)


def test_a_clock_that_is_corrected_by_minutes_repeats_no_firing(bench):
    made = bench.schedule(every("Minute"))
    for _ in range(5):
        bench.clock.move(minutes=1)
        bench.loop.tick()
    fired = len(bench.fired(made))
    bench.clock.move(minutes=-5)
    for _ in range(4):
        bench.clock.move(minutes=1)
        bench.loop.tick()
    assert len(bench.fired(made)) == fired


@both_ways
@pytest.mark.parametrize("batch", [None, 60])
def test_a_watched_folder_is_watched_after_the_clock_was_set(bench, jump, batch):
    made = bench.watch(batch=batch)
    bench.loop.tick()
    bench.put("in/before")
    bench.loop.tick()
    bench.clock.time += jump
    bench.loop.tick()
    bench.put("in/after")
    for _ in range(3):
        bench.clock.move(minutes=6)
        bench.loop.tick()
    assert len(bench.fired(made)) == 2 - (batch is not None and jump < timedelta())


# Tokens and certificates


def test_an_expired_token_says_what_the_clock_shows():
    tokens, now = Tokens(SECRET), datetime(2026, 1, 1, tzinfo=timezone.utc)
    token = tokens.run("w", "r", now=now.timestamp())
    assert tokens.identify(token, now=(now - YEARS).timestamp()).run_id == "r"
    with pytest.raises(BadToken, match=r"expired at 2026-01-31 00:00 UTC; the clock of the service shows 2028-12-31"):
        tokens.identify(token, now=(now + YEARS).timestamp())


@pytest.mark.parametrize("years", [-3, 0, 3])
def test_a_certificate_is_valid_whatever_the_clock_shows_when_it_is_made(tmp_path, years):
    home = Home(tmp_path / "home")
    home.create()
    # Loading it shakes hands by the true clock.
    tls.server_context(home, datetime.now(timezone.utc) + years * timedelta(days=365))
    before = home.authority.read_bytes()
    tls.server_context(home)
    assert home.authority.read_bytes() == before


def test_a_certificate_of_a_clock_that_was_set_back_by_decades_is_made_again(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    now = datetime.now(timezone.utc)
    tls._make(home, now + timedelta(days=20 * 365))
    tls.server_context(home)
    assert abs(tls._expires(home) - now - tls.LIFETIME) < timedelta(days=1)


# A service


def times(usage, run_id):
    found = usage.ask("GET", f"/history/v1.0{SCOPE}/experiments/exp/runs/{run_id}")
    return tuple(datetime.fromisoformat(found[name].rstrip("Z")[:19]) for name in ("startTimeUtc", "endTimeUtc"))


def listed(usage):
    """The ids of all runs, page by page."""
    found, body, path = set(), {"top": 3}, f"/history/v1.0{SCOPE}/experiments/exp/runs:query"
    while True:
        page = usage.ask("POST", path, body)
        found |= {run["runId"] for run in page["value"]}
        if not page.get("continuationToken"):
            return found
        body = {"top": 3, "continuationToken": page["continuationToken"]}


def every_minute(usage):
    """A schedule that goes on."""
    body = {
        "Name": usage.name(),
        "PipelineId": published(usage),
        "PipelineSubmissionInfo": {"ExperimentName": "exp"},
        "Recurrence": {"Frequency": "Minute", "Interval": 1},
    }
    return usage.ask("POST", f"{PIPELINES}/Schedules/Create", body)["Id"]


@pytest.mark.slow(15)
@both_ways
def test_a_service_whose_clock_is_set_goes_on_and_loses_nothing(tmp_path, jump):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        going_on = every_minute(usage)
        until(lambda: usage.runs_of(going_on))
        # Set while a pipeline runs.
        made.passed()
        running = threading.Thread(target=run_pipeline, args=[usage])
        running.start()
        until(lambda: "jobs.numbered" in made.passed())
        made.set_clock(jump.total_seconds())
        running.join()
        for operation in OPERATIONS:
            operation(usage)
        usage.settle()
        # As many as real minutes have passed, and one for the years between.
        assert len(usage.runs_of(going_on)) < 20
        # Set between two starts, and back again while the service runs.
        for seconds in (2 * jump.total_seconds(), 0.0):
            made.stop()
            made.set_clock(seconds)
            made.start()
            for operation in (upload, run_script, start_run, schedule):
                operation(usage)
        made.set_clock(jump.total_seconds())
        run_script(usage)
        usage.settle()
        assert usage.check() == []
        assert usage.submitted <= listed(usage)
        for run_id in usage.submitted:
            started, ended = times(usage, run_id)
            assert timedelta() <= ended - started < timedelta(hours=1), run_id
        assert "Traceback" not in made.home.log_file.read_text()


def test_a_token_of_another_time_is_refused_with_both_times(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        made.set_clock(YEARS.total_seconds())
        made.shift = 0.0
        with pytest.raises(Refused, match=r"The token expired at .*; the clock of the service shows "):
            made.ask("GET", "{ws}")
