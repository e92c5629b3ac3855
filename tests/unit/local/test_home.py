"""The home folder."""

from __future__ import annotations

from azureml_wrapper.local.home import ENTRIES, Home


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
