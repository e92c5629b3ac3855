"""A home that cannot be written to: one sentence, no traceback, nothing hangs, and the service goes on afterwards."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from azureml_wrapper.cli.main import main
from azureml_wrapper.local import service_process
from azureml_wrapper.local.domain.errors import ReadOnly
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.service_process import ServiceError
from azureml_wrapper.local.store.database import faults
from tests.faults.kills import points
from tests.faults.machine import Refused, machine
from tests.faults.usage import RunFailed, Usage, log_metrics, run_pipeline, run_script, start_run, upload
from tests.waiting import until

AT_START = ("start.", "home.")
# Longer than any operation passes points.
LONG = 10**6


@contextmanager
def read_only(folder: Path):
    """A folder that is mounted read-only, or at least one in which nothing can be created; neither for every user."""
    mount = ["mount", "--bind", str(folder), str(folder)]
    is_mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    if is_mounted:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    else:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        else:
            folder.chmod(0o700)


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A home that a service has used."""
    home = Home(tmp_path_factory.mktemp("used") / "home")
    service_process.start(home)
    service_process.stop(home)
    return home.path


@pytest.fixture
def home(used, tmp_path):
    shutil.copytree(used, tmp_path / "home")
    home = Home(tmp_path / "home")
    yield home
    service_process.stop(home)


def refused(begin):
    """The message of what does not begin, which has one sentence of ours, and no traceback."""
    with pytest.raises(ServiceError) as error:
        begin()
    assert "Traceback" not in str(error.value)
    return str(error.value)


def test_a_service_whose_home_is_read_only_says_so_and_starts_when_it_is_not(home):
    with read_only(home.path):
        assert f"Cannot use the home folder {home.path}: " in refused(lambda: service_process.start(home))
    assert service_process.start(home)


def test_the_commands_for_a_home_that_is_read_only_say_so(home, monkeypatch, capsys):
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(home.path))
    with read_only(home.path):
        with pytest.raises(SystemExit):
            main(["local", "prune", "--yes"])
        with suppress(SystemExit):
            main(["local", "status"])
    said = capsys.readouterr()
    assert f"Cannot use the home folder {home.path}: " in said.err
    assert "Traceback" not in said.err
    assert "does not run" in said.out


@pytest.mark.parametrize("error", ["EROFS", "EACCES", "ENOSPC", "EMFILE"])
def test_a_start_that_cannot_write_says_so_in_a_sentence_at_every_point(tmp_path, error):
    with machine(tmp_path) as made:
        made.start()
        made.stop()
        for point in sorted(point for point in points() if point.startswith(AT_START)):
            made.order(error, point)
            begin = made.home.log_file.stat().st_size
            is_started = made.start_once()
            log = made.home.log_file.read_bytes()[begin:].decode()
            assert not is_started, point
            assert "Traceback" not in log
            assert f"Cannot use the home folder {made.home.path}: {os.strerror(number(error))}" in log
            made.cancel_order()
        assert made.start_once()


def number(error):
    import errno

    return getattr(errno, error)


@pytest.mark.parametrize("error", ["EROFS", "EACCES"])
def test_a_home_that_becomes_read_only_can_be_read_and_goes_on_when_it_is_not(tmp_path, error):
    with machine(tmp_path) as made:
        made.start()
        usage, service = Usage(made), made.pid
        usage.is_tolerant = True
        for operation in (upload, run_script, start_run):
            operation(usage)
        for operation, point in ((upload, "blobs.received"), (log_metrics, "database.commit")):
            made.order(error, point, times=LONG)
            with pytest.raises(Refused) as answer:
                operation(usage)
            assert answer.value.status in (507, 413)
            assert "Cannot write to the local service's home folder" in str(answer.value)
        made.cancel_order()
        usage.settle()
        assert usage.check() == []
        usage.is_tolerant = False
        for operation in (upload, run_script, run_pipeline):
            operation(usage)
        assert usage.check() == []
        assert made.pid == service
        assert "Traceback" not in made.home.log_file.read_text()


def test_a_pipeline_goes_on_when_its_home_can_be_written_to_again(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        run_script(usage)
        made.order("EROFS", "pipelines.step-stored", times=2)
        run_pipeline(usage)
        assert not made.cancel_order() or usage.check() == []


def test_a_service_whose_home_is_read_only_stops(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        with suppress(RunFailed):
            run_script(usage)
        made.order("EROFS", times=LONG)
        made.stop()
        made.cancel_order()
        assert "Traceback" not in made.home.log_file.read_text()
        made.start()
        assert usage.check() == []


def test_a_database_that_is_read_only_is_a_fault_that_says_so(tmp_path):
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("PRAGMA query_only = ON")
        with pytest.raises(ReadOnly, match="it is read-only"), faults():
            database.execute("INSERT INTO t VALUES (1)")


def test_a_service_that_runs_is_found_although_its_lock_cannot_be_written_to(home):
    info = service_process.start(home)
    with read_only(home.path):
        assert service_process.find(home) == info
    until(lambda: service_process.find(home) == info)
