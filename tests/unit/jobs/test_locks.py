"""One command at a time in a job folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from azureml_wrapper import file_lock
from azureml_wrapper.errors import FolderBusy, FolderClosed
from azureml_wrapper.jobs.occupancy import RESULTS, locked

HOLD = """
import sys
from pathlib import Path
from azureml_wrapper.jobs.occupancy import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_command_is_told_who_is_there(tmp_path):
    with locked(tmp_path):
        told = rf"{tmp_path} is in use by another command \(.*pid \d+, since \d\d:"
        with pytest.raises(FolderBusy, match=told), locked(tmp_path):
            pass
        with locked(tmp_path, RESULTS):
            pass
    with locked(tmp_path):
        pass


def test_a_process_that_is_killed_leaves_the_folder_free(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderBusy, match=f"pid {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
        holder.wait()
        with locked(tmp_path):
            pass


def test_the_word_of_a_command_that_was_an_instant_faster_is_waited_for(tmp_path):
    handle = os.open(tmp_path / ".aml_job.lock", os.O_RDWR | os.O_CREAT)
    assert file_lock._take(handle)
    signs = threading.Timer(0.05, file_lock._sign, [handle])
    signs.start()
    with pytest.raises(FolderBusy, match=r"pid \d+, since"), locked(tmp_path):
        pass
    signs.join()
    os.close(handle)


def test_a_folder_that_is_given_back_in_this_instant_is_free(tmp_path):
    handle = os.open(tmp_path / ".aml_job.lock", os.O_RDWR | os.O_CREAT)
    assert file_lock._take(handle)
    gives_back = threading.Timer(0.05, os.close, [handle])
    gives_back.start()
    with locked(tmp_path):
        pass
    gives_back.join()


def test_a_command_that_has_ended_leaves_no_word(tmp_path):
    with locked(tmp_path):
        assert (tmp_path / ".aml_job.lock").read_text()
    assert (tmp_path / ".aml_job.lock").read_text() == ""


def test_an_error_leaves_the_folder_free(tmp_path):
    with pytest.raises(ValueError, match="mine"), locked(tmp_path):
        raise ValueError("mine")
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    told = r"Cannot write to .*file/output: Not a directory"
    with pytest.raises(FolderClosed, match=told), locked(tmp_path / "file" / "output"):
        pass
