"""What the page says: times in words, bars, curves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.metrics import Point, Series
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store import metrics as stored
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.studio import views
from azureml_wrapper.local.studio.views import html_response

START = datetime(2026, 1, 31, 23, 59, 50, tzinfo=timezone.utc)


def make(run_id="r", *, after=0.0, lasts=None, **fields):
    started = START + timedelta(seconds=after)
    ended = None if lasts is None else started + timedelta(seconds=lasts)
    given = {"started": started, "ended": ended, "status": RunStatus.RUNNING, **fields}
    return Run(workspace_id="w", run_id=run_id, experiment="e", experiment_id="1", created=started, **given)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0421, "0.04 s"),
        (12.34, "12.3 s"),
        (59.9, "59.9 s"),
        (245, "4 min 05 s"),
        (7620, "2 h 07 min"),
        (90000, "25 h 00 min"),
        (-3, "0.00 s"),
    ],
)
def test_a_duration_is_told_in_words(seconds, words):
    assert views.words(timedelta(seconds=seconds)) == words


def test_a_run_that_has_not_started_has_no_duration():
    assert views.row(make(started=None), START).duration == ""


def test_the_duration_of_a_running_run_lasts_until_now():
    assert views.row(make(), START + timedelta(seconds=30)).duration == "30.0 s"


def test_bars_lie_on_the_timeline_where_the_steps_ran():
    first, second, waiting = views.timeline(
        [make("a", lasts=10), make("b", after=10, lasts=10), make("c", after=20, lasts=0, started=None)],
        START + timedelta(seconds=20),
    )
    assert first.bar == (0.0, 150.0)
    assert second.bar == (150.0, 150.0)
    assert waiting.bar is None


def test_a_step_of_no_length_has_a_bar_that_can_be_seen():
    _, short = views.timeline([make("a", lasts=1000), make("b", lasts=0)], START)
    assert short.bar == (0.0, 2.0)


def test_no_steps_are_no_timeline():
    assert views.timeline([], START) == []


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "r"),
        ({"display_name": "r"}, "r"),
        ({"display_name": "Nightly"}, "Nightly"),
        ({"name": "run_123>part", "display_name": "r"}, "part"),
        ({"name": "train"}, "train"),
        ({"name": "run_r"}, "r"),
    ],
)
def test_a_run_is_called_by_the_name_that_somebody_gave_it(fields, title):
    assert views.row(make(**fields), START).title == title


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, ""),
        ({"error": {"code": "UserError", "message": "No such file"}}, "No such file"),
        ({"message": "No such file"}, "No such file"),
        ({"error": {"code": "Odd"}}, "{'error': {'code': 'Odd'}}"),
    ],
)
def test_an_error_of_any_form_is_told(error, text):
    assert views.row(make(error=error), START).error == text


def test_a_curve_goes_from_left_to_right_and_from_low_to_high():
    points = [tuple(map(float, point.split(","))) for point in views.curve([1, 2, 3.0]).split()]
    assert points == [(0.0, 26.0), (150.0, 14.0), (300.0, 2.0)]


@pytest.mark.parametrize("values", [[], [1.0], ["a", "b"], [1.0, "NaN"]])
def test_what_is_no_series_of_numbers_has_no_curve(values):
    assert views.curve(values) is None


def test_the_last_of_many_values_is_shown_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(stored, "PAGE_SIZE", 3)
    store = stored.MetricStore(Database(":memory:"))
    for value in range(10):
        point = Point(point_id=str(value), created=f"2026-01-01T00:00:{value:02d}.000000+00:00", data={"m": value})
        store.add("w", "r", Series(name="m", kind="azureml.v1.scalar", columns={"m": "int"}), [point])
    monkeypatch.setattr(views, "POINTS_DRAWN", 4)
    (metric,), has_more = views.metrics(store, make())
    assert (metric.value, metric.count, len(metric.curve.split()), has_more) == ("9", "10", 4, False)
    monkeypatch.setattr(views, "POINTS_COUNTED", 9)
    monkeypatch.setattr(views, "METRICS_SHOWN", 0)
    assert views.metrics(store, make()) == ([], True)
    monkeypatch.setattr(views, "METRICS_SHOWN", 1)
    assert views.metrics(store, make())[0][0].count == "9+"


def test_equal_values_are_a_flat_curve():
    assert views.curve([5, 5]) == "0.0,26.0 300.0,26.0"


def test_links_carry_the_workspace_and_hold_any_name():
    workspace = Workspace(
        workspace_id="w", subscription="s", resource_group="my group", name="ws", location="l", created=START
    )
    addresses = Addresses(port=1, key="k")
    links, base = views.Links(addresses, workspace), f"/studio/{addresses.open_key}"
    query = "?wsid=/subscriptions/s/resourcegroups/my%20group/workspaces/ws"
    assert links.run("a/b?c") == f"{base}/runs/a%2Fb%3Fc{query}"
    assert links.file("r", "outputs/a b.png") == f"{base}/runs/r/files/outputs/a%20b.png{query}"


def test_a_template_escapes_what_it_shows_and_knows_every_name():
    fault = type("Fault", (), {"status": 404, "message": "<i>x</i>"})()
    text = html_response("error.html", 404, fault=fault).body.decode()
    assert "&lt;i&gt;x&lt;/i&gt;" in text
    assert "<i>" not in text
