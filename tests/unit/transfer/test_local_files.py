"""Names: which can be sent, and which can be files below a folder."""

from __future__ import annotations

import os

import pytest

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.local_files import PART, TargetFolder, safe_names, scan


def refused(*names, size=1):
    try:
        list(safe_names(names, dict.fromkeys(names, size)))
    except TransferFailed as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "..", "a\0b", "a/b/"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name):
    assert "is not the name of a file below a folder" in refused(name)


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a..", "...", "a b/ä😀", "#", "%2e%2e", "a\\b", "C:x", " "])
def test_an_unusual_name_is_taken(name):
    assert refused(name) is None


def test_a_name_that_no_file_system_takes_is_refused():
    assert "is too long for a file name: 256 bytes" in refused("x" * 256)
    assert "is too long for a file name: 400 bytes" in refused("😀" * 100)


def test_a_file_cannot_be_a_folder_at_once():
    assert "'a' is a file and also a folder" in refused("a", "a/b")


def test_an_empty_blob_of_a_folder_s_name_is_its_mark():
    sizes = {"a": 0, "a/b": 1, "c/": 0, "d": 0}
    assert dict(safe_names(sizes, sizes)).keys() == {"a", "c/"}


def test_names_that_differ_by_case_are_told_where_the_disk_does_not_tell_them_apart(monkeypatch):
    assert refused("a", "A") is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert "are the same file name" in refused("a", "A")


def test_files_of_a_download_that_is_not_whole_are_not_sent(tmp_path):
    (tmp_path / f".x{PART}").write_text("")
    (tmp_path / ".hidden").write_text("")
    assert list(scan(tmp_path).files) == [".hidden"]


@pytest.mark.parametrize("target", ["project/data", "project", "."], ids=["itself", "above", "far above"])
def test_a_link_to_a_folder_above_it_is_not_followed(tmp_path, target):
    folder = tmp_path / "project" / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").touch()
    (tmp_path / "of others").touch()
    (folder / "inner" / "link").symlink_to(tmp_path / target)
    found = scan(folder)
    assert list(found.files) == ["a"]
    assert found.ignored == ["inner/link: a link to a folder above it"]


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert scan(tmp_path).ignored == ["pipe: neither a file nor a folder"]


@pytest.mark.parametrize(
    ("name", "words"),
    [(b"\xff", "not UTF-8"), (b"a\nb", "control characters"), (b"d/" * 600 + b"x", "1201 characters")],
)
def test_a_name_that_the_storage_does_not_take_is_refused(tmp_path, name, words):
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - of bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with open(path, "wb"):  # noqa: PTH123
        pass
    with pytest.raises(TransferFailed, match=words):
        scan(tmp_path)


def test_a_folder_that_is_a_link_out_is_refused_and_nothing_is_made_there(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    target = TargetFolder(tmp_path / "in")
    assert target.path("a/b").parent.is_dir()
    with pytest.raises(TransferFailed, match="leads out of"):
        target.path("link/deep/x")
    assert list((tmp_path / "out").iterdir()) == []
