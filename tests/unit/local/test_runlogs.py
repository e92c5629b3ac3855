"""The second name of a run's log: a hard link, or a copy that follows it."""

from __future__ import annotations

import errno
import os

import pytest

from azureml_wrapper.local.executor import runlogs
from azureml_wrapper.local.executor.runlogs import SecondName
from azureml_wrapper.local.store.blobfiles import link_file
from tests.waiting import until


@pytest.fixture
def names(tmp_path, monkeypatch):
    monkeypatch.setattr(runlogs, "FOLLOW_SECONDS", 0.01)
    (tmp_path / "incoming").mkdir()
    (tmp_path / "log").write_text("first\n")
    return tmp_path / "log", tmp_path / "name", tmp_path / "incoming"


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def no_links(request, monkeypatch):
    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refuse)


def test_a_link_is_the_same_file(names):
    file, name, folder = names
    second = SecondName(file, name, folder)
    assert file.samefile(name)
    second.close()


def test_a_copy_follows_the_log_and_is_complete_at_its_end(names, no_links):
    file, name, folder = names
    second = SecondName(file, name, folder)
    assert name.read_text() == "first\n"
    file.write_text("above\nfirst\nsecond\n")
    until(lambda: name.read_text() == "above\nfirst\nsecond\n")
    second.close()
    with file.open("a") as end:
        end.write("not any more\n")
    assert name.read_text() == "above\nfirst\nsecond\n"
    assert list(folder.iterdir()) == []


def test_what_was_written_last_is_copied_at_the_end(names, no_links, monkeypatch):
    monkeypatch.setattr(runlogs, "FOLLOW_SECONDS", 600)
    file, name, folder = names
    second = SecondName(file, name, folder)
    file.write_text("first\nlast\n")
    second.close()
    assert name.read_text() == "first\nlast\n"


def test_other_errors_of_links_are_not_hidden(names):
    file, name, _ = names
    name.touch()
    with pytest.raises(FileExistsError):
        link_file(file, name)
