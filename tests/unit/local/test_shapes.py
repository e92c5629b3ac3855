"""JSON inside of what clients send: in tokens, in tags, in texts of a graph and of a dataset."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.datasets import dataflow_of
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import Order
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.shapes import read_token, write_token
from azureml_wrapper.local.domain.tracking import MODELS_TAG, with_model
from azureml_wrapper.local.services.metric import wire as metric
from azureml_wrapper.local.services.mlflow import wire as mlflow
from azureml_wrapper.local.services.pipelines.steptypes import _read_json
from azureml_wrapper.local.services.runconfig import read_blocks
from azureml_wrapper.local.store.query import Fields, Query, select

BROKEN = (
    "{",
    '{"a": NaN}',
    '["x", 1e999]',
    "[" * 20_000,
    '{"a":' * 300 + "1" + "}" * 300,
    r'["\ud800", 1]',
    "[1, 99999999999999999999]",
)
NOT_A_PLACE = (*BROKEN, "5", "[]", '["x"]', '["x", 1.5]', "[{}, 1]", '["x", 1, 2]', '["x", "1"]')


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_page(text: str) -> None:
    select(Query(order=Order("a"), after=text), Fields(columns={"a": "a"}), "runs", [])


@pytest.mark.parametrize("read", [mlflow.read_place, metric.read_place, read_page])
@pytest.mark.parametrize("text", NOT_A_PLACE, ids=lambda text: text[:12])
def test_a_token_of_a_page_that_is_none_is_refused(read, text):
    with pytest.raises(Invalid, match="does not come from this service"):
        read(token(text))


@pytest.mark.parametrize("text", ["=", "a", "\xff", "\ud800", "%"])
def test_a_token_that_is_not_base64_is_refused(text):
    with pytest.raises(Invalid, match="Invalid page token"):
        read_token(text, "page token")


def test_a_token_is_read_as_it_was_written():
    assert read_token(write_token(["é\x00", 3]), "page token") == ["é\x00", 3]


def in_tag(text: str) -> None:
    run = Run(run_id="r", workspace_id="w", experiment="e", experiment_id="i", created=datetime.now(timezone.utc))
    with_model(replace(run, tags={MODELS_TAG: text}), {})


@pytest.mark.parametrize(
    "read",
    [
        lambda text: dataflow_of('{"a": ' + text),
        lambda text: _read_json(text, "step"),
        read_blocks,
        in_tag,
    ],
    ids=["dataset", "run configuration", "transformations", "models of a run"],
)
@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:12])
def test_a_text_that_is_not_json_is_refused(read, text):
    with pytest.raises(Invalid):
        read(text)
