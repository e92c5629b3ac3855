"""Filters as the SDK writes them."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    Comparison,
    Group,
    Order,
    parse_filter,
    parse_order,
)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_text_is_no_filter(text):
    assert parse_filter(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Status eq Completed", Comparison("status", "eq", "Completed")),
        ("(Status eq Completed)", Comparison("status", "eq", "Completed")),
        ("RunId ne 0b2f-1", Comparison("runid", "ne", "0b2f-1")),
        ("ParentRunId eq null", Comparison("parentrunid", "eq", None)),
        ('Target eq "null"', Comparison("target", "eq", "null")),
        ("Name eq 'it''s'", Comparison("name", "eq", "it's")),
        ('(Tags/k eq "")', Comparison("tags", "eq", "", "k")),
        ('(Tags/a key eq "a value")', Comparison("tags", "eq", "a value", "a key")),
        ('(Tags/k eq "say "hi" (or bye)")', Comparison("tags", "eq", 'say "hi" (or bye)', "k")),
        ('(Tags/a (b) and c eq "v")', Comparison("tags", "eq", "v", "a (b) and c")),
        ('(Tags/k eq "two\nlines")', Comparison("tags", "eq", "two\nlines", "k")),
        ("(Properties/azureml.runsource eq x)", Comparison("properties", "eq", "x", "azureml.runsource")),
        (
            "(CreatedUtc ge 2026-01-02 03:04:05+00:00)",
            Comparison("createdutc", "ge", "2026-01-02 03:04:05+00:00"),
        ),
        ("(RunTypeV2/Orchestrator eq External)", Comparison("runtypev2/orchestrator", "eq", "External")),
        ("(RunTypeV2/Traits/fast ne null)", Comparison("runtypev2/traits", "ne", None, "fast")),
    ],
)
def test_a_comparison_is_read(text, expected):
    assert parse_filter(text) == expected


def test_and_binds_tighter_than_or():
    a, b, c = (Comparison(name, "eq", "1") for name in "abc")
    assert parse_filter("a eq 1 or b eq 1 and c eq 1") == Group("or", (a, Group("and", (b, c))))
    assert parse_filter("(a eq 1 or b eq 1) and c eq 1") == Group("and", (Group("or", (a, b)), c))


def test_the_sdks_own_filter_of_a_listing_is_read():
    text = (
        "((RunType eq mine or Properties/azureml.runsource eq mine) and "
        '(Tags/stage ne null or Tags/stage eq null) and (Tags/a eq "b") and (ParentRunId eq null))'
    )
    found = parse_filter(text)
    assert isinstance(found, Group)
    assert [type(part).__name__ for part in found.parts] == ["Group", "Group", "Comparison", "Comparison"]


@pytest.mark.parametrize(
    "text",
    ["Status", "Status eq", "(Status eq x", "Status eq x)", "Status like x", "and", "a eq 1 or", "a eq 1 b eq 2 )"],
)
def test_what_cannot_be_read_is_refused_with_its_text(text):
    with pytest.raises(Invalid, match=r"Invalid (filter|order)"):
        parse_filter(text)


def test_filters_are_bounded():
    with pytest.raises(Invalid, match="comparisons"):
        parse_filter(" or ".join(["a eq 1"] * (MAX_COMPARISONS + 1)))
    with pytest.raises(Invalid, match="nested"):
        parse_filter("(" * (MAX_DEPTH + 1) + "a eq 1" + ")" * (MAX_DEPTH + 1))
    assert parse_filter(" or ".join(["a eq 1"] * MAX_COMPARISONS)) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Order("fallback")),
        ("StartTimeUtc desc", Order("starttimeutc", True)),
        ("RunId asc", Order("runid")),
        ("RunId", Order("runid")),
    ],
)
def test_orders_are_read(text, expected):
    assert parse_order(text, Order("fallback")) == expected


@pytest.mark.parametrize("text", ["RunId sideways", "a; drop table runs", "RunId asc, Status"])
def test_an_order_that_cannot_be_read_is_refused(text):
    with pytest.raises(Invalid, match=r"Invalid (filter|order)"):
        parse_order(text, Order("x"))
