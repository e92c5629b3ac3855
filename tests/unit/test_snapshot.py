"""Script folders, checked before they are sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_wrapper.errors import ScriptNotFound, SnapshotTooLarge
from azureml_wrapper.snapshots.script_folder import check_script, check_upload

MEGABYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text("")
    return tmp_path


def sparse(file, size):
    """A file of that size that takes no room."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        out.truncate(size)


def test_a_script_is_found(folder):
    check_script(folder, "train.py")


def test_a_missing_script_is_told_with_the_one_that_was_meant(folder):
    with pytest.raises(ScriptNotFound, match=r"No script 'tran.py' in .* Did you mean 'train.py'"):
        check_script(folder, "tran.py")
    with pytest.raises(FileNotFoundError, match=r"It contains train\.py"):
        check_script(folder, "zzz.py")


def test_a_missing_folder_is_told(folder):
    with pytest.raises(ScriptNotFound, match="nope does not exist"):
        check_script(folder / "nope", "train.py")


def test_a_folder_over_the_size_says_what_weighs_most(folder):
    sparse(folder / "data" / "big.bin", 250 * MEGABYTE)
    sparse(folder / "models" / "m.bin", 60 * MEGABYTE)
    with pytest.raises(
        SnapshotTooLarge, match=r"has 310\.0 MB; .* 300 MB\. .*data 250\.0 MB, models 60\.0 MB.*\.amlignore"
    ):
        check_upload(folder)


def test_a_folder_of_too_many_files_says_where_they_are(folder):
    (folder / "many").mkdir()
    for number in range(2000):
        (folder / "many" / f"{number}").touch()
    with pytest.raises(SnapshotTooLarge, match=r"has 2001 files; .* 2000.*many 2000, train.py 1"):
        check_upload(folder)


def test_the_sdk_s_own_way_to_lift_the_limit_is_followed(folder, monkeypatch):
    for number in range(2000):
        (folder / f"{number}").touch()
    monkeypatch.setenv("AML_SNAPSHOT_NO_FILE_LIMIT", "1")
    check_upload(folder)


@pytest.mark.parametrize("ignore", [".amlignore", ".gitignore"])
def test_what_is_ignored_does_not_weigh(folder, ignore):
    sparse(folder / "data" / "big.bin", 400 * MEGABYTE)
    (folder / ignore).write_text("data/\n")
    check_upload(folder)


def test_amlignore_goes_before_gitignore(folder):
    sparse(folder / "data" / "big.bin", 400 * MEGABYTE)
    (folder / ".gitignore").write_text("data/\n")
    (folder / ".amlignore").write_text("other/\n")
    with pytest.raises(SnapshotTooLarge, match="data 400"):
        check_upload(folder)


def test_a_link_that_leads_nowhere_weighs_nothing(folder):
    (folder / "link").symlink_to(folder / "nowhere")
    check_upload(folder)


@pytest.mark.parametrize("pattern", ["data/", "data", "data/*", "/data/**"])
def test_the_files_of_an_ignored_folder_are_not_looked_at(folder, pattern, monkeypatch):
    for number in range(5):
        sparse(folder / "data" / "deep" / f"{number}.bin", 100 * MEGABYTE)
    (folder / ".amlignore").write_text(f"{pattern}\n")
    seen = []
    monkeypatch.setattr(Path, "exists", lambda self, **_: seen.append(self) or True)
    check_upload(folder)
    assert not [each for each in seen if each.suffix == ".bin"]


def test_a_line_that_includes_a_file_again_counts(folder):
    sparse(folder / "data" / "kept.bin", 310 * MEGABYTE)
    (folder / ".amlignore").write_text("data/*\n!data/kept.bin\n")
    with pytest.raises(SnapshotTooLarge):
        check_upload(folder)


def test_a_folder_whose_files_are_ignored_only_in_part_counts(folder):
    sparse(folder / "data" / "a.bin", 310 * MEGABYTE)
    (folder / ".amlignore").write_text("data/.*\ndata/*.csv\n")
    with pytest.raises(SnapshotTooLarge):
        check_upload(folder)
