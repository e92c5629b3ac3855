"""Metrics through the SDK."""

from __future__ import annotations

import math
import struct
import zlib
from datetime import datetime

import numpy as np
import pytest
from azureml._restclient.experiment_client import ExperimentClient
from azureml._restclient.models import BatchMetricV2Dto, MetricProperties, MetricV2Dto, MetricV2Value
from azureml.core import Experiment

CONFUSION = {
    "schema_type": "confusion_matrix",
    "schema_version": "v1",
    "data": {"class_labels": ["0", "1"], "matrix": [[3, 1], [0, 4]]},
}
PREDICTIONS = {
    "schema_type": "predictions",
    "schema_version": "v1",
    "data": {
        "bin_averages": [0.25, 0.75],
        "bin_errors": [0.01, 0.02],
        "bin_counts": [3, 4],
        "bin_edges": [0, 0.5, 1],
    },
}


@pytest.fixture
def run(ws, unique):
    run = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None, outputs=False)
    yield run
    run.complete()


def logged(run):
    run.flush()
    return run.get_metrics()


def png(path):
    """The smallest image that `imghdr` takes for one."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# Values and shapes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, 0.5, 1e300, -7, "two\nlines", "ü 日本", "", True])
def test_a_value_comes_back_as_it_was_logged(run, value):
    run.log("metric", value)
    found = logged(run)["metric"]
    assert found == value
    assert type(found) is type(value)


def test_numpy_values_become_plain_ones(run):
    run.log("float", np.float32(0.5))
    run.log("int", np.int32(7))
    assert logged(run) == {"float": 0.5, "int": 7}


@pytest.mark.local_only
@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.int64(3), 3),
        (np.uint64(2**64 - 1), 1.8446744073709552e19),
        (np.longlong(-3), -3),
        (np.longdouble(0.5), 0.5),
        (10**30, 1e30),
        (-(2**63) - 1, -9.223372036854775808e18),
    ],
)
def test_a_number_that_the_sdk_does_not_know_is_a_number(run, value, number):
    run.log("metric", value)
    run.log("loss", value)
    run.log("loss", 0.25)
    found = logged(run)
    assert found == {"metric": number, "loss": [number, 0.25]}
    assert type(found["metric"]) is type(number)


@pytest.mark.local_only
def test_a_long_integer_in_a_row_is_a_double(run):
    run.log_row("row", x=10**30, y="text")
    run.log_list("list", [10**30, 1])
    assert logged(run) == {"row": {"x": 1e30, "y": "text"}, "list": [1e30, 1.0]}


def test_a_text_that_looks_like_a_number_stays_text(run):
    run.log("text", "3")
    run.log_list("mixed", [np.str_("np.int64"), "1e30"])
    assert logged(run) == {"text": "3", "mixed": ["np.int64", "1e30"]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_come_back(run, value):
    run.log("metric", value)
    found = logged(run)["metric"]
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_a_name_logged_often_is_a_list_in_the_order_of_logging(run):
    for step in range(200):
        run.log("loss", step / 7)
    assert logged(run)["loss"] == [step / 7 for step in range(200)]


def test_ints_and_floats_under_one_name_become_floats(run):
    run.log("mixed", 1)
    run.log("mixed", 2.5)
    assert logged(run)["mixed"] == [1.0, 2.5]


def test_numbers_and_text_under_one_name_stay_what_they_are(run):
    run.log("mixed", 1.5)
    run.log("mixed", "much")
    assert logged(run)["mixed"] == [1.5, "much"]


def test_steps_are_kept(run):
    run.log("loss", 0.5, step=10)
    run.flush()
    (value,) = run._client.metrics.get_metric_dto_for_run_v2("loss").value
    assert value.step == 10


def test_a_list_comes_back_as_a_list(run):
    run.log_list("accuracies", [0.6, 0.7, 0.87])
    assert logged(run)["accuracies"] == [0.6, 0.7, 0.87]


def test_a_row_logged_once_is_a_dict_and_logged_again_a_dict_of_lists(run):
    run.log_row("line", x=1, y=0.5)
    assert logged(run)["line"] == {"x": 1, "y": 0.5}
    run.log_row("line", x=2, y=0.25)
    assert logged(run)["line"] == {"x": [1, 2], "y": [0.5, 0.25]}


def test_rows_with_other_columns_are_filled_with_none(run):
    run.log_row("line", x=1.5)
    run.log_row("line", x=2.5, y=7.5)
    assert logged(run)["line"] == {"x": [1.5, 2.5], "y": [None, 7.5]}


def test_a_table_is_a_dict_of_columns(run):
    run.log_table("stats", {"stat": ["count", "mean"], "value": [10_000.0, 0.5]})
    assert logged(run)["stats"] == {"stat": ["count", "mean"], "value": [10_000.0, 0.5]}


def test_an_image_is_an_artifact_and_its_address_the_metric(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    png(tmp_path / "roc.png")
    run.log_image("ROC", path="roc.png")
    assert logged(run)["ROC"] == f"aml://artifactId/ExperimentRun/dcid.{run.id}/roc.png"
    assert run.get_file_names() == ["roc.png"]


def test_a_plot_is_stored_under_its_name_and_the_time(run):
    class Plot:
        def savefig(self, stream, format):  # noqa: A002 - matplotlib's own name
            stream.write(b"\x89PNG")

    run.log_image("ROC", plot=Plot())
    address = logged(run)["ROC"]
    assert address.startswith(f"aml://artifactId/ExperimentRun/dcid.{run.id}/ROC_")
    assert address.endswith(".png")


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("log_confusion_matrix", "confusion_matrix", CONFUSION),
        ("log_predictions", "predictions", PREDICTIONS),
        ("log_accuracy_table", "accuracy_table", {"schema_type": "accuracy_table", "data": {}}),
        ("log_residuals", "residuals", {"schema_type": "residuals", "data": {}}),
    ],
)
def test_a_chart_is_an_artifact_that_populate_reads(run, method, name, value):
    getattr(run, method)(name, value)
    assert logged(run)[name] == f"aml://artifactId/ExperimentRun/dcid.{run.id}/{name}"
    assert run.get_metrics(populate=True)[name].convert_to_object() == value


def test_metrics_come_in_the_order_of_their_first_value(run):
    for name in ("zeta", "alpha", "mid"):
        run.log(name, 1)
        run.flush()
    assert list(run.get_metrics()) == ["zeta", "alpha", "mid"]


# Asking ------------------------------------------------------------------------------------------------------------


def test_one_metric_is_found_by_name(run):
    run.log("a", 1)
    run.log("a/b c%d", 2)
    run.flush()
    assert run.get_metrics(name="a/b c%d") == {"a/b c%d": 2}
    assert run.get_metrics(name="nothing") == {}


def test_a_run_without_metrics_has_none(run):
    assert run.get_metrics() == {}


def test_recursive_gives_the_metrics_of_each_descendant(run):
    child = run.child_run()
    run.log("m", 1)
    child.log("m", 2)
    child.child_run().complete()
    child.complete()
    run.flush()
    assert run.get_metrics(recursive=True) == {run.id: {"m": 1}, child.id: {"m": 2}}


def test_a_child_can_log_to_its_parent(run):
    child = run.child_run()
    child.parent.log("from_child", 5)
    child.parent.flush()
    assert run.get_metrics() == {"from_child": 5}


def of_runs(run, **options):
    """The metrics of runs as `export_to_tensorboard` of azureml-tensorboard reads them: run, name, cells."""
    client = ExperimentClient(run.experiment.workspace.service_context, run.experiment.name, run.experiment.id)
    return [(dto.run_id, dto.name, dto.cells) for dto in client.get_metrics_by_run_ids(**options)]


def test_the_metrics_of_several_runs_are_read_at_once(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    child = run.child_run()
    for value in (0.5, 0.25):
        run.log("loss", value)
    run.log_row("row", x=1)
    run.log_row("row", y=2.5)
    run.log_image("ROC", path=str(png(tmp_path / "roc.png").name))
    child.log("loss", 7)
    child.complete()
    run.flush()
    losses = [{"loss": 0.5}, {"loss": 0.25}]
    rows, image = [{"x": 1}, {"y": 2.5}], [{"ROC": f"aml://artifactId/ExperimentRun/dcid.{run.id}/roc.png"}]
    assert sorted(of_runs(run, run_ids=[run.id, child.id])) == sorted(
        [(run.id, "loss", losses), (run.id, "row", rows), (run.id, "ROC", image), (child.id, "loss", [{"loss": 7}])]
    )
    assert of_runs(run, run_ids=[run.id], name="loss") == [(run.id, "loss", losses)]
    assert of_runs(run, run_ids=[run.id], metric_types=["azureml.v1.table"]) == [(run.id, "row", rows)]
    assert len(of_runs(run, run_ids=[run.id, child.id], page_size=1)) == 4
    assert of_runs(run, run_ids=[run.id], after_timestamp=datetime(2999, 1, 1)) == []


def test_the_older_form_of_get_metrics_returns_the_same(run):
    run.log("a", 1)
    run.log("b", 0.5)
    run.log("b", 1.5)
    run.flush()
    assert run._client.metrics.get_all_metrics(run_ids=[run.id]) == {run.id: run.get_metrics()}


# What is refused ---------------------------------------------------------------------------------------------------


def test_a_metric_logged_with_another_shape_is_not_stored(run, caplog):
    run.log("m", 1)
    run.flush()
    run.log_table("m", {"a": [1]})
    assert logged(run) == {"m": 1}


@pytest.mark.local_only
@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (lambda run: run.log("bad", "\ud800"), "unpaired surrogate"),
        (lambda run: run.log("bad\udfff", 1), "unpaired surrogate"),
        (lambda run: run.log("bad", 1, step=2**64), "at most 64 bits"),
        (lambda run: run.log("b" * 300, 1), "over the size limit"),
    ],
)
def test_a_value_that_cannot_be_stored_costs_neither_the_others_nor_the_end_of_the_run(
    ws, unique, log, reason, caplog
):
    run = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None, outputs=False)
    run.log("before", 1)
    log(run)
    run.log("after", 2)
    run.complete()
    assert run.get_metrics() == {"before": 1, "after": 2}
    assert run.get_status() == "Completed"
    assert reason in caplog.text


def post(run, name, values):
    """One request with many values under a name, as `log_list` sends it; the messages of what was refused."""
    dto = MetricV2Dto(
        name=name,
        columns={name: "int"},
        value=[MetricV2Value(metric_id=f"{name}{value}", data={name: value}) for value in values],
        properties=MetricProperties(ux_metric_type="azureml.v1.list"),
    )
    client = run._client.metrics
    answer = client._execute_with_workspace_run_arguments(
        client._client.metric.post_run_metrics, BatchMetricV2Dto(values=[dto], report_errors=True)
    )
    return [error.error_response.error.message for error in (answer.errors if answer else ())]


def test_more_than_250_values_at_once_are_refused_in_azures_words(run):
    (message,) = post(run, "m", range(251))
    assert message.startswith(
        "A field of the entity is over the size limit. FieldName=MetricV2Dto.Value/Count, Limit=250, Size=251."
    )
    assert run.get_metrics() == {}


def test_a_request_that_is_repeated_counts_once(run):
    assert post(run, "m", range(3)) == post(run, "m", range(3)) == []
    assert run.get_metrics() == {"m": [0, 1, 2]}


# Size --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.local_only
def test_twenty_five_thousand_points_come_back_in_their_order(run):
    for start in range(0, 25_000, 250):
        assert post(run, "m", range(start, start + 250)) == []
    assert run.get_metrics(name="m")["m"] == list(range(25_000))
