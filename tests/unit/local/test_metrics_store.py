"""Metrics: how series merge, and how points are stored."""

from __future__ import annotations

import math

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.metrics import Point, Series, check_series, merge, storable, with_numbers
from azureml_wrapper.local.store import metrics
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.metrics import MetricStore
from tests.work import instructions

SCALAR, LIST, TABLE = "azureml.v1.scalar", "azureml.v1.list", "azureml.v1.table"


def series(name="m", kind=SCALAR, **columns):
    return Series(name=name, kind=kind, columns=columns or {name: "int"})


def points(*values, at="2026-01-01T00:00:00.000000+00:00", name="m"):
    return [Point(point_id=f"{at}{value}", created=at, data={name: value}) for value in values]


@pytest.mark.parametrize(
    ("cells", "kind", "stored"),
    [
        ([1, 2], "int", [1, 2]),
        (["np.int64(1)", 2], "int", [1, 2]),
        (["np.int64(1)", 2.5], "double", [1, 2.5]),
        (["np.longdouble('0.5')", None], "double", [0.5, None]),
        (["np.float128(inf)", 1], "double", ["Infinity", 1]),
        (["np.int64(1)", "x"], "string", [1, "x"]),
        ([2**63, 1], "double", [float(2**63), 1]),
    ],
)
def test_numbers_in_unusual_forms_become_numbers(cells, kind, stored):
    declared = "string" if any(isinstance(cell, str) for cell in cells) else "int"
    found, numbered = with_numbers(series(m=declared), points(*cells))
    assert (found.columns, [point.data["m"] for point in numbered]) == ({"m": kind}, stored)


@pytest.mark.parametrize(
    "text", ["np.int64", "np.int64()", "np.int64(1) ", "np.array(1)", "np.int64(1e)", "3", "np.bool(1)"]
)
def test_other_text_stays_text(text):
    found, numbered = with_numbers(series(m="string"), points(text))
    assert (found.columns, numbered[0].data) == ({"m": "string"}, {"m": text})


def test_a_number_beyond_doubles_is_refused():
    with pytest.raises(Invalid, match="the metric 'm' is too large"):
        with_numbers(series(), points(10**400))


@pytest.fixture
def store():
    return MetricStore(Database(":memory:"))


def values(store, run_id="r", name="m"):
    return [point.data[name] for point in store.points("w", run_id, name)[0]]


@pytest.mark.parametrize(
    ("before", "after", "merged"),
    [
        ("int", "int", "int"),
        ("int", "double", "double"),
        ("double", "int", "double"),
        ("double", "string", "string"),
        ("none", "double", "string"),
        (None, "double", "string"),
    ],
)
def test_types_of_columns_merge_into_one_that_the_sdk_can_read(before, after, merged):
    first = series(c=before) if before else series(other="int")
    assert merge(first, series(c=after)).columns["c"] == merged


def test_a_scalar_and_a_list_may_share_a_name_and_a_table_may_not():
    assert merge(series(kind=SCALAR), series(kind=LIST)).kind == SCALAR
    with pytest.raises(Conflict, match=r"azureml\.v1\.scalar"):
        merge(series(kind=SCALAR), series(kind=TABLE))


@pytest.mark.parametrize(
    ("value", "stored"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (1.5, 1.5), ("x", "x"), (None, None)],
)
def test_numbers_that_json_does_not_know_are_words(value, stored):
    assert storable(value) == stored


def test_limits_are_those_of_azure():
    check_series(series(), 250)
    with pytest.raises(Invalid, match="Limit=250, Size=251"):
        check_series(series(), 251)
    with pytest.raises(Invalid, match="Limit=255, Size=256"):
        check_series(series(name="n" * 256), 1)
    with pytest.raises(Invalid, match="needs a name"):
        check_series(Series(name="", kind=SCALAR), 1)


def test_points_come_back_in_the_order_of_their_times(store):
    store.add("w", "r", series(), points(3, 4, at="2026-01-02T00:00:00.000000+00:00"))
    store.add("w", "r", series(), points(1, 2))
    assert values(store) == [1, 2, 3, 4]


def test_a_point_that_comes_twice_counts_once(store):
    for _ in range(2):
        store.add("w", "r", series(), points(1, 2))
    assert values(store) == [1, 2]


def test_a_batch_that_fails_leaves_nothing(store):
    store.add("w", "r", series(), points(1))
    with pytest.raises(Conflict):
        store.add("w", "r", series(kind=TABLE), points(2))
    assert values(store) == [1]


def test_runs_and_workspaces_do_not_mix(store):
    store.add("w", "r", series(), points(1))
    store.add("w", "other", series(), points(2))
    store.add("v", "r", series(), points(3))
    assert values(store) == [1]
    assert values(store, "other") == [2]


def test_series_are_listed_in_the_order_of_their_first_point(store):
    for name in ("z", "a"):
        store.add("w", "r", series(name), points(1, name=name))
    assert [found.name for found in store.series("w", "r")] == ["z", "a"]


def test_a_missing_metric_is_an_error(store):
    with pytest.raises(NotFound, match="The metric 'x' of run r was not found"):
        store.get("w", "r", "x")


def test_pages_hold_every_point_once(store, monkeypatch):
    monkeypatch.setattr(metrics, "PAGE_SIZE", 3)
    store.add("w", "r", series(), points(*range(10)))
    seen, after = [], ("", 0)
    while after is not None:
        page, after = store.points("w", "r", "m", after=after)
        seen += [point.data["m"] for point in page]
    assert seen == list(range(10))


def test_times_choose_points(store):
    for day in range(1, 5):
        store.add("w", "r", series(), points(day, at=f"2026-01-0{day}T00:00:00.000000+00:00"))
    found, _ = store.points("w", "r", "m", since="2026-01-02", until="2026-01-03~")
    assert [point.data["m"] for point in found] == [2, 3]


def statements(database):
    """What the database is told from now on, but for the rows themselves."""
    told: list[str] = []
    database._connection.set_trace_callback(lambda sql: told.append(sql) if "metric_points" not in sql else None)
    return told


def test_a_request_of_many_points_is_one_transaction():
    database = Database(":memory:")
    store = MetricStore(database)
    told = statements(database)
    counts = []
    for count in (1, 45):
        told.clear()
        at = f"2026-01-01T00:00:00.{count:06d}+00:00"
        assert store.add_all("w", "r", [(series(m="double"), points(n + 0.5, at=at)) for n in range(count)]) == (
            [None] * count
        )
        counts.append(len(told))
    assert counts[0] == counts[1]
    assert values(store) == [0.5, *(n + 0.5 for n in range(45))]


def test_what_cannot_be_added_keeps_nothing_else_out():
    store = MetricStore(Database(":memory:"))
    heard = []
    store.listen(lambda *metric: heard.append(metric))
    first, refused, last = store.add_all(
        "w",
        "r",
        [
            (series(), points(1)),
            (series(kind=TABLE), points(2)),
            (series(m="double"), points(2.5, at="2026-01-02T00:00:00.000000+00:00")),
        ],
    )
    assert (first, last) == (None, None)
    assert isinstance(refused, Conflict)
    assert values(store) == [1, 2.5]
    assert store.get("w", "r", "m").columns == {"m": "double"}
    assert heard == [("w", "r", "m")]


def test_a_batch_and_a_page_cost_the_same_however_long_the_series_is(monkeypatch):
    monkeypatch.setattr(metrics, "PAGE_SIZE", 250)
    database = Database(":memory:")
    store = MetricStore(database)

    def cost(action):
        return instructions(database, action)

    def batch(number):
        return points(*range(250), at=f"2026-01-01T00:00:00.{number:06d}+00:00")

    writes = [cost(lambda: store.add("w", "r", series(), batch(number))) for number in range(40)]  # noqa: B023
    reads, pages = [], [([], ("", 0))]
    while pages[-1][1]:
        reads.append(cost(lambda: pages.append(store.points("w", "r", "m", after=pages[-1][1]))))
    assert len(reads) == 40
    assert max(writes[1:]) < 1.5 * writes[1]
    assert max(reads) < 1.5 * reads[0]
