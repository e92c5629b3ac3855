"""What `aml local status` counts, and which workspace `aml local exec` prepares."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import click
import pytest

from azureml_wrapper.cli.work.local import (
    configured_scope,
    count_runs,
    describe,
    describe_schedules,
    parse_scope,
    report,
    size,
)
from azureml_wrapper.connection.target import Scope
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


def write(file, name):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"subscription_id": "s", "resource_group": "g", "workspace_name": name}))


def test_the_nearest_config_upwards_is_taken(tmp_path):
    write(tmp_path / "a" / ".azureml" / "config.json", "near")
    write(tmp_path / ".azureml" / "config.json", "far")
    (tmp_path / "a" / "b").mkdir()
    assert configured_scope(tmp_path / "a" / "b") == Scope("s", "g", "near")


def test_a_folder_of_its_own_wins_over_a_nearer_plain_file(tmp_path):
    write(tmp_path / ".azureml" / "config.json", "folder")
    write(tmp_path / "a" / "config.json", "plain")
    assert configured_scope(tmp_path / "a") == Scope("s", "g", "folder")


@pytest.mark.parametrize("name", ["aml_config/config.json", "config.json", ".azureml/project.json"])
def test_the_sdks_other_places_are_known(tmp_path, name):
    write(tmp_path / name, "found")
    assert configured_scope(tmp_path) == Scope("s", "g", "found")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"subscription_id": "s"}'])
def test_a_file_that_is_no_workspaces_config_names_none(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert configured_scope(tmp_path) is None


def test_a_scope_is_three_names():
    assert parse_scope("s/g/w") == Scope("s", "g", "w")


@pytest.mark.parametrize("text", ["", "w", "g/w", "s/g/", "//", "a/b/c/d"])
def test_anything_else_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_scope(text)
