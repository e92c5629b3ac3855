"""The database of a home, damaged in every way: the service says which file it is and what to do."""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from contextlib import closing

import pytest

from azureml_wrapper.cli.main import main
from azureml_wrapper.local import service_process
from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.errors import Damaged
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.service_process import ServiceError
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.migrations import STEPS
from azureml_wrapper.local.store.pipelines import read_named_module
from tests.homes import ARCHIVES


@pytest.fixture(scope="module")
def used_home(tmp_path_factory):
    """A home that a service has used, with data in it."""
    home = Home(tmp_path_factory.mktemp("used") / "home")
    home.create()
    context = build_context(home, 1)
    context.blobs.ensure_container("account", "container")
    context.blobs.put_bytes("account", "container", "blob", b"content")
    for number in range(200):
        context.blobs.put_bytes("account", "container", f"blobs/{number}", b"content", metadata={"much": "x" * 500})
    context.work_queue.close()
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home.path


@pytest.fixture
def home(used_home, tmp_path):
    # The log is empty, and goes with the last connection, which may still be open.
    shutil.copytree(used_home, tmp_path / "home", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    home = Home(tmp_path / "home")
    for log in home.path.glob("state.sqlite-*"):
        log.unlink()
    yield home
    service_process.stop(home)


def truncated(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def cut_within_a_page(file):
    file.write_bytes(file.read_bytes()[:-100])


def zeroed(file):
    file.write_bytes(bytes(file.stat().st_size))


def zeroed_in_the_middle(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 16384] = bytes(16384)
    file.write_bytes(content)


def junk(file):
    file.write_bytes(b"not a database" * 1000)


def empty(file):
    file.write_bytes(b"")


def missing(file):
    file.unlink()


def without_a_column(file):
    with closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE runs DROP COLUMN number")


DAMAGES = [truncated, cut_within_a_page, zeroed, zeroed_in_the_middle, junk, empty, missing, without_a_column]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_named_with_what_to_do(home, damage):
    damage(home.database)
    before = home.database.read_bytes() if home.database.exists() else None
    with pytest.raises(Damaged) as refused:
        build_context(home, 1)
    assert f"Damaged: {home.database} (" in str(refused.value)
    assert "aml local reset" in str(refused.value)
    assert "restore a copy of the file" in str(refused.value)
    if damage is not without_a_column:
        assert (home.database.read_bytes() if home.database.exists() else None) == before
    assert (home.blobs / "account" / "container" / "blob").read_bytes() == b"content"


@pytest.mark.parametrize("damage", [junk, without_a_column])
def test_a_service_that_does_not_start_shows_no_traceback(home, damage):
    damage(home.database)
    with pytest.raises(ServiceError, match="Damaged: ") as refused:
        service_process.start(home)
    assert "Traceback" not in str(refused.value)


def test_the_copy_of_the_last_migration_is_named(home):
    with tarfile.open(ARCHIVES / "version-0.tar.gz") as archive:
        # Python before 3.11.4 has no `filter=`; the archive is our own.
        archive.extract("state.sqlite", home.path)
    Database(home.database).close()
    junk(home.database)
    copy = home.database.with_name("state.sqlite.version-0")
    with pytest.raises(Damaged, match=str(copy)):
        Database(home.database)
    shutil.copy(copy, home.database)
    build_context(home, 1).work_queue.close()


def test_a_home_of_a_newer_version_is_refused_without_a_traceback(home):
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute(f"PRAGMA user_version = {STEPS[-1].version + 1}")
        database.execute("UPDATE writer SET version = '7.8.9'")
    with pytest.raises(ServiceError, match=r"made by azureml_wrapper 7\.8\.9\. This is azureml_wrapper") as refused:
        service_process.start(home)
    assert "Traceback" not in str(refused.value)


def test_json_that_is_cut_off_is_a_fault_with_the_same_words(home):
    context = build_context(home, 1)
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute(
            "INSERT INTO runs (workspace, run_id, experiment_id, root_id, number, status, created, body)"
            " VALUES ('w', 'r', 'e', 'r', 1, 'Completed', '2026-01-01T00:00:00+00:00', '{\"tags\":')"
        )
    with pytest.raises(Damaged, match="invalid JSON"):
        context.runs.find("w", "r")
    context.work_queue.close()


def test_a_field_that_is_missing_is_a_fault_that_names_it(home):
    context = build_context(home, 1)
    document = context.pipelines.named_modules.add("w", "m", {"description": "nameless"})
    with pytest.raises(Damaged, match="a stored NamedModule has no name"):
        read_named_module(document)
    context.work_queue.close()


@pytest.mark.parametrize("damage", [zeroed, junk])
def test_the_status_of_a_damaged_home_says_so(home, damage, monkeypatch, capsys):
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(home.path))
    damage(home.database)
    with pytest.raises(SystemExit):
        main(["local", "status"])
    assert f"Damaged: {home.database}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["local", "reset", "--yes"])
    assert not home.database.exists()
