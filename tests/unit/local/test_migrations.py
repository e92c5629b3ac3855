"""The database's version, and the steps from one to the next."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing

import pytest

from azureml_wrapper.local.store.database import STEPS, Database, NewerDatabase, Step, migrate, version_of
from tests.homes import ARCHIVES

LATEST = STEPS[-1].version


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def connection(file):
    """A database that is not new: it holds a table."""
    with closing(sqlite3.connect(file, isolation_level=None)) as made:
        made.execute("CREATE TABLE things (name TEXT)")
        yield made


def adding(name):
    return lambda connection: connection.execute("INSERT INTO things VALUES (?)", (name,))


def names(connection):
    return [name for (name,) in connection.execute("SELECT name FROM things")]


def test_the_steps_are_numbered_in_order():
    assert [step.version for step in STEPS] == list(range(1, len(STEPS) + 1))


def test_a_new_database_has_the_latest_version(file):
    Database(file).close()
    with closing(sqlite3.connect(file)) as made:
        assert version_of(made) == LATEST


def test_the_missing_steps_are_applied_in_order_and_once(connection):
    steps = (Step(1, "", adding("one")), Step(2, "", adding("two")), Step(3, "", adding("three")))
    migrate(connection, "file", steps[:1])
    for _ in range(2):
        migrate(connection, "file", steps)
    assert names(connection) == ["one", "two", "three"]
    assert version_of(connection) == 3


def test_a_step_that_fails_changes_nothing(connection):
    def fail(connection):
        adding("half")(connection)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        migrate(connection, "file", (Step(1, "", adding("one")), Step(2, "", fail)))
    assert names(connection) == ["one"]
    assert version_of(connection) == 1


def test_a_newer_database_is_refused_with_both_versions_and_what_to_do(file):
    with closing(sqlite3.connect(file)) as made:
        made.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(NewerDatabase) as refused:
        Database(file)
    assert f"{file} has version {LATEST + 1}" in str(refused.value)
    assert f"versions up to {LATEST}." in str(refused.value)
    assert "AZUREML_WRAPPER_HOME" in str(refused.value)


def test_definitions_move_out_of_the_runs(file):
    with tarfile.open(ARCHIVES / "version-0.tar.gz") as archive:
        # Python before 3.11.4 has no `filter=`; the archive is our own.
        archive.extract("state.sqlite", file.parent)
    with closing(sqlite3.connect(file)) as old:
        bodies = {row[:2]: json.loads(row[2]) for row in old.execute("SELECT workspace, run_id, body FROM runs")}
    database = Database(file)
    moved = database.all("SELECT * FROM run_definitions")
    expected = {key: body.pop("definition") for key, body in bodies.items()}
    assert {(row["workspace"], row["run_id"]): json.loads(row["definition"]) for row in moved} == {
        key: definition for key, definition in expected.items() if definition
    }
    left = database.all("SELECT * FROM runs")
    assert {(row["workspace"], row["run_id"]): json.loads(row["body"]) for row in left} == bodies
    database.close()


def test_a_start_that_was_cut_short_is_migrated(connection, file):
    """Not every table has to be there."""
    connection.close()
    database = Database(file)
    assert database.one("PRAGMA user_version")["user_version"] == LATEST
    database.close()


def test_numbers_that_are_not_finite_survive(file):
    """SQLite's own JSON functions refuse them."""
    with closing(sqlite3.connect(file)) as old, old:
        old.execute("CREATE TABLE runs (sequence INTEGER PRIMARY KEY, workspace TEXT, run_id TEXT, body TEXT)")
        old.execute("""INSERT INTO runs VALUES (1, 'w', 'r', '{"extra":{"x":NaN},"definition":{"y":NaN}}')""")
    database = Database(file)
    assert database.one("SELECT body FROM runs")["body"] == '{"extra":{"x":NaN}}'
    assert database.one("SELECT definition FROM run_definitions")["definition"] == '{"y":NaN}'
    database.close()
