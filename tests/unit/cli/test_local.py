"""What `aml local status` counts."""

from __future__ import annotations

import contextlib
import sqlite3

from azureml_wrapper.cli.work.local import count_runs, describe, describe_schedules, report, size
from azureml_wrapper.local.home import Home


def test_runs_are_counted_by_status(tmp_path):
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.execute("CREATE TABLE runs (status TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [("Failed",), ("Completed",), ("Completed",)])
    database.close()
    assert count_runs(tmp_path / "state.sqlite") == {"Completed": 2, "Failed": 1}


def test_a_database_without_tables_has_no_runs(tmp_path):
    sqlite3.connect(tmp_path / "state.sqlite").close()
    assert count_runs(tmp_path / "state.sqlite") == {}


def test_looking_at_a_home_does_not_make_it(tmp_path):
    home = Home(tmp_path / "none")
    told = describe(home)
    assert told["service"] == "does not run"
    assert told["runs"] == "none"
    given = report(home)
    assert (given["running"], given["address"], given["runs"], given["storage"]) == (False, None, {}, {})
    assert not home.path.exists()


def test_size_is_that_of_all_files_and_follows_no_link(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"12345")
    (tmp_path / "y").write_bytes(b"123")
    before = size(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "far" / "away")
    assert before == 8
    assert size(tmp_path) == 8 + (tmp_path / "link").lstat().st_size


def test_enabled_schedules_are_told_with_the_next_instant(tmp_path):
    file = tmp_path / "state.sqlite"
    assert describe_schedules(file, runs=True) == "none enabled"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE schedules (is_active INTEGER, next_fire TEXT)")
        connection.execute("INSERT INTO schedules VALUES (0, '2026-01-01T00:00:00.000000+00:00')")
        connection.commit()
        assert describe_schedules(file, runs=True) == "none enabled"
        connection.execute("INSERT INTO schedules VALUES (1, NULL), (1, '2026-01-02T08:30:00.000000+00:00')")
        connection.commit()
    told = "2 enabled, the next fires at 2026-01-02 08:30:00 UTC; "
    assert describe_schedules(file, runs=True) == told + "the service stays up for them"
    without = describe_schedules(file, runs=False)
    assert without == told + "none fires until the service runs again (`aml local up`)"
