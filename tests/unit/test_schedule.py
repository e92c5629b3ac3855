"""Which schedules can be asked for, and when they fire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.errors import BadSchedule
from azureml_wrapper.publishing.schedule import (
    BATCH_SECONDS,
    OnBlobChange,
    Recurring,
    Wanted,
    next_instants,
    plan,
    windows_name,
)
from azureml_wrapper.recurrence import windows_zones

# A Saturday.
NOW = datetime(2026, 1, 31, 10, 20, 30, 999, tzinfo=timezone.utc)
WATCH = {"schedule": "On_blob_change", "datastore_name": "d"}


def instants(count=3, now=NOW, **wanted):
    made = plan(Wanted(**wanted), now)
    assert isinstance(made, Recurring)
    return [instant.isoformat() for instant in next_instants(made.recurrence, count, now)]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"schedule": "week", "interval": 2},
            r"Minute, Hour, Day, Week, Month, On_blob_change\. Did you mean 'Week'",
        ),
        ({"schedule": "On_blob_chance", "datastore_name": "d"}, "Did you mean 'On_blob_change'"),
        ({"schedule": "Week"}, "Week needs an interval"),
        ({"schedule": "Week", "interval": 0}, "interval is 0; allowed are whole numbers .from 1 on."),
        ({"schedule": "Week", "interval": 1.5}, r"interval is 1\.5"),
        ({"schedule": "Week", "interval": True}, "interval is True"),
        ({"schedule": "Day", "interval": 10**9}, "interval is 1000000000; the first run would be beyond the year"),
        ({"schedule": "Month", "interval": 200_000}, "interval 200000 from 2026-01-31T10:20:30 on goes beyond"),
        ({"schedule": "Day", "interval": 1, "start_time": "9999-12-31"}, "goes beyond the year 9999"),
        ({"schedule": "Day", "interval": 1, "start_now": "yes"}, "start_now is 'yes'; allowed are True and False"),
        ({"schedule": "Day", "interval": 1, "time_zone": 5}, "time_zone is 5; allowed are IANA names"),
        ({"schedule": "Day", "interval": 1, "hours": 5.5}, "hours holds 5.5"),
        ({"schedule": "Week", "interval": 1, "week_days": 5}, "week_days holds 5; allowed are Monday"),
        ({**WATCH, "polling_interval": 10**7}, "polling_interval is 10000000; at most 1000000 minutes"),
        ({**WATCH, "batch_seconds": True}, "batch_seconds is True"),
        ({**WATCH, "path_on_datastore": 5}, "path_on_datastore is 5"),
        ({**WATCH, "path_on_datastore": "a/../b"}, "path_on_datastore is 'a/../b'; its parts must be names"),
        ({**WATCH, "path_on_datastore": "a//b"}, "path_on_datastore is 'a//b'"),
        ({**WATCH, "path_on_datastore": "a" * 1025}, "path_on_datastore has 1025 characters"),
        ({"interval": 2}, "interval goes with a schedule, one of Minute"),
        ({"hours": [0]}, "hours goes with a schedule"),
        ({"start_now": True}, "start_now goes with a schedule"),
        ({"schedule": "On_blob_change"}, "needs a datastore_name"),
        ({"schedule": "On_blob_change", "datastore_name": "d", "interval": 1}, "interval goes with one of Minute"),
        ({"schedule": "On_blob_change", "datastore_name": "d", "polling_interval": 0}, "polling_interval is 0"),
        ({"schedule": "On_blob_change", "datastore_name": "d", "batch_seconds": 0}, "batch_seconds is 0"),
        ({"schedule": "Week", "interval": 1, "datastore_name": "d"}, "datastore_name goes with On_blob_change"),
        ({"schedule": "Week", "interval": 1, "polling_interval": 1}, "polling_interval goes with On_blob_change"),
        ({"schedule": "Week", "interval": 1, "time_zone": "Europe/Pariss"}, "Did you mean 'Europe/Paris'"),
        ({"schedule": "Week", "interval": 1, "time_zone": "Factory"}, "no name for the time_zone 'Factory'"),
        ({"schedule": "Month", "interval": 1, "hours": 3}, "hours and minutes go with Day and Week"),
        ({"schedule": "Day", "interval": 1, "week_days": "Monday"}, "week_days go with Week"),
        ({"schedule": "Week", "interval": 1, "week_days": ["Lundi"]}, "'Lundi'; allowed are Monday, Tuesday"),
        ({"schedule": "Day", "interval": 1, "hours": [24]}, "24; allowed are 0 to 23"),
        ({"schedule": "Day", "interval": 1, "hours": ["8"]}, "hours holds '8'"),
        ({"schedule": "Day", "interval": 1, "start_time": "tomorrow"}, "2030-12-31T08:30:00"),
        ({"schedule": "Day", "interval": 1, "start_time": NOW}, "give it in time_zone instead"),
        ({"schedule": "Day", "interval": 1, "start_time": "2030-01-01T00:00:00", "start_now": True}, "start_now"),
    ],
)
def test_a_schedule_that_cannot_be_is_a_value_error_that_lists_what_is_allowed(wanted, message):
    with pytest.raises(BadSchedule, match=message):
        plan(Wanted(**wanted), NOW)


def test_no_schedule_is_none():
    assert plan(Wanted(), NOW) is None


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


def test_a_start_that_is_told_is_never_now_but_where_it_is_wanted():
    later, at_once = (
        plan(Wanted(schedule="Week", interval=2, start_now=start_now), NOW).to_sdk() for start_now in (False, True)
    )
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
        Wanted(schedule="Week", interval=2, hours=[8, 20], minutes=0, week_days="Monday", time_zone="Asia/Tokyo"), NOW
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
    made = plan(Wanted(schedule="On_blob_change", datastore_name="d"), NOW)
    assert made == OnBlobChange(datastore_name="d", polling_interval=5)
    for given, meant in (("/in/new/", "in/new"), ("in", "in"), ("/", None), ("", None)):
        assert plan(Wanted(**WATCH, path_on_datastore=given), NOW).path_on_datastore == meant
    assert plan(Wanted(schedule="On_blob_change", datastore_name="d", batch_seconds=30), NOW).parameters == {
        BATCH_SECONDS: "30"
    }


def test_an_instant_is_never_in_the_past():
    made = plan(Wanted(schedule="Month", interval=1, time_zone="Europe/Paris"), NOW).recurrence
    for hours in range(0, 24 * 400, 7):
        now = NOW + timedelta(hours=hours)
        assert all(now < instant <= now + timedelta(days=32) for instant in next_instants(made, 1, now))
