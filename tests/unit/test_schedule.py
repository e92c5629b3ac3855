"""Which schedules can be asked for, and when they fire."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper import PipelineWrapper
from azureml_wrapper.errors import BadSchedule
from azureml_wrapper.publishing.schedule import (
    BATCH_SECONDS,
    OnBlobChange,
    Recurring,
    Schedule,
    next_times,
    windows_name,
)
from azureml_wrapper.recurrence import windows_zones

# A Saturday.
NOW = datetime(2026, 1, 31, 10, 20, 30, 999, tzinfo=timezone.utc)
WATCH = {"schedule": "On_blob_change", "datastore_name": "d"}


def plan(now=NOW, **given):
    """What is planned for the arguments of `register`."""
    schedule = Schedule.of(**{"schedule": None, **given})
    return schedule.plan(now) if schedule else None


def instants(count=3, now=NOW, **wanted):
    made = plan(now, **wanted)
    assert isinstance(made, Recurring)
    return [instant.isoformat() for instant in next_times(made.recurrence, count, now)]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"schedule": "week", "interval": 2},
            r"Minute, Hour, Day, Week, Month, On_blob_change\. Did you mean 'Week'",
        ),
        ({"schedule": "On_blob_chance", "datastore_name": "d"}, "Did you mean 'On_blob_change'"),
        ({"schedule": "Week"}, "Week requires interval"),
        ({"schedule": "Week", "interval": 0}, "interval must be an integer ≥ 1; got 0"),
        ({"schedule": "Week", "interval": 1.5}, r"interval must be an integer ≥ 1; got 1\.5"),
        ({"schedule": "Week", "interval": True}, "interval must be an integer ≥ 1; got True"),
        ({"schedule": "Day", "interval": 10**9}, "interval 1000000000 puts the first run beyond the year"),
        ({"schedule": "Month", "interval": 200_000}, "interval 200000 from 2026-01-31T10:20:30 exceeds"),
        ({"schedule": "Day", "interval": 1, "start_time": "9999-12-31"}, "exceeds the year 9999"),
        ({"schedule": "Day", "interval": 1, "start_now": "yes"}, "start_now must be True or False; got 'yes'"),
        ({"schedule": "Day", "interval": 1, "time_zone": 5}, "time_zone must be an IANA name .*; got 5"),
        ({"schedule": "Day", "interval": 1, "hours": 5.5}, "hours must be integers; got 5.5"),
        ({"schedule": "Week", "interval": 1, "week_days": 5}, "Unknown week day 5 in week_days; expected Monday"),
        ({**WATCH, "polling_interval": 10**7}, "polling_interval must be at most 1000000; got 10000000"),
        ({**WATCH, "batch_seconds": True}, "batch_seconds must be .*; got True"),
        ({**WATCH, "path_on_datastore": 5}, "path_on_datastore must be a string.*; got 5"),
        (
            {**WATCH, "path_on_datastore": "a/../b"},
            "'a/../b': its parts must be folder names",
        ),
        ({**WATCH, "path_on_datastore": "a//b"}, "Invalid path_on_datastore 'a//b'"),
        ({**WATCH, "path_on_datastore": "a" * 1025}, "path_on_datastore has 1025 characters"),
        ({"interval": 2}, "interval requires schedule=…, one of Minute"),
        ({"hours": [0]}, "hours requires schedule"),
        ({"start_now": True}, "start_now requires schedule"),
        ({"schedule": "On_blob_change"}, "requires datastore_name"),
        (
            {"schedule": "On_blob_change", "datastore_name": "d", "interval": 1},
            "requires one of Minute, Hour",
        ),
        (
            {"schedule": "On_blob_change", "datastore_name": "d", "polling_interval": 0},
            "polling_interval .* ≥ 1; got 0",
        ),
        (
            {"schedule": "On_blob_change", "datastore_name": "d", "batch_seconds": 0},
            "batch_seconds .*; got 0",
        ),
        (
            {"schedule": "Week", "interval": 1, "datastore_name": "d"},
            "datastore_name requires On_blob_change",
        ),
        (
            {"schedule": "Week", "interval": 1, "polling_interval": 1},
            "polling_interval requires On_blob_change",
        ),
        ({"schedule": "Week", "interval": 1, "time_zone": "Europe/Pariss"}, "Did you mean 'Europe/Paris'"),
        ({"schedule": "Week", "interval": 1, "time_zone": "Factory"}, "does not know the time_zone 'Factory'"),
        ({"schedule": "Month", "interval": 1, "hours": 3}, "hours and minutes require Day or Week"),
        ({"schedule": "Day", "interval": 1, "week_days": "Monday"}, "week_days require Week"),
        (
            {"schedule": "Week", "interval": 1, "week_days": ["Lundi"]},
            "'Lundi' in week_days; expected Monday",
        ),
        ({"schedule": "Day", "interval": 1, "hours": [24]}, "hours must be 0 to 23; got 24"),
        ({"schedule": "Day", "interval": 1, "hours": ["8"]}, "hours must be integers; got '8'"),
        ({"schedule": "Day", "interval": 1, "start_time": "tomorrow"}, "2030-12-31T08:30:00"),
        ({"schedule": "Day", "interval": 1, "start_time": NOW}, "give it in time_zone instead"),
        ({"schedule": "Day", "interval": 1, "start_time": "2030-01-01T00:00:00", "start_now": True}, "start_now"),
    ],
)
def test_an_invalid_schedule_is_a_value_error_that_lists_what_is_allowed(wanted, message):
    with pytest.raises(BadSchedule, match=message):
        plan(**wanted)


def test_no_schedule_is_none():
    assert plan() is None


@pytest.mark.parametrize(
    ("frequency", "interval", "first", "second"),
    [
        ("Minute", 5, "2026-01-31T10:25:30+00:00", "2026-01-31T10:30:30+00:00"),
        ("Hour", 1, "2026-01-31T11:20:30+00:00", "2026-01-31T12:20:30+00:00"),
        ("Day", 1, "2026-02-01T10:20:30+00:00", "2026-02-02T10:20:30+00:00"),
        ("Week", 2, "2026-02-14T10:20:30+00:00", "2026-02-28T10:20:30+00:00"),
        ("Month", 1, "2026-02-28T10:20:30+00:00", "2026-03-31T10:20:30+00:00"),
    ],
)
def test_without_a_start_the_first_run_is_an_interval_away(frequency, interval, first, second):
    assert instants(2, schedule=frequency, interval=interval) == [first, second]


def test_a_start_is_never_now_unless_asked_for():
    later, at_once = (plan(schedule="Week", interval=2, start_now=start_now).to_sdk() for start_now in (False, True))
    assert later.start_time == "2026-02-14T10:20:30"
    assert at_once.start_time is None
    for made in (later, at_once):
        made.validate()


def test_hours_and_days_say_when_in_the_schedules_own_zone():
    wanted = {"schedule": "Week", "interval": 1, "hours": [8], "minutes": [30], "week_days": ["monday", "Friday"]}
    assert instants(2, **wanted, time_zone="Europe/Paris") == [
        "2026-02-02T08:30:00+01:00",
        "2026-02-06T08:30:00+01:00",
    ]


def test_the_clock_on_the_wall_stays_through_summer_time():
    wanted = {"schedule": "Day", "interval": 1, "hours": 2, "minutes": 30, "time_zone": "Romance Standard Time"}
    now = datetime(2026, 3, 27, 12, tzinfo=timezone.utc)
    assert instants(3, now, **wanted) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:30:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_start_in_the_past_is_counted_from():
    wanted = {"schedule": "Day", "interval": 3, "start_time": "2026-01-30T06:00:00"}
    assert instants(1, **wanted) == ["2026-02-02T06:00:00+00:00"]


def test_the_sdk_takes_what_is_planned():
    made = plan(
        schedule="Week", interval=2, hours=[8, 20], minutes=0, week_days="Monday", time_zone="Asia/Tokyo"
    ).to_sdk()
    made.validate()
    assert (made.frequency, made.interval, made.time_zone.value) == ("Week", 2, "Tokyo Standard Time")
    assert (made.hours, made.minutes, made.week_days) == ([8, 20], [0], ["Monday"])
    assert made.start_time == "2026-01-31T19:20:30"


def test_every_zone_of_the_sdk_and_all_common_ones_have_a_name():
    for zone in windows_zones():
        assert windows_name(zone) == zone
    assert windows_name(None) == windows_name("UTC") == windows_name("utc") == windows_name("GMT") == "UTC"
    assert windows_name("America/Toronto") == "Eastern Standard Time"


def test_blobs_are_watched_by_minutes():
    made = plan(schedule="On_blob_change", datastore_name="d")
    assert made == OnBlobChange(datastore_name="d", polling_interval=5)
    for given, meant in (("/in/new/", "in/new"), ("in", "in"), ("/", None), ("", None)):
        assert plan(**WATCH, path_on_datastore=given).path_on_datastore == meant
    assert plan(schedule="On_blob_change", datastore_name="d", batch_seconds=30).parameters == {BATCH_SECONDS: "30"}


def test_an_instant_is_never_in_the_past():
    made = plan(schedule="Month", interval=1, time_zone="Europe/Paris").recurrence
    for hours in range(0, 24 * 400, 7):
        now = NOW + timedelta(hours=hours)
        assert all(now < instant <= now + timedelta(days=32) for instant in next_times(made, 1, now))


def test_a_schedule_is_a_value_that_register_takes_as_it_is():
    schedule = Schedule("Week", interval=2, hours=8)
    assert schedule == Schedule("Week", interval=2, hours=8)
    assert Schedule.of(schedule) is schedule
    assert Schedule.of("Week", interval=2, hours=8) == schedule


@pytest.mark.parametrize(
    ("given", "details", "message"),
    [
        (Schedule("Week", interval=2), {"interval": 3}, "interval conflicts with schedule=.* Set it in the Schedule"),
        (5, {}, "schedule must be a Schedule or one of Minute, .*; got 5"),
    ],
)
def test_a_schedule_and_its_parts_are_not_mixed(given, details, message):
    with pytest.raises(BadSchedule, match=message):
        Schedule.of(given, **details)


def test_register_takes_every_part_of_a_schedule_with_the_same_default():
    taken = inspect.signature(PipelineWrapper.register).parameters
    parts = {name: part for name, part in inspect.signature(Schedule).parameters.items() if name != "frequency"}
    assert {name: taken[name].default for name in parts} == {name: part.default for name, part in parts.items()}
