"""How the processes of a job are found: in /proc, and through psutil where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from azureml_wrapper.local.executor import process, processtable
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE, ProcFolder, PsutilTable
from tests import machines

# ProcFolder exists on Linux only.
TABLES = [PsutilTable] + [ProcFolder] * processtable.has_proc()
ON_LINUX = machines.needs_linux


@pytest.fixture
def child():
    started = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env={**os.environ, JOB_KEY_VARIABLE: "key"},
        start_new_session=True,
    )
    yield started
    started.kill()
    started.communicate()


@pytest.fixture(params=TABLES, ids=lambda table: table.__name__)
def table(request, monkeypatch):
    table = request.param()
    monkeypatch.setattr(process, "process_table", lambda: table)
    return table


def test_those_that_started_later_are_found_and_no_others(child, table):
    ticks = process.start_ticks(child.pid)
    assert child.pid in table.started_since(ticks)
    assert child.pid not in table.started_since(ticks + 1)
    assert os.getpid() not in table.started_since(0)


def test_a_process_has_a_session_and_is_gone_once_it_is_reaped(child, table):
    status = table.status(child.pid)
    assert (status.lives, status.session, status.ticks > 0) == (True, child.pid, True)
    assert table.status(child.pid) == status
    child.communicate()
    assert table.status(child.pid) is None
    assert process.start_ticks(child.pid) == 0


def test_a_child_that_has_ended_is_not_reaped(child, table):
    waiting = threading.Thread(target=table.await_exit, args=(child.pid,))
    waiting.start()
    child.stdin.close()
    waiting.join(60)
    assert not waiting.is_alive()
    assert not table.status(child.pid).lives
    # Its exit code is still there: `input()` met the end of its input.
    assert os.waitpid(child.pid, 0)[1] >> 8 == 1


def test_a_job_key_is_found_in_the_variables_of_a_process(child, table):
    # The interpreter has started when it waits for input; before, a process has its parent's variables.
    assert table.has_job_key(child.pid, "key")
    assert not table.has_job_key(child.pid, "ke")
    assert not table.has_job_key(child.pid, "")
    assert not table.has_job_key(2**22 + 1, "key")


def test_a_family_is_ended_by_its_session_or_its_key(child, table):
    leader = process.ProcessId(child.pid, process.start_ticks(child.pid))
    assert process.is_alive(leader)
    assert not process.is_alive(process.ProcessId(child.pid, leader.ticks + 1))
    # Its number belongs to another process: only the key finds it.
    assert process.end_family(process.ProcessId(child.pid, leader.ticks - 1), "another key", grace=0)
    assert child.poll() is None
    assert process.end_family(None, "key")
    assert child.wait(60) == -signal.SIGTERM


def test_a_leader_that_has_no_session_of_its_own_yet_is_ended(table):
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    leader = process.ProcessId(started.pid, process.start_ticks(started.pid))
    assert process.end_family(leader, "a mark that it does not have")
    assert started.wait(60) == -signal.SIGTERM
    started.stdin.close()


@ON_LINUX
def test_one_that_was_there_at_the_last_look_is_not_read_again(child, monkeypatch):
    read, table = [], ProcFolder()
    original = processtable._read
    monkeypatch.setattr(processtable, "_read", lambda path: read.append(path) or original(path))
    table.started_since(0)
    assert f"/proc/{child.pid}/stat" in read
    read.clear()
    assert child.pid in table.started_since(0)
    assert f"/proc/{child.pid}/stat" not in read


@ON_LINUX
def test_a_number_that_now_stands_for_another_process_is_read_again(child):
    table = ProcFolder()
    inode = os.stat(f"/proc/{child.pid}").st_ino  # noqa: PTH116
    table._starts = {child.pid: (inode + 1, 1)}
    assert child.pid in table.started_since(table.status(child.pid).ticks)


@ON_LINUX
def test_one_whose_file_could_not_be_read_is_looked_at_again(child, monkeypatch):
    table = ProcFolder()
    with monkeypatch.context() as patch:
        patch.setattr(processtable, "_read", lambda path: b"")
        table.started_since(0)
    assert child.pid in table.started_since(table.status(child.pid).ticks)


def test_a_sandbox_that_refuses_limits_of_other_processes_stops_no_job(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(process.resource, "prlimit", refuse, raising=False)
    process.Shell(descriptors=100).limit(os.getpid())
