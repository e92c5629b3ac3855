"""Schedules fire when they should: intervals, weeks, month ends, summer time."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from azureml_wrapper.recurrence import Frequency, Recurrence, find_zone, localize, windows_zones

PARIS = ZoneInfo("Europe/Paris")


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


def fires(count, after, frequency, interval=1, **options):
    recurrence = Recurrence(frequency=Frequency(frequency), interval=interval, **options)
    return list(itertools.islice(recurrence.after(after), count))


def test_minutes_count_from_the_start():
    found = fires(3, utc(2026, 1, 1, 12, 7), "Minute", 15, start=datetime(2026, 1, 1, 12, 0))
    assert found == [utc(2026, 1, 1, 12, 15), utc(2026, 1, 1, 12, 30), utc(2026, 1, 1, 12, 45)]


def test_a_start_in_the_future_is_the_first_instant():
    found = fires(2, utc(2026, 1, 1), "Hour", 6, start=datetime(2026, 1, 3, 10))
    assert found == [utc(2026, 1, 3, 10), utc(2026, 1, 3, 16)]


def test_an_instant_itself_is_not_after_itself():
    found = fires(1, utc(2026, 1, 1, 12, 15), "Minute", 15, start=datetime(2026, 1, 1, 12, 0))
    assert found == [utc(2026, 1, 1, 12, 30)]


def test_a_year_of_every_second_week_has_26_instants_14_days_apart():
    start = datetime(2026, 1, 5, 9)
    found = fires(26, utc(2026, 1, 1), "Week", 2, start=start)
    assert found[0] == utc(2026, 1, 5, 9)
    assert {later - earlier for earlier, later in itertools.pairwise(found)} == {timedelta(days=14)}
    assert found[-1].year == 2026
    assert fires(1, found[-1], "Week", 2, start=start)[0].year == 2027


def test_week_days_of_every_second_week():
    found = fires(
        5,
        utc(2026, 1, 1),
        "Week",
        2,
        start=datetime(2026, 1, 7, 8),
        week_days=(0, 2),
        hours=(18,),
        minutes=(30,),
    )
    assert found == [
        utc(2026, 1, 7, 18, 30),
        utc(2026, 1, 19, 18, 30),
        utc(2026, 1, 21, 18, 30),
        utc(2026, 2, 2, 18, 30),
        utc(2026, 2, 4, 18, 30),
    ]


def test_a_start_that_matches_given_times_does_not_fire_itself():
    found = fires(1, utc(2026, 1, 1), "Day", start=datetime(2026, 1, 2, 6), hours=(6,), minutes=(0,))
    assert found == [utc(2026, 1, 3, 6)]


def test_hours_and_minutes_are_combined():
    found = fires(4, utc(2026, 1, 1), "Day", start=datetime(2026, 1, 1), hours=(10, 12), minutes=(30, 0))
    assert [(moment.hour, moment.minute) for moment in found] == [(10, 0), (10, 30), (12, 0), (12, 30)]


def test_hours_alone_mean_the_full_hour():
    found = fires(1, utc(2026, 1, 1), "Day", start=datetime(2026, 1, 1, 0, 45), hours=(10,))
    assert found == [utc(2026, 1, 1, 10, 0)]


def test_month_ends_are_kept_without_drifting():
    found = fires(5, utc(2026, 1, 1), "Month", start=datetime(2026, 1, 31, 9))
    assert [moment.day for moment in found] == [31, 28, 31, 30, 31]


def test_months_skip_by_their_interval_across_years():
    found = fires(3, utc(2026, 6, 1), "Month", 5, start=datetime(2026, 1, 15))
    assert [(moment.year, moment.month) for moment in found] == [(2026, 6), (2026, 11), (2027, 4)]


def test_a_daily_wall_clock_time_stays_across_summer_time():
    found = fires(3, utc(2026, 3, 27, 12), "Day", start=datetime(2026, 1, 1, 9), zone=PARIS)
    assert found == [utc(2026, 3, 28, 8), utc(2026, 3, 29, 7), utc(2026, 3, 30, 7)]


def test_a_time_that_summer_time_skips_fires_after_the_gap():
    found = fires(2, utc(2026, 3, 28, 12), "Day", start=datetime(2026, 1, 1, 2, 30), zone=PARIS)
    assert found == [utc(2026, 3, 29, 1, 30), utc(2026, 3, 30, 0, 30)]


def test_a_time_that_comes_twice_fires_once():
    found = fires(2, utc(2026, 10, 24, 12), "Day", start=datetime(2026, 1, 1, 2, 30), zone=PARIS)
    assert found == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


def test_skipped_times_that_meet_others_fire_once():
    found = fires(3, utc(2026, 3, 28, 12), "Day", start=datetime(2026, 1, 1), hours=(2, 3), minutes=(30,), zone=PARIS)
    assert len(set(found)) == 3
    assert found == sorted(found)


def test_hours_count_real_time_across_summer_time():
    found = fires(3, utc(2026, 3, 28, 23, 30), "Hour", start=datetime(2026, 3, 28, 0), zone=PARIS)
    assert found == [utc(2026, 3, 29, 0), utc(2026, 3, 29, 1), utc(2026, 3, 29, 2)]


def test_years_after_the_start_the_next_instant_is_found_at_once():
    recurrence = Recurrence(frequency=Frequency.MINUTE, interval=1, start=datetime(1990, 1, 1))
    assert next(recurrence.after(utc(2026, 1, 1, 0, 0, 30))) == utc(2026, 1, 1, 0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0}, "interval must be an integer ≥ 1; got 0"),
        ({"frequency": "Hour", "hours": (1,)}, "hours and minutes require Day or Week"),
        ({"frequency": "Day", "week_days": (1,)}, "week_days require Week"),
        ({"frequency": "Day", "hours": (24,)}, "hours must be 0 to 23; got 24"),
        ({"frequency": "Day", "minutes": (60,)}, "minutes must be 0 to 59; got 60"),
        ({"frequency": "Week", "week_days": (7,)}, "week_days must be 0 to 6; got 7"),
        ({"start": utc(2026, 1, 1)}, "has an offset"),
    ],
)
def test_what_the_sdk_refuses_is_refused(options, message):
    fields = {"frequency": "Minute", "interval": 1, "start": datetime(2026, 1, 1), **options}
    with pytest.raises(ValueError, match=message):
        Recurrence(**{**fields, "frequency": Frequency(fields["frequency"])})


def test_both_kinds_of_zone_names_are_known():
    summer = datetime(2026, 7, 1, 12)
    assert localize(summer, find_zone("Romance Standard Time")) == localize(summer, find_zone("Europe/Paris"))
    assert find_zone(None) == find_zone("UTC") == timezone.utc


def test_a_retired_windows_name_is_still_known():
    assert find_zone("Kamchatka Standard Time")
    assert "Mid-Atlantic Standard Time" in windows_zones()


def test_an_unknown_zone_is_named_with_near_ones():
    with pytest.raises(ValueError, match=r"Unknown time_zone 'Europe/Pariss'\. Did you mean 'Europe/Paris'"):
        find_zone("Europe/Pariss")
