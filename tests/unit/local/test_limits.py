"""Numbers and times that clients send: what the database and the calendar have no room for is refused."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.clock import parse_http_time
from azureml_wrapper.local.domain.computes import parse_duration
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import read_integer
from azureml_wrapper.local.domain.metrics import Point, Series, with_numbers
from azureml_wrapper.local.http.messages import Request
from azureml_wrapper.local.services.blob import conditions, wire
from azureml_wrapper.local.services.mlflow.wire import read_point
from azureml_wrapper.local.services.pipelines.publishedwire import _wall_clock
from azureml_wrapper.local.services.pipelines.steptypes import read_number

LONG = "9" * 5000
TOO_LARGE = (2**63, -(2**63) - 1, 1e308, float("inf"), float("nan"), "9" * 30, LONG, "x", "", "1.5", [], {}, None)


@pytest.mark.parametrize(("value", "number"), [(0, 0), ("7", 7), (" -7 ", -7), (3.9, 3), (2**63 - 1, 2**63 - 1)])
def test_an_integer_is_read_from_a_number_or_its_digits(value, number):
    assert read_integer(value, "step") == number


@pytest.mark.parametrize("value", TOO_LARGE, ids=lambda value: str(value)[:12])
def test_what_is_no_integer_of_64_bits_is_refused(value):
    with pytest.raises(Invalid, match="Invalid step"):
        read_integer(value, "step")


@pytest.mark.parametrize("step", [10**30, "9" * 30, 1e308, "x"])
def test_a_step_of_a_metric_is_an_integer(step):
    with pytest.raises(Invalid, match="step of metric 'm'"):
        read_point({"value": 1, "step": step}, "m", "now", "id")


@pytest.mark.parametrize("value", [10**400, "x", [1]])
def test_a_value_of_a_metric_is_a_double(value):
    with pytest.raises(Invalid, match="expected a number"):
        read_point({"value": value}, "m", "now", "id")


@pytest.mark.parametrize("given", [10**30, "9" * 30, LONG, "many"])
def test_a_number_of_nodes_is_an_integer(given):
    with pytest.raises(Invalid, match="number of nodes"):
        read_number(given, 1)


@pytest.mark.parametrize("text", [f"bytes={LONG}-", f"bytes=0-{LONG}", "bytes=\u0663-"])
def test_a_range_of_endless_digits_is_refused(text):
    with pytest.raises(Invalid, match="Invalid range"):
        wire.byte_range(Request(method="GET", path="/c/n", headers={"range": text}), 10)


@pytest.mark.parametrize("text", [f"PT{LONG}S", "P99999999999999999D"])
def test_a_duration_of_endless_digits_is_refused(text):
    with pytest.raises(Invalid, match="nodeIdleTimeBeforeScaleDown"):
        parse_duration(text)


def test_a_number_of_numpy_may_have_any_length():
    point = Point(point_id="i", created="now", step=0, data={"m": f"np.int64({LONG})"})
    _, [stored] = with_numbers(Series(name="m", kind="azureml.v1.scalar", columns={"m": "String"}), [point])
    assert stored.data["m"] in ("Infinity", float("inf"))


def test_a_time_of_http_is_in_utc():
    expected = datetime(2026, 12, 1, 8, tzinfo=timezone.utc)
    for text in ("Tue, 01 Dec 2026 08:00:00 GMT", "Tue, 01 Dec 2026 09:00:00 +0100", "Tue, 01 Dec 2026 08:00:00"):
        assert parse_http_time(text) == expected


BAD_TIMES = ("", "x", "Tue", "Tue, 01 Dec 2026 08:00:00 +9999", "Fri, 31 Dec 9999 23:59:59 -1200")
BAD_TIMES += ("Tue, 01 Dec 2026 08:00:00 +99999999999999999999", "Tue, 99 Dec 99999 99:99:99 GMT")


@pytest.mark.parametrize("text", BAD_TIMES)
def test_a_time_that_is_none_of_http_is_refused(text):
    with pytest.raises(ValueError, match=r"^|is not a time"):
        parse_http_time(text)
    headers = {"if-modified-since": text or "-"}
    with pytest.raises(Invalid, match="Invalid date"):
        conditions._time(Request(method="GET", path="/c/n", headers=headers), "if-modified-since")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "soon"])
def test_the_start_of_a_schedule_is_a_time_of_its_zone(text):
    with pytest.raises(ValueError, match="StartTime must be a time"):
        _wall_clock(text, timezone.utc)
