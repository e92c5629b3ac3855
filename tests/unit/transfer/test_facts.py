"""What a transfer remembers for the next one."""

from __future__ import annotations

import time

import pytest

from azureml_wrapper.transfer.facts import Facts, facts_file
from azureml_wrapper.transfer.scan import LocalFile

OLD = 1_000_000_000


def file(size=5, mtime=OLD, ctime=OLD):
    return LocalFile("x", size, mtime, ctime)


def test_an_md5_holds_for_one_size_and_for_the_times_of_one_state():
    facts = Facts()
    facts.learn_local("x", file(), "m")
    assert facts.local_md5("x", file()) == "m"
    assert facts.local_md5("x", file(size=6)) is None
    assert facts.local_md5("x", file(mtime=OLD + 1)) is None
    assert facts.local_md5("x", file(ctime=OLD + 1)) is None
    assert facts.local_md5("y", file()) is None


def test_a_file_changed_at_this_instant_is_not_remembered():
    facts = Facts()
    facts.learn_local("x", file(mtime=time.time_ns()), "m")
    assert facts.local == {}


def test_an_md5_holds_for_one_etag():
    facts = Facts()
    facts.learn_remote("x", "e", "m")
    assert (facts.remote_md5("x", "e"), facts.remote_md5("x", "f")) == ("m", None)
    facts.learn_remote("y", "", "m")
    assert facts.remote_md5("y", "") is None


def test_facts_come_back_as_they_were(tmp_path):
    facts = Facts()
    facts.learn_local("é/😀", file(), "m")
    facts.learn_remote("é/😀", "e", "m")
    facts.save(tmp_path / "new folder" / "facts.json")
    assert Facts.load(tmp_path / "new folder" / "facts.json") == facts


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 0}', '{"version": 1, "local": {"x": 1}}', "\xff"])
def test_a_damaged_file_is_as_none(tmp_path, text):
    (tmp_path / "facts.json").write_bytes(text.encode("latin-1"))
    assert Facts.load(tmp_path / "facts.json") == Facts()
    assert Facts.load(tmp_path / "none.json") == Facts()


def test_a_disk_that_cannot_be_written_to_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    facts = Facts()
    facts.learn_remote("x", "e", "m")
    facts.save(tmp_path / "file" / "facts.json")


def test_only_what_is_new_is_written(tmp_path):
    facts = Facts()
    facts.learn_remote("x", "e", "m")
    facts.save(tmp_path / "facts.json")
    loaded = Facts.load(tmp_path / "facts.json")
    (tmp_path / "facts.json").unlink()
    loaded.keep({}, {"x"})
    loaded.save(tmp_path / "facts.json")
    assert not (tmp_path / "facts.json").exists()
    loaded.keep({}, {})
    loaded.save(tmp_path / "facts.json")
    assert Facts.load(tmp_path / "facts.json") == Facts()


def test_what_is_gone_is_forgotten():
    facts = Facts({"x": (1, 1, 1, "m"), "y": (1, 1, 1, "m")}, {"x": ("e", "m"), "y": ("e", "m")})
    facts.keep({"x"}, {"y"})
    assert (set(facts.local), set(facts.remote)) == ({"x"}, {"y"})


def test_each_pair_of_folders_has_facts_of_its_own(tmp_path):
    files = {facts_file(tmp_path / name, address) for name in "ab" for address in ("https://x/c/", "https://x/d/")}
    assert len(files) == 4
    assert len({file.parent for file in files}) == 1
