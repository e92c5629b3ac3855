"""MLflow's filters, orders and parameters."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.tracking import (
    EXPERIMENT_ATTRIBUTES,
    Facts,
    check_batch,
    parse_filter,
    read_status,
    sort_key,
    status_word,
    with_parameters,
)

FACTS = Facts(
    metrics={"rmse": 0.25, "val loss": 1.5},
    params={"lr": "0.1"},
    tags={"team": "vision"},
    attributes={"status": "FINISHED", "run_name": "by hand", "start_time": 100.0},
)
RUN = Run(
    workspace_id="w",
    run_id="r",
    experiment="e",
    experiment_id="i",
    created=datetime(2026, 1, 1, tzinfo=timezone.utc),
    params={"lr": "0.1"},
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (None, True),
        ("", True),
        ("metrics.rmse < 0.5", True),
        ("metrics.rmse >= 0.5", False),
        ("metrics.`val loss` = 1.5", True),
        ('metrics."val loss" != 1.5', False),
        ("params.lr = '0.1' and tags.team = \"vision\"", True),
        ("params.lr = '0.1' AND tags.team = 'text'", False),
        ("attributes.status = 'FINISHED'", True),
        ("status = 'FAILED'", False),
        ("run_name LIKE 'by %'", True),
        ("attributes.run_name ILIKE 'BY H_ND'", True),
        ("start_time > 99", True),
        ("metrics.unknown < 1", False),
        ("params.lr > 0.05", False),
        ("status IN ('FAILED', 'FINISHED')", True),
        ("attributes.status in ('FAILED')", False),
        ("status NOT  IN ('FAILED', \"KILLED\") and tags.team IN ('a', 'vision')", True),
        ("attributes.run_name IN ('by hand')", True),
        ("run_id IN ('a')", False),
        ("start_time IN ('100')", False),
    ],
)
def test_a_filter_lets_through_what_it_says(text, holds):
    assert parse_filter(text)(FACTS) is holds


@pytest.mark.parametrize(
    "text",
    ["metrics.rmse", "metrics.rmse < 1 or params.x = 'a'", "cells.x = 1", "metrics.rmse < abc", "and", "a = 'b'c"]
    + [f"status {end}" for end in ("IN ()", "IN ('a' 'b')", "IN 'a'", "IN (a)", "IN ('a'", "= ('a')", "INTO ('a')")]
    + ["metrics.rmse IN ('1')"],
)
def test_a_filter_that_is_none_is_refused(text):
    with pytest.raises(Invalid):
        parse_filter(text)


@pytest.mark.parametrize(
    ("clause", "value", "descending"),
    [
        ("metrics.rmse", 0.25, False),
        ("metrics.rmse DESC", 0.25, True),
        ("metrics.`val loss` asc", 1.5, False),
        ("start_time desc", 100.0, True),
        ("attributes.end_time", None, False),
    ],
)
def test_an_order_names_a_field_and_a_direction(clause, value, descending):
    read, is_descending = sort_key(clause)
    assert (read(FACTS), is_descending) == (value, descending)


@pytest.mark.parametrize(
    ("text", "holds"),
    [("name LIKE 'a%'", True), ("attributes.creation_time > 200", False), ("tags.team = 'vision'", True)],
)
def test_experiments_are_filtered_by_their_own_attributes(text, holds):
    facts = replace(FACTS, attributes={"name": "abc", "creation_time": 100.0})
    assert parse_filter(text, EXPERIMENT_ATTRIBUTES)(facts) is holds


@pytest.mark.parametrize(("text", "field"), [("status = 'x'", "status"), ("metrics.rmse < 1", "metrics.rmse")])
def test_what_experiments_do_not_have_is_refused(text, field):
    with pytest.raises(Invalid, match=f"takes name, .* and tags, got '{field}'"):
        parse_filter(text, EXPERIMENT_ATTRIBUTES)


def test_an_attribute_that_runs_do_not_have_is_refused_with_those_that_there_are():
    for read, given in ((parse_filter, "rmse < 1"), (sort_key, "attributes.rmse DESC")):
        with pytest.raises(
            Invalid, match=r"Unknown attribute 'rmse' of runs; expected one of run_id, .*metrics\.rmse"
        ):
            read(given)


def test_a_parameter_may_be_repeated_and_not_changed():
    assert with_parameters(RUN, {"lr": "0.1", "layers": "3"}).params == {"lr": "0.1", "layers": "3"}
    with pytest.raises(Invalid, match=r"cannot become '0\.2'"):
        with_parameters(RUN, {"lr": "0.2"})


@pytest.mark.parametrize("given", [{"k" * 251: "v"}, {"k": "v" * 6001}])
def test_a_parameter_has_limits(given):
    with pytest.raises(Invalid):
        with_parameters(RUN, given)


def test_a_batch_has_a_limit():
    check_batch([0] * 600, [0] * 400)
    with pytest.raises(Invalid):
        check_batch([0] * 600, [0] * 401)


def test_every_status_has_a_word_and_words_of_mlflow_are_read():
    assert all(status_word(status) for status in RunStatus)
    assert read_status("KILLED") is RunStatus.CANCELED
    with pytest.raises(Invalid, match="FINISHED"):
        read_status("Done")
