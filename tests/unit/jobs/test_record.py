"""A job folder's record: there as a whole or not at all, and read with care."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from azureml_wrapper.errors import BadRecord
from azureml_wrapper.jobs.record import RECORD, JobRecord, known_last_line, read_record, remember_last_line


def record(**changes):
    fields = {
        "run_id": "me_1_ab",
        "experiment": "me",
        "subscription_id": "local",
        "resource_group": "rg",
        "ws_name": "w",
        "target": "local",
        "address": "http://127.0.0.1:1",
        "portal_url": "",
        "submitted": "2026-01-01T00:00:00+00:00",
        "asked": {"overrides": {"SOLVER.LR": "é 🐧"}},
    }
    return JobRecord(**{**fields, **changes})


def test_what_is_written_is_read_again(tmp_path):
    written = record(earlier=("a", "b"), tags={"k": "v"}, original_run_id="a")
    written.write(tmp_path / "new" / "folder")
    assert read_record(tmp_path / "new" / "folder") == written


def test_a_reader_never_sees_half_a_record(tmp_path):
    record().write(tmp_path)
    long = {"long": "x" * 100_000}
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: [record(asked={**long, "n": n}).write(tmp_path) for n in range(40)])
        while not writing.done():
            assert read_record(tmp_path).run_id == "me_1_ab"
    assert [file.name for file in tmp_path.iterdir()] == [RECORD]


def test_a_disk_that_is_full_leaves_the_record_of_before(tmp_path, monkeypatch):
    record().write(tmp_path)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record(run_id="other").write(tmp_path)
    assert read_record(tmp_path).run_id == "me_1_ab"
    assert [file.name for file in tmp_path.iterdir()] == [RECORD]


def test_a_damaged_record_is_told_with_its_place(tmp_path):
    record().write(tmp_path)
    file = tmp_path / RECORD
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], '  "experiment" "me",', *lines[3:]]))
    with pytest.raises(BadRecord, match=r"aml_job\.json, line 3, column 16: Expecting ':' delimiter"):
        read_record(tmp_path)


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    record().write(tmp_path)
    file = tmp_path / RECORD
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_record(tmp_path) == record()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "is not a job record"),
        ('{"version": 99}', "another version"),
        ('{"version": 1, "run_id": "a"}', "missing .*'experiment'"),
        (json.dumps({"version": 1, **vars(record(asked=[]))}), "asked must be a mapping"),
    ],
)
def test_what_is_no_record_is_told(tmp_path, content, told):
    (tmp_path / RECORD).write_text(content)
    with pytest.raises(BadRecord, match=told):
        read_record(tmp_path)


def test_the_last_line_is_remembered_of_one_run_only(tmp_path):
    remember_last_line(tmp_path, "me_1", "loss é 0.1")
    assert known_last_line(tmp_path, "me_1") == "loss é 0.1"
    assert known_last_line(tmp_path, "me_2") == ""
    remember_last_line(tmp_path / "nowhere", "me_1", "x")
    assert known_last_line(tmp_path / "nowhere", "me_1") == ""
