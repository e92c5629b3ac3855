"""MLflow's filters, orders, parameters, datasets and models."""

from __future__ import annotations

import json
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
    sort,
    status_word,
    with_datasets,
    with_model,
    with_parameters,
)

FACTS = Facts(
    metrics={"rmse": 0.25, "val loss": 1.5},
    params={"lr": "0.1"},
    tags={"team": "vision", "mlflow.source.name": "a.py"},
    datasets=[
        {"name": "train", "digest": "1f", "context": "training"},
        {"name": "check", "digest": "2f", "context": ""},
    ],
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
        ("dataset.name = 'check'", True),
        ("datasets.digest IN ('3f', '1f') and dataset.context LIKE 'tr%'", True),
        ("dataset.name = 'test'", False),
        ("dataset.name < 1", False),
    ],
)
def test_a_filter_lets_through_what_it_says(text, holds):
    assert parse_filter(text)(FACTS) is holds


@pytest.mark.parametrize(
    "text",
    ["metrics.rmse", "metrics.rmse < 1 or params.x = 'a'", "cells.x = 1", "metrics.rmse < abc", "and", "a = 'b'c"]
    + [f"status {end}" for end in ("IN ()", "IN ('a' 'b')", "IN 'a'", "IN (a)", "IN ('a'", "= ('a')", "INTO ('a')")]
    + ["metrics.rmse IN ('1')", "dataset.schema = 'a'"],
)
def test_a_filter_that_is_none_is_refused(text):
    with pytest.raises(Invalid):
        parse_filter(text)


@pytest.mark.parametrize(
    ("clauses", "order"),
    [
        ([], "abc"),
        (["metrics.rmse"], "bac"),
        (["metrics.rmse DESC"], "abc"),
        (["metrics.`val loss` asc"], "acb"),
        (["tags.mlflow.source.name"], "cba"),
        (["attributes.end_time"], "abc"),
        (["start_time desc", "metrics.rmse"], "bac"),
    ],
)
def test_runs_are_sorted_and_those_without_a_value_come_last(clauses, order):
    other = replace(FACTS, metrics={"rmse": 0.125}, tags={"mlflow.source.name": "B.py"})
    last = replace(FACTS, metrics={"val loss": 2.0}, tags={"mlflow.source.name": "A.py"})
    found = [("a", FACTS), ("b", other), ("c", last)]
    assert "".join(name for name, _ in sort(found, clauses)) == order


def test_runs_are_not_sorted_by_datasets():
    with pytest.raises(Invalid, match="several datasets"):
        sort([("a", FACTS)], ["dataset.name"])


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
    told = r"Unknown attribute 'rmse' of runs; expected one of run_id, .*metrics\.rmse"
    with pytest.raises(Invalid, match=told):
        parse_filter("rmse < 1")
    with pytest.raises(Invalid, match=told):
        sort([("a", FACTS)], ["attributes.rmse DESC"])


def test_a_parameter_may_be_repeated_and_not_changed():
    assert with_parameters(RUN, {"lr": "0.1", "layers": "3"}).params == {"lr": "0.1", "layers": "3"}
    with pytest.raises(Invalid, match=r"cannot become '0\.2'"):
        with_parameters(RUN, {"lr": "0.2"})


@pytest.mark.parametrize("given", [{"k" * 251: "v"}, {"k": "v" * 6001}])
def test_a_parameter_has_limits(given):
    with pytest.raises(Invalid):
        with_parameters(RUN, given)


def test_the_first_of_equal_datasets_stays():
    one, again, other = (
        {"name": "a", "digest": digest, "tags": {"n": n}} for digest, n in (("1", 1), ("1", 2), ("2", 3))
    )
    assert with_datasets(with_datasets(RUN, [one]), [again, other]).datasets == [one, other]


def test_models_are_listed_in_a_tag():
    run = with_model(with_model(RUN, {"artifact_path": "a"}), {"artifact_path": "b"})
    assert json.loads(run.tags["mlflow.log-model.history"]) == [{"artifact_path": "a"}, {"artifact_path": "b"}]
    for broken in ("{", "1"):
        with pytest.raises(Invalid, match="is not a JSON list"):
            with_model(replace(RUN, tags={"mlflow.log-model.history": broken}), {})


def test_a_batch_has_a_limit():
    check_batch([0] * 600, [0] * 400)
    with pytest.raises(Invalid):
        check_batch([0] * 600, [0] * 401)


def test_every_status_has_a_word_and_words_of_mlflow_are_read():
    assert all(status_word(status) for status in RunStatus)
    assert read_status("KILLED") is RunStatus.CANCELED
    with pytest.raises(Invalid, match="FINISHED"):
        read_status("Done")
