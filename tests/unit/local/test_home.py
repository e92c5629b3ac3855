"""The home folder."""

from __future__ import annotations

import errno
import os

import pytest

from azureml_wrapper.local.home import ENTRIES, Home, refusal


def test_clearing_removes_what_a_home_is_made_of(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    home.secret()
    home.write_port(1234)
    for name in ("state.sqlite", "state.sqlite-wal", "service.log", "lock"):
        (home.path / name).touch()
    (home.blobs / "account").mkdir()
    (home.blobs / "account" / "file").touch()
    home.clear()
    assert list(home.path.iterdir()) == []


def test_the_folder_of_the_sdks_cache_exists(tmp_path):
    # azureml-core 1.37 to 1.50 write into AZURE_CONFIG_DIR without creating it.
    home = Home(tmp_path / "home")
    home.create()
    assert home.cloud_settings.is_dir()


def test_clearing_leaves_what_is_not_the_services(tmp_path):
    home = Home(tmp_path)
    home.create()
    (tmp_path / "thesis.tex").touch()
    (tmp_path / "data").mkdir()
    home.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "thesis.tex"]


def test_clearing_removes_a_link_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    home = Home(tmp_path / "home")
    home.path.mkdir()
    home.blobs.symlink_to(tmp_path / "elsewhere")
    home.clear()
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert not home.blobs.is_symlink()


def test_every_folder_of_a_new_home_is_known_to_clear(tmp_path):
    Home(tmp_path).create()
    assert {path.name for path in tmp_path.iterdir()} <= set(ENTRIES)


def refusing(error):
    def refuse(*_, **__):
        raise OSError(error, os.strerror(error))

    return refuse


def test_a_file_system_without_symbolic_links_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "symlink", refusing(errno.EPERM))
    home = Home(tmp_path / "home")
    with pytest.raises(OSError, match="no symbolic links") as caught:
        home.create()
    assert f"Cannot use the home folder {home.path}: its file system has no symbolic" in refusal(home, caught.value)


def test_a_full_disk_is_not_taken_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "symlink", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        Home(tmp_path / "home").create()


def test_a_path_that_cannot_be_part_of_PATH_is_refused(tmp_path):
    with pytest.raises(OSError, match="':' in its path"):
        Home(tmp_path / "a:b").create()


def test_a_share_that_refuses_modes_can_have_a_home(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "chmod", refusing(errno.EPERM))
    Home(tmp_path / "home").create()
    assert (tmp_path / "home" / "blobs").is_dir()
