"""How the processes of a job are found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from azureml_wrapper.local.executor import process

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")  # noqa: PTH112


@pytest.fixture
def child():
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


def test_those_that_started_later_are_found_and_no_others(child):
    ticks = process.start_ticks(child.pid)
    assert child.pid in process._started_since(ticks)
    assert child.pid not in process._started_since(ticks + 1)
    assert os.getpid() not in process._started_since(0)


def test_one_that_was_there_at_the_last_look_is_not_read_again(child, monkeypatch):
    read = []
    original = process._read
    monkeypatch.setattr(process, "_read", lambda path: read.append(path) or original(path))
    monkeypatch.setattr(process, "_starts", {})
    process._started_since(0)
    assert f"/proc/{child.pid}/stat" in read
    read.clear()
    assert child.pid in process._started_since(0)
    assert f"/proc/{child.pid}/stat" not in read


def test_a_number_that_now_stands_for_another_process_is_read_again(child, monkeypatch):
    inode = os.stat(f"/proc/{child.pid}").st_ino  # noqa: PTH116
    monkeypatch.setattr(process, "_starts", {child.pid: (inode + 1, 1)})
    assert child.pid in process._started_since(process.start_ticks(child.pid))


def test_one_whose_file_could_not_be_read_is_looked_at_again(child, monkeypatch):
    monkeypatch.setattr(process, "_starts", {})
    with monkeypatch.context() as patch:
        patch.setattr(process, "start_ticks", lambda pid: 0)
        process._started_since(0)
    assert child.pid in process._started_since(process.start_ticks(child.pid))


def test_a_leader_that_has_no_session_of_its_own_yet_is_ended(child):
    leader = process.ProcessId(child.pid, process.start_ticks(child.pid))
    assert process.end_family(leader, "a mark that it does not have")
    assert child.wait() == -signal.SIGTERM


def test_a_process_that_has_the_number_of_a_leader_by_now_is_left_alone(child):
    assert process.end_family(process.ProcessId(child.pid, process.start_ticks(child.pid) - 1), "a mark")
    assert child.poll() is None
