"""What a transfer remembers for the next one."""

from __future__ import annotations

import time

import pytest

from azureml_wrapper.transfer.local_files import LocalFile
from azureml_wrapper.transfer.plan import ChecksumCache, cache_file

OLD = 1_000_000_000


def file(size=5, mtime=OLD, ctime=OLD):
    return LocalFile("x", size, mtime, ctime)


def test_an_md5_holds_for_one_size_and_for_the_times_of_one_state():
    cache = ChecksumCache()
    cache.learn_local("x", file(), "m")
    assert cache.local_md5("x", file()) == "m"
    assert cache.local_md5("x", file(size=6)) is None
    assert cache.local_md5("x", file(mtime=OLD + 1)) is None
    assert cache.local_md5("x", file(ctime=OLD + 1)) is None
    assert cache.local_md5("y", file()) is None


def test_a_file_changed_at_this_instant_is_not_remembered():
    cache = ChecksumCache()
    cache.learn_local("x", file(mtime=time.time_ns()), "m")
    assert cache.local == {}


def test_an_md5_holds_for_one_etag():
    cache = ChecksumCache()
    cache.learn_remote("x", "e", "m")
    assert (cache.remote_md5("x", "e"), cache.remote_md5("x", "f")) == ("m", None)
    cache.learn_remote("y", "", "m")
    assert cache.remote_md5("y", "") is None


def test_checksums_come_back_as_they_were(tmp_path):
    cache = ChecksumCache()
    cache.learn_local("é/😀", file(), "m")
    cache.learn_remote("é/😀", "e", "m")
    cache.save(tmp_path / "new folder" / "cache.json")
    assert ChecksumCache.load(tmp_path / "new folder" / "cache.json") == cache


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 0}', '{"version": 1, "local": {"x": 1}}', "\xff"])
def test_a_damaged_file_is_as_none(tmp_path, text):
    (tmp_path / "cache.json").write_bytes(text.encode("latin-1"))
    assert ChecksumCache.load(tmp_path / "cache.json") == ChecksumCache()
    assert ChecksumCache.load(tmp_path / "none.json") == ChecksumCache()


def test_a_disk_that_cannot_be_written_to_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ChecksumCache()
    cache.learn_remote("x", "e", "m")
    cache.save(tmp_path / "file" / "cache.json")


def test_only_what_is_new_is_written(tmp_path):
    cache = ChecksumCache()
    cache.learn_remote("x", "e", "m")
    cache.save(tmp_path / "cache.json")
    loaded = ChecksumCache.load(tmp_path / "cache.json")
    (tmp_path / "cache.json").unlink()
    loaded.keep({}, {"x"})
    loaded.save(tmp_path / "cache.json")
    assert not (tmp_path / "cache.json").exists()
    loaded.keep({}, {})
    loaded.save(tmp_path / "cache.json")
    assert ChecksumCache.load(tmp_path / "cache.json") == ChecksumCache()


def test_what_is_gone_is_forgotten():
    cache = ChecksumCache({"x": (1, 1, 1, "m"), "y": (1, 1, 1, "m")}, {"x": ("e", "m"), "y": ("e", "m")})
    cache.keep({"x"}, {"y"})
    assert (set(cache.local), set(cache.remote)) == ({"x"}, {"y"})


def test_each_pair_of_folders_has_a_cache_of_its_own(tmp_path):
    files = {cache_file(tmp_path / name, address) for name in "ab" for address in ("https://x/c/", "https://x/d/")}
    assert len(files) == 4
    assert len({file.parent for file in files}) == 1
