"""What is left behind: nothing grows without bounds, and `aml local prune` deletes what nothing needs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time

import pytest
import requests

from azureml_wrapper.cli.main import main
from azureml_wrapper.local import logs, service_process
from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store import garbage

DAY = 24 * 3600


@pytest.fixture
def full(home, monkeypatch):
    """A home with garbage of every kind that is ten days old, and with what must stay."""
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(home.path))
    home.create()
    context = build_context(home, 1)
    stored = context.snapshots.keep(b"used")
    context.database.execute(
        "INSERT INTO snapshots (workspace, snapshot_id, tree, files, properties, created) VALUES (?, ?, ?, ?, ?, ?)",
        ("w", "s", "{}", f'{{"a.py": ["{stored.sha256}", 4]}}', "{}", "2026-01-01T00:00:00+00:00"),
    )
    context.blobs.ensure_container("account", "container")
    context.blobs.put_bytes("account", "container", "blob", b"kept")
    context.snapshots.keep(b"unused")
    context.work_queue.close()
    context.database.close()
    for name in (
        *(
            "environments/abc/ready",
            "jobs/key/wd/file",
            "incoming/upload",
            "blobs/.incoming/upload",
            "blobs/.blocks/b/1",
        ),
        *(
            "state.sqlite.version-0",
            "service.log.1",
            "tls/trust-1.pem",
            "tls/trust-2/12345678.0",
            "unsynced/account/container/blob",
        ),
        "snapshots/.incoming/upload",
    ):
        (home.path / name).parent.mkdir(parents=True, exist_ok=True)
        (home.path / name).write_bytes(b"x" * 1000)
    for path in home.path.rglob("*"):
        os.utime(path, (time.time() - 10 * DAY,) * 2)
    return home


def prune(*options):
    try:
        main(["local", "prune", *options])
    except SystemExit as end:
        return end.code or 0


def contents(home):
    found = (path for path in home.path.rglob("*") if path.is_file() and not path.name.startswith("state.sqlite-"))
    return sorted(path.relative_to(home.path).as_posix() for path in found)


def test_without_yes_nothing_is_deleted(full, capsys):
    before = contents(full)
    assert prune() == 0
    assert contents(full) == before
    shown = capsys.readouterr().out
    assert "Nothing was deleted. `aml local prune --yes` deletes it." in shown
    assert [line.split("  ")[0] for line in shown.splitlines()[:-1]] != []
    assert {line[:24].strip() for line in shown.splitlines()[:-1]} == set(garbage._KINDS)


def test_what_nothing_needs_is_deleted_and_everything_else_stays(full):
    assert prune("--yes") == 0
    left = contents(full)
    assert [name for name in left if name.startswith("blobs/")] == ["blobs/account/container/blob"]
    assert len([name for name in left if name.startswith("snapshots/")]) == 1
    assert {"state.sqlite", "secret"} <= set(left)
    assert garbage.find(full, time.time()) == []
    context = build_context(full, 1)
    assert context.snapshots.file("w", "s", "a.py").read_bytes() == b"used"
    context.work_queue.close()


def test_what_is_younger_than_the_age_stays(full, capsys):
    (full.path / "environments/new").mkdir()
    assert prune("--older-than", "11d", "--yes") == 0
    assert capsys.readouterr().out.startswith("No results.")
    prune("--older-than", "5d", "--yes")
    assert (full.path / "environments/new").exists()
    assert not (full.path / "environments/abc").exists()


def test_an_environment_that_was_used_lately_stays(full):
    os.utime(full.path / "environments/abc/ready")
    prune("--yes")
    assert (full.path / "environments/abc").exists()


def test_only_as_much_as_the_size_needs_is_deleted_oldest_first(tmp_path):
    found = [garbage.Garbage(kind="k", path=tmp_path / str(n), size=100, used=n) for n in range(5)]
    assert garbage.chosen(found, 1000, 850) == found[:2]
    assert garbage.chosen(found, 1000, None) == found
    assert garbage.chosen(found, 1000, 2000) == []


@pytest.mark.parametrize("options", [("--older-than", "soon"), ("--down-to", "5"), ("--down-to", "5 parsecs")])
def test_an_unknown_unit_is_named_with_the_known_ones(full, options, capsys):
    assert prune(*options) == 2
    assert f"got {options[1]!r}" in capsys.readouterr().err


def test_a_service_that_runs_is_not_pruned(full, capsys):
    service_process.start(full)
    before = (full.path / "environments/abc").exists()
    assert prune("--yes") == 1
    assert "aml local down" in capsys.readouterr().err
    assert (full.path / "environments/abc").exists() == before


def test_folders_that_a_job_has_locked_are_deleted(tmp_path):
    program = """
        import os, tempfile
        from pathlib import Path
        from azureml_wrapper.local.store.garbage import delete
        if not os.getuid():
            os.setuid(65534)
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        (folder / "a/b").mkdir(parents=True)
        (folder / "a/b/file").touch()
        (folder / "a/b").chmod(0)
        (folder / "a").chmod(0o500)
        delete(folder)
        assert not folder.exists()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, cwd="/")


def test_the_log_is_bounded(tmp_path):
    program = """
        import logging, os, sys
        from pathlib import Path
        from azureml_wrapper.local import logs
        logs.LOG_LIMIT = 10_000
        logging.basicConfig(handlers=[logs.LogFile(Path(sys.argv[1]))])
        for number in range(2000):
            logging.warning("line %s", number)
        os.write(2, b"a crash")
    """
    path = tmp_path / "service.log"
    with path.open("ab") as log:
        subprocess.run([sys.executable, "-c", textwrap.dedent(program), path], check=True, stdout=log, stderr=log)
    assert path.read_text().endswith("line 1999\na crash")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["service.log", "service.log.1"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 3 * 10_000
    assert path.stat().st_mode & 0o077 == 0


def test_a_log_that_is_no_file_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LOG_LIMIT", 0)
    handler = logs.LogFile(tmp_path / "service.log")
    handler.emit(logging.makeLogRecord({"msg": "text", "levelname": "INFO"}))
    assert list(tmp_path.iterdir()) == []


def test_requests_without_a_token_do_not_fill_the_log(home):
    info = service_process.start(home)
    with requests.Session() as session:
        for number in range(300):
            session.get(f"http://127.0.0.1:{info.port}/unknown/{number}", timeout=60)
            session.get(f"http://127.0.0.1:{info.port}/unknown", timeout=60)
    assert home.log_file.read_text().count("unknown route") <= 200
    assert Home(home.path).log_file.stat().st_size < 40_000
