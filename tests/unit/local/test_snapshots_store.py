"""Snapshots: what they hold, how they build on each other, and what they refuse."""

from __future__ import annotations

import zipfile
from hashlib import sha256

import pytest

from azureml_wrapper.local.domain.clock import RandomIds, SystemClock
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.snapshots import EMPTY_ID, StoredFile, read_tree
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.snapshots import SnapshotStore
from tests.work import calls


@pytest.fixture
def store(tmp_path):
    return SnapshotStore(Database(":memory:"), tmp_path / "objects", SystemClock(), RandomIds())


@pytest.fixture
def add(store, tmp_path):
    """`add("s1", {"a.py": b"…"}, parent_id=…, upload=[…])`: a snapshot of these files; all of them are uploaded."""

    def make(snapshot_id, files, *, parent_id=None, upload=None, folders=()):
        uploads = {}
        for number, path in enumerate(files if upload is None else upload):
            uploads[path] = tmp_path / f"{snapshot_id}.{number}"
            uploads[path].write_bytes(files[path])
        return store.add("ws", snapshot_id, read_tree(tree(files, folders)), uploads, parent_id=parent_id)

    return make


def tree(files, folders=()):
    root = node("Directory")
    for path in folders:
        at(root, path)
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        at(root, folder)["children"][name] = node("File", content.hex())
    return root


def node(kind, digest="h"):
    return {"type": kind, "hash": digest, "timestamp": "2024-01-01T00:00:00", "children": {}}


def at(root, path):
    for name in filter(None, path.split("/")):
        root = root["children"].setdefault(name, node("Directory"))
    return root


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_snapshot_is_restored_as_it_was(store, add, tmp_path):
    files = {"train.py": b"print(1)", "lib/deep/util.py": b"", "données/é à.txt": "ü".encode()}
    add("s1", files, folders=["empty/inner"])
    store.restore("ws", "s1", tmp_path / "to" / "here")
    assert contents(tmp_path / "to" / "here") == files
    assert (tmp_path / "to" / "here" / "empty" / "inner").is_dir()


def test_what_is_not_sent_again_comes_from_the_parent(store, add, tmp_path):
    first = {"a.py": b"1", "b.py": b"2", "c.py": b"3"}
    add("s1", first)
    second = {"a.py": b"1", "b.py": b"changed", "d.py": b"new"}
    add("s2", second, parent_id="s1", upload=["b.py", "d.py"])
    store.restore("ws", "s2", tmp_path / "out")
    assert contents(tmp_path / "out") == second
    assert store.get("ws", "s2").parent_id == "s1"


def test_each_content_is_kept_once(add, tmp_path):
    add("s1", {"a.py": b"same", "b.py": b"same", "c.py": b"other"})
    add("s2", {"d.py": b"same"})
    assert sorted(contents(tmp_path / "objects").values()) == [b"other", b"same"]


def test_restoring_reads_no_other_snapshot(store, add, tmp_path):
    add("s1", {"a.py": b"1"})
    for number in range(2, 6):
        add(f"s{number}", {"a.py": b"1"}, parent_id=f"s{number - 1}", upload=[])
    store._database.execute("DELETE FROM snapshots WHERE snapshot_id != 's5'")
    store.restore("ws", "s5", tmp_path / "out")
    assert contents(tmp_path / "out") == {"a.py": b"1"}


def test_changing_what_was_restored_changes_no_snapshot(store, add, tmp_path):
    add("s1", {"a.py": b"1"})
    store.restore("ws", "s1", tmp_path / "one")
    (tmp_path / "one" / "a.py").write_bytes(b"spoilt")
    store.restore("ws", "s1", tmp_path / "two")
    assert contents(tmp_path / "two") == {"a.py": b"1"}


def test_a_file_that_is_nowhere_is_refused(add):
    with pytest.raises(Invalid, match=r"'b\.py'"):
        add("s1", {"a.py": b"1", "b.py": b"2"}, upload=["a.py"])


def test_a_file_that_the_parent_has_with_other_content_is_refused(add):
    add("s1", {"a.py": b"1"})
    with pytest.raises(Invalid, match="neither uploaded"):
        add("s2", {"a.py": b"2"}, parent_id="s1", upload=[])


def test_an_unknown_parent_is_refused_and_nothing_is_stored(store, add):
    with pytest.raises(NotFound, match="gone"):
        add("s1", {"a.py": b"1"}, parent_id="gone")
    assert store.find("ws", "s1") is None


def test_an_id_is_used_once(add):
    add("s1", {"a.py": b"1"})
    with pytest.raises(Conflict, match="s1"):
        add("s1", {"a.py": b"2"})


def test_the_latest_is_the_one_added_last(store, add):
    assert store.latest("ws").snapshot_id == EMPTY_ID
    add("s1", {"a.py": b"1"})
    add("s2", {"b.py": b"1"})
    assert store.latest("ws").snapshot_id == "s2"
    assert store.latest("other").snapshot_id == EMPTY_ID


def test_the_empty_snapshot_restores_an_empty_folder(store, tmp_path):
    store.restore("ws", EMPTY_ID, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_snapshot_is_named(store, tmp_path):
    with pytest.raises(NotFound, match="nope"):
        store.restore("ws", "nope", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_file_can_be_read(store, add):
    add("s1", {"lib/a.py": b"1"})
    assert store.file("ws", "s1", "lib/a.py").read_bytes() == b"1"
    with pytest.raises(NotFound, match=r"'b\.py'"):
        store.file("ws", "s1", "b.py")


def test_the_zip_holds_files_and_empty_folders(store, add, tmp_path):
    add("s1", {"lib/é.py": b"1"}, folders=["empty"])
    store.write_zip("ws", "s1", tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert set(archive.namelist()) == {"lib/", "lib/é.py", "empty/"}
        assert archive.read("lib/é.py") == b"1"


def test_equal_folders_have_equal_content_hashes(add):
    one = add("s1", {"a.py": b"1", "b/c.py": b"2"})
    again = add("s2", {"b/c.py": b"2", "a.py": b"1"})
    renamed = add("s3", {"a.py": b"1", "b/d.py": b"2"})
    assert one.content_hash == again.content_hash != renamed.content_hash


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "a\0b", "x" * 256, "é" * 128])
def test_a_name_that_is_none_is_refused(name):
    root = node("Directory")
    root["children"][name] = node("File")
    with pytest.raises(Invalid, match="name"):
        read_tree(root)


@pytest.mark.parametrize("given", [None, [], {"type": "Link"}, {"type": "Directory", "children": {"a": {"type": 1}}}])
def test_what_is_no_tree_is_refused(given):
    with pytest.raises(Invalid):
        read_tree(given)


def test_a_bottomless_tree_is_refused():
    root = leaf = node("Directory")
    for _ in range(200):
        leaf["children"]["d"] = leaf = node("Directory")
    with pytest.raises(Invalid, match="deep"):
        read_tree(root)


def test_children_come_back_sorted(store, add):
    add("s1", {"b.py": b"1", "a.py": b"2", "Z.py": b"3"})
    assert list(store.tree("ws", "s1")["children"]) == ["Z.py", "a.py", "b.py"]


def test_a_file_costs_the_same_in_a_snapshot_of_any_size(store, add, tmp_path):
    costs = []
    for size in (500, 2000):
        files = {f"{number % 50}/{number}.py": b"%d" % number for number in range(size)}
        add(f"{size}-1", files)
        changed = {**files, "0/0.py": b"changed"}
        costs.append(calls(lambda: add(f"{size}-2", changed, parent_id=f"{size}-1", upload=["0/0.py"])) / size)  # noqa: B023
    assert costs[1] < 1.5 * costs[0]
    store.restore("ws", "2000-2", tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 2000


def test_contents_that_no_snapshot_has_any_more_are_swept(store, add, tmp_path):
    add("s1", {"own.py": b"own", "shared.py": b"shared", "sent.py": b"sent"})
    gone = store.contents("ws")
    store.add("other", "s2", read_tree(tree({"a.py": b"shared"})), {"a.py": store.keep(b"shared")})
    store._database.forget("ws")
    store._pending.clear()
    # Another snapshot is about to get it.
    store.keep(b"sent")
    store.sweep(gone)
    left = {path.read_bytes() for path in (tmp_path / "objects").glob("??/*")}
    assert left == {b"shared", b"sent"}


def test_contents_that_were_sent_long_ago_are_not_waited_for(store, add, monkeypatch):
    add("s1", {"a.py": b"a"})
    gone = store.contents("ws")
    store._database.forget("ws")
    monkeypatch.setattr("azureml_wrapper.local.store.snapshots.PENDING_SECONDS", -1.0)
    store.keep(b"b")
    store.sweep(gone)
    assert not store._has(StoredFile(sha256(b"a").hexdigest(), 1))
