"""ParallelRunStep's driver, without processes: settings, mini-batches of files, rows, limits."""

from __future__ import annotations

import pandas as pd
import pytest

from azureml_wrapper.local.driver.azureml_user.parallel_run.batches import Batch, make_batches
from azureml_wrapper.local.driver.azureml_user.parallel_run.master import Outcome
from azureml_wrapper.local.driver.azureml_user.parallel_run.settings import (
    Settings,
    Source,
    StepFailed,
    read_settings,
    read_size,
)
from azureml_wrapper.local.driver.azureml_user.parallel_run.worker import Done, Failed, lines_of

NEEDED = ["--scoring_module_name", "score.py", "--mini_batch_size", "5"]


@pytest.fixture(autouse=True)
def _working_directory(tmp_path, monkeypatch):
    (tmp_path / "wd").mkdir()
    monkeypatch.chdir(tmp_path / "wd")


def settings(**fields) -> Settings:
    given = {
        "entry_script": "score.py",
        "mini_batch_size": 3,
        "error_threshold": 0,
        "allowed_failed_count": None,
        "allowed_failed_percent": None,
        "append_to": "rows.txt",
        "output": "out",
        "logging_level": "INFO",
        "timeout": 60.0,
        "tries": 3,
        "nodes": 1,
        "per_node": 1,
        "sources": (),
    }
    return Settings(**{**given, **fields})


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("1024KB", 1024**2), ("10mb", 10 * 1024**2), ("1GB", 1024**3), (" 7 ", 7)]
)
def test_sizes_are_read_as_the_sdk_writes_them(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "5TB", "many", "1.5MB"])
def test_what_is_no_size_is_said_with_an_example(text):
    with pytest.raises(StepFailed, match="must be a size such as 10 or 10MB"):
        read_size(text)


def test_the_inputs_are_found_among_the_arguments_of_the_user(monkeypatch):
    monkeypatch.setenv("data", "/mounted/data")
    monkeypatch.setenv("AZUREML_NODE_COUNT", "2")
    inputs = ["--input_ds_0", "table", "--input_fds_1", "data", "--input2", "/a/folder"]
    found = read_settings([*NEEDED, "--in", "mine", "--out", "also mine", *inputs, "--process_count_per_node", "3"])
    assert found.sources == (Source(dataset="table"), Source(path="/mounted/data"), Source(path="/a/folder"))
    assert (found.output, found.workers, found.append_to) == (None, 6, "parallel_run_step.txt")


def test_summary_only_appends_nothing():
    assert read_settings([*NEEDED, "--output_action", "summary_only"]).append_to is None


def test_partition_keys_are_refused():
    with pytest.raises(StepFailed, match="partition_keys is not supported"):
        read_settings([*NEEDED, "--partition_keys", '["a"]'])


def test_each_input_is_divided_by_itself(tmp_path):
    for name in ("a/1", "a/deep/2", "a/3", "a/4", "b/5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    sources = (Source(path=str(tmp_path / "a")), Source(path=str(tmp_path / "b")), Source(path=str(tmp_path / "a/1")))
    made = make_batches(settings(sources=sources))
    names = [[path.removeprefix(f"{tmp_path}/") for path in batch.load()] for batch in made]
    assert names == [["a/1", "a/3", "a/4"], ["a/deep/2"], ["b/5"], ["a/1"]]
    assert [(batch.number, batch.count) for batch in made] == [(0, 3), (1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (["a", 1, ("x", 2)], (3, "a\n1\n('x', 2)\n")),
        ((), (0, "")),
        (pd.Series([1.5, 2]).to_numpy(), (2, "1.5\n2.0\n")),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y z"]}), (2, '1 x\n2 "y z"\n')),
    ],
)
def test_results_become_lines(result, expected):
    assert lines_of(result) == expected


@pytest.mark.parametrize("result", [None, "text", 5, {"a": 1}])
def test_other_results_are_refused(result):
    with pytest.raises(TypeError, match=r"must return a list or a pandas\.DataFrame"):
        lines_of(result)


def test_rows_are_in_the_output_only_when_all_is_done(tmp_path):
    (tmp_path / "wd" / "out").mkdir()
    outcome = Outcome(settings(), 2)
    outcome.add(Batch(0, 2), Done(2, "a\nb\n"))
    outcome.add(Batch(1, 1), Done(1, "no end of line"))
    assert not (tmp_path / "wd" / "out" / "rows.txt").exists()
    outcome.finish()
    assert (tmp_path / "wd" / "out" / "rows.txt").read_text() == "a\nb\nno end of line\n"
    (log,) = (tmp_path / "wd" / "logs").glob("job_progress_overview.*.0.txt")
    assert log.read_text().splitlines()[-1].endswith("2 done, 0 failed, 2 in total; items: 3 processed, 0 failed")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"error_threshold": 4}, "5 items failed, more than error_threshold=4 allows"),
        (
            {"error_threshold": -1, "allowed_failed_count": 0},
            "1 mini-batches failed, more than allowed_failed_count=0",
        ),
        ({"error_threshold": 9, "allowed_failed_percent": 49.0}, "50 % .*more than allowed_failed_percent=49 allows"),
    ],
)
def test_any_limit_that_is_passed_fails_the_step(limits, words):
    outcome = Outcome(settings(append_to=None, **limits), 2)

    def process():
        outcome.add(Batch(0, 5, tries=3), Failed("The reason."))
        outcome.add(Batch(1, 5), Done(5, ""))
        outcome.finish()

    with pytest.raises(StepFailed, match=words) as raised:
        process()
    assert str(raised.value).startswith("Mini-batch 0 failed 3 times. The reason.\n")


@pytest.mark.parametrize(
    "limits",
    [{"error_threshold": 5}, {"error_threshold": -1, "allowed_failed_count": -1, "allowed_failed_percent": 100.0}],
)
def test_what_the_limits_allow_is_counted(limits):
    outcome = Outcome(settings(append_to=None, **limits), 2)
    outcome.add(Batch(0, 3), Failed("x"))
    outcome.add(Batch(1, 3), Done(1, ""))
    outcome.finish()
    assert (outcome.done, outcome.failed, outcome.failed_items) == (1, 1, 5)
