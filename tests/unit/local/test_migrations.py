"""The database's version, and the steps from one to the next."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing

import pytest

import azureml_wrapper
from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.database import Database, columns
from azureml_wrapper.local.store.migrations import STEPS, NewerDatabase, Step, copies, migrate, version_of
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


def test_the_missing_steps_are_applied_in_order_and_once(connection, file):
    steps = (Step(1, "", adding("one")), Step(2, "", adding("two")), Step(3, "", adding("three")))
    migrate(connection, str(file), steps[:1])
    for _ in range(2):
        migrate(connection, str(file), steps)
    assert names(connection) == ["one", "two", "three"]
    assert version_of(connection) == 3


def test_a_migration_that_fails_changes_nothing(connection, file):
    def fail(connection):
        adding("half")(connection)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        migrate(connection, str(file), (Step(1, "", adding("one")), Step(2, "", fail)))
    assert names(connection) == []
    assert version_of(connection) == 0


def test_the_database_before_the_last_migration_is_kept(connection, file, caplog):
    steps = (Step(1, "", adding("one")), Step(2, "", adding("two")))
    migrate(connection, str(file), steps[:1])
    assert str(file.with_name("state.sqlite.version-0")) in caplog.text
    migrate(connection, str(file), steps)
    (copy,) = copies(file)
    assert copy.name == "state.sqlite.version-1"
    assert copy.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(copy)) as before:
        assert names(before) == ["one"]
        assert version_of(before) == 1


def test_without_a_copy_nothing_is_migrated(connection, file):
    file.with_name("state.sqlite.copying").mkdir()
    with pytest.raises(OSError, match="copying"):
        migrate(connection, str(file), (Step(1, "", adding("one")),))
    assert names(connection) == []


def test_a_database_that_needs_no_step_is_not_copied(file):
    for _ in range(2):
        Database(file).close()
    assert copies(file) == []


def test_a_newer_database_is_refused_with_both_versions_and_what_to_do(file):
    with closing(sqlite3.connect(file)) as made:
        made.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(NewerDatabase) as refused:
        Database(file)
    assert f"{file} has version {LATEST + 1}" in str(refused.value)
    assert f"This is azureml_wrapper {azureml_wrapper.__version__}, which reads versions up to {LATEST}." in str(
        refused.value
    )
    assert "AZUREML_WRAPPER_HOME" in str(refused.value)


def test_a_newer_database_is_refused_with_the_name_of_its_writer(file, monkeypatch):
    monkeypatch.setattr(azureml_wrapper, "__version__", "7.8.9")
    Database(file).close()
    monkeypatch.undo()
    with closing(sqlite3.connect(file)) as made:
        made.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(NewerDatabase, match=r"made by azureml_wrapper 7\.8\.9"):
        Database(file)


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


@pytest.mark.parametrize("archive", sorted(ARCHIVES.glob("*.tar.gz")), ids=lambda archive: archive.name)
def test_the_tables_of_earlier_versions_become_those_of_a_new_home(archive, tmp_path):
    """A column that a store's schema gets has to be added to existing tables by a step."""
    found = []
    for name in ("old", "new"):
        home = Home(tmp_path / name)
        home.create()
        if name == "old":
            with tarfile.open(archive) as packed:
                packed.extractall(home.path)  # noqa: S202 - our own
        build_context(home, 1).work_queue.close()
        with closing(sqlite3.connect(home.database)) as database:
            found.append(columns(database))
    assert found[0] == found[1]


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
