"""The states of many jobs are asked for in requests that are short enough for Azure."""

from __future__ import annotations

from azureml_wrapper.jobs.states import _batches
from azureml_wrapper.runs.history_client import BATCH
from tests.unit.jobs.test_record import record


def test_each_request_has_one_experiment_and_no_more_jobs_than_a_filter_takes():
    counts = {"many": 2 * BATCH + 1, "full": BATCH, "one": 1}
    records = [record(experiment=name, run_id=f"{name}_{i}") for name, count in counts.items() for i in range(count)]
    batches = list(_batches(records))
    assert [(name, len(run_ids)) for name, run_ids in batches] == [
        ("many", BATCH),
        ("many", BATCH),
        ("many", 1),
        ("full", BATCH),
        ("one", 1),
    ]
    assert [run_id for _, run_ids in batches for run_id in run_ids] == [each.run_id for each in records]
