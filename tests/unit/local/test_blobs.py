"""The blob store: names, order, paging, notes, and what a kill leaves behind."""

from __future__ import annotations

import base64
import os
import threading
from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local.domain.errors import Invalid, NotFound
from azureml_wrapper.local.domain.storage import Prefix
from azureml_wrapper.local.store.blobfiles import BlobNotes
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.blocks import BlockStore
from azureml_wrapper.local.store.containers import ContainerFolder
from azureml_wrapper.local.store.database import Database
from tests.work import calls

HERE = ("acct", "data")


class MovedClock:
    """Tells a time that the test sets."""

    def __init__(self):
        self.instant = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def now(self):
        self.instant += timedelta(seconds=1)
        return self.instant


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def blobs(tmp_path, clock):
    store = BlobStore(tmp_path / "blobs", Database(":memory:"), clock)
    store.ensure_container(*HERE)
    return store


@pytest.fixture
def blocks(tmp_path, blobs, clock):
    return BlockStore(tmp_path / "blobs", blobs, clock)


def put(blobs, *names, data=b"x"):
    for name in names:
        blobs.put_bytes(*HERE, name, data)


def all_names(blobs, **options):
    return [item.name for item in blobs.page(*HERE, **options)]


# Names


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "..",
            "../x",
            "a/../b",
            "./a",
            "a/.",
            "a\0b",
            "a\nb",
        ),
        "/".join(["x" * 200] * 6),
    ],
)
def test_a_name_that_cannot_be_a_file_below_the_container_is_refused(blobs, name):
    for use in (blobs.path, blobs.get, lambda *args: blobs.put_bytes(*args, b"x")):
        with pytest.raises(Invalid, match=r"Invalid (blob|container|storage account) name"):
            use(*HERE, name)


@pytest.mark.parametrize("name", ["/etc/passwd", "a//b", "a/", "x" * 256, "é" * 128, "a.__blob__", "a.__blob__/b"])
def test_a_name_that_azure_allows_and_no_file_can_have_is_missing_and_cannot_be_written(blobs, name):
    assert blobs.stat(*HERE, name) is None
    for use in (blobs.path, lambda *args: blobs.put_bytes(*args, b"x")):
        with pytest.raises(Invalid, match=r"Invalid blob name"):
            use(*HERE, name)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a b/c+d%2F", "...", ".hidden", "a\\b", "C:"])
def test_an_odd_name_that_can_be_a_file_is_a_blob(blobs, name):
    put(blobs, name)
    assert blobs.get(*HERE, name).size == 1
    assert all_names(blobs) == [name]


@pytest.mark.parametrize(("account", "container"), [("..", "data"), ("acct", ".."), ("acct", "a/b"), ("acct", "A-b")])
def test_accounts_and_containers_keep_to_azures_names(blobs, account, container):
    with pytest.raises(Invalid, match=r"Invalid (blob|container|storage account) name"):
        blobs.ensure_container(account, container)


def test_a_link_that_leads_out_is_neither_read_nor_written_nor_listed(blobs, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    root = blobs.folder(*HERE)
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    (root / "both").mkdir()
    (root / "both.__blob__").symlink_to(outside / "secret")
    assert all_names(blobs) == []
    for name in ("folder/secret", "file", "broken", "both"):
        with pytest.raises(Invalid, match="leads outside its container"):
            blobs.put_bytes(*HERE, name, b"mine")
        with pytest.raises(Invalid, match="leads outside its container"):
            blobs.get(*HERE, name)
    assert (outside / "secret").read_text() == "s"


def test_links_within_the_container_are_followed(blobs):
    put(blobs, "real/x")
    root = blobs.folder(*HERE)
    (root / "near").symlink_to("real")
    assert blobs.get(*HERE, "near/x").size == 1


def test_a_name_without_links_is_looked_at_part_by_part_below_its_container_only(blobs, monkeypatch):
    put(blobs, "a/b/x")
    monkeypatch.delattr(os.path, "realpath")
    assert blobs.get(*HERE, "a/b/x").size == 1
    assert blobs.stat(*HERE, "a/y/x") is None
    assert all_names(blobs) == ["a/b/x"]


def test_a_prefix_cannot_look_out_of_the_container(blobs, tmp_path):
    (tmp_path / "blobs" / "acct" / "other").mkdir()
    (tmp_path / "blobs" / "acct" / "other" / "x").write_text("x")
    for prefix in ("../other/", "../", "/", "//", "/etc/", "a/../../other/"):
        assert all_names(blobs, prefix=prefix) == []


# A blob and a folder of the same name


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
def test_a_and_a_slash_b_are_both_blobs(blobs, order):
    for name in order:
        blobs.put_bytes(*HERE, name, name.encode())
    assert all_names(blobs) == ["a", "a/b"]
    assert [blobs.path(*HERE, name).read_bytes() for name in ("a", "a/b")] == [b"a", b"a/b"]
    assert all_names(blobs, delimiter="/") == ["a", "a/"]
    assert blobs.delete(*HERE, "a")
    assert blobs.stat(*HERE, "a") is None
    assert all_names(blobs) == ["a/b"]


def test_a_folder_without_blobs_gives_way_to_a_blob(blobs):
    put(blobs, "a/b")
    blobs.delete(*HERE, "a/b")
    assert all_names(blobs, delimiter="/") == []
    put(blobs, "a")
    assert blobs.path(*HERE, "a").name == "a"


def test_a_script_that_writes_over_a_set_aside_blob_wins(blobs):
    put(blobs, "a", "a/b")
    root = blobs.folder(*HERE)
    (root / "a" / "b").unlink()
    (root / "a").rmdir()
    (root / "a").write_text("from the script")
    assert blobs.get(*HERE, "a").size == 15
    assert all_names(blobs) == ["a"]
    blobs.delete(*HERE, "a")
    assert all_names(blobs) == []


# Order and pages


def test_names_come_in_azures_order(blobs):
    names = ["a", "a-b", "a.txt", "a/b", "a/b/c", "a0", "b", "ab/x", "Z", "é", "a/b-", "a/b.c/d"]
    put(blobs, *names)
    assert all_names(blobs) == sorted(names)
    assert list(blobs.names(*HERE)) == sorted(names)


@pytest.mark.parametrize("delimiter", ["", "/", "-"])
def test_pages_join_to_the_whole(blobs, delimiter):
    put(blobs, *(f"{folder}/{number}" for folder in ("a", "a-b", "b/c") for number in range(5)), "a", "z")
    whole, joined, marker = all_names(blobs, delimiter=delimiter), [], ""
    while page := all_names(blobs, delimiter=delimiter, marker=marker, limit=2):
        joined += page
        marker = page[-1]
    assert joined == whole
    assert len(set(whole)) == len(whole)


def test_a_prefix_may_end_in_the_middle_of_a_name(blobs):
    put(blobs, "run/out-1/a", "run/out-2", "run/other", "rune")
    assert all_names(blobs, prefix="run/out") == ["run/out-1/a", "run/out-2"]
    assert blobs.page(*HERE, prefix="run/o", delimiter="/")[1] == Prefix(name="run/out-1/")
    assert all_names(blobs, prefix="run/", delimiter="/") == ["run/other", "run/out-1/", "run/out-2"]


def test_a_page_in_the_middle_does_not_read_the_folders_before(blobs, monkeypatch):
    put(blobs, *(f"f{number:03}/x" for number in range(100)))
    read = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(path) or scan(path))
    assert all_names(blobs, marker="f089/x", limit=3) == ["f090/x", "f091/x", "f092/x"]
    assert len(read) <= 5


def test_a_name_costs_the_same_in_a_folder_of_any_size(blobs):
    def page_all(folder):
        marker, count = "", 0
        while page := blobs.page(*folder, marker=marker):
            count, marker = count + len(page), page[-1].name
        assert count == int(folder[1])

    costs = []
    for size in (3_000, 12_000):
        blobs.ensure_container("acct", str(size))
        root = blobs.folder("acct", str(size), "many")
        for number in range(size):
            (root / f"{number:05}").touch()
        costs.append(calls(lambda folder=("acct", str(size)): page_all(folder)) / size)
    assert costs[1] < 1.5 * costs[0]


# What is known of a blob


def test_metadata_holds_until_somebody_else_changes_the_file(blobs):
    blobs.put_bytes(*HERE, "a", b"1", content_type="text/plain", metadata={"k": "v"})
    found = blobs.get(*HERE, "a")
    assert (found.content_type, found.metadata) == ("text/plain", {"k": "v"})
    blobs.path(*HERE, "a").write_text("22")
    changed = blobs.get(*HERE, "a")
    assert changed.etag != found.etag
    assert (changed.content_type, changed.metadata, changed.size) == ("application/octet-stream", {}, 2)


def test_a_file_that_a_script_writes_is_a_blob(blobs):
    (blobs.folder(*HERE, "out/deep") / "x.csv").write_text("1")
    assert blobs.get(*HERE, "out/deep/x.csv").size == 1
    assert all_names(blobs) == ["out/deep/x.csv"]


def test_paths_without_links_are_not_resolved_step_by_step(blobs, monkeypatch):
    resolved = []
    monkeypatch.setattr(os.path, "realpath", resolved.append)
    blobs.put_bytes(*HERE, "a/b/c.txt", b"1")
    assert blobs.get(*HERE, "a/b/c.txt").size == 1
    assert resolved == []


def test_set_properties_changes_the_etag_and_keeps_the_rest(blobs):
    first = blobs.put_bytes(*HERE, "a", b"1", content_type="text/plain")
    second = blobs.set_properties(*HERE, "a", metadata={"k": "v"})
    assert second.etag != first.etag
    assert second.modified > first.modified
    assert blobs.get(*HERE, "a") == second
    assert second.content_type == "text/plain"


def test_append_makes_and_grows_a_blob_and_keeps_its_metadata(blobs, tmp_path):
    blobs.append(*HERE, "log", b"one ")
    blobs.set_properties(*HERE, "log", metadata={"k": "v"})
    more = tmp_path / "more"
    more.write_bytes(b"two")
    assert blobs.append(*HERE, "log", more).size == 7
    assert blobs.get(*HERE, "log").metadata == {"k": "v"}
    assert blobs.path(*HERE, "log").read_bytes() == b"one two"


def test_a_missing_blob_or_container_is_named(blobs):
    assert blobs.stat(*HERE, "no") is None
    assert blobs.stat("acct", "none", "no") is None
    with pytest.raises(NotFound, match="'no'"):
        blobs.get(*HERE, "no")
    with pytest.raises(NotFound, match="container 'none'"):
        blobs.put_bytes("acct", "none", "a", b"")
    assert not blobs.delete(*HERE, "no")


class Reads:
    """Counts the entries of folders that are read."""

    def __init__(self, monkeypatch):
        self.entries, key = 0, ContainerFolder._key

        def counted(folder, entry):
            self.entries += 1
            return key(folder, entry)

        monkeypatch.setattr(ContainerFolder, "_key", counted)


@pytest.fixture
def large(tmp_path, blobs):
    """A flat folder with a thousand blobs, which was changed a while ago."""
    for number in range(1000):
        (tmp_path / "blobs" / "acct" / "data" / f"n{number:04d}").touch()
    os.utime(tmp_path / "blobs" / "acct" / "data", (0, 0))
    return tmp_path / "blobs" / "acct" / "data"


def pages(blobs, size):
    found, marker = [], ""
    while page := all_names(blobs, marker=marker, limit=size):
        found += page
        marker = page[-1]
    return found


def test_all_pages_of_a_folder_read_it_once(blobs, large, monkeypatch):
    reads = Reads(monkeypatch)
    assert pages(blobs, 100) == [f"n{number:04d}" for number in range(1000)]
    assert reads.entries == 1000
    for _ in range(3):
        assert all_names(blobs, prefix="n05", limit=3) == ["n0500", "n0501", "n0502"]
    assert reads.entries <= 3000


def test_a_page_shows_what_has_changed_since_the_one_before(blobs, large):
    assert all_names(blobs, limit=2) == ["n0000", "n0001"]
    put(blobs, "n0001a", "n0500")
    (large / "n0003").unlink()
    with (large / "n0002").open("wb") as file:
        file.write(b"longer")
    found = blobs.page(*HERE, marker="n0001", limit=3)
    assert [(blob.name, blob.size) for blob in found] == [("n0001a", 1), ("n0002", 6), ("n0004", 0)]


def test_a_folder_that_changes_now_is_read_for_each_page(blobs, large, monkeypatch):
    os.utime(large)
    reads = Reads(monkeypatch)
    pages(blobs, 500)
    assert reads.entries >= 2000


def test_whether_a_folder_has_blobs_is_said_by_its_first_one(blobs, large, monkeypatch):
    put(blobs, *(f"sub/{number}" for number in range(50)))
    (large / "empty" / "deeper").mkdir(parents=True)
    reads = Reads(monkeypatch)
    assert all_names(blobs, delimiter="/", marker="n0998") == ["n0999", "sub/"]
    assert all_names(blobs, delimiter="/", prefix="e") == []
    assert reads.entries <= 2 * 1002 + 3


def test_a_folder_mark_is_a_folder_that_can_be_looked_up(blobs):
    blobs.make_marked_folder(*HERE, "dir", {"hdi_isfolder": "true"})
    assert blobs.folder(*HERE, "dir").is_dir()
    assert blobs.get(*HERE, "dir").metadata == {"hdi_isfolder": "true"}
    assert all_names(blobs, delimiter="/") == ["dir/"]
    put(blobs, "dir/x")
    assert blobs.get(*HERE, "dir").size == 0
    assert all_names(blobs) == ["dir/x"]


def test_a_deleted_container_takes_its_notes_along(blobs):
    blobs.put_bytes(*HERE, "a", b"1", metadata={"k": "v"})
    blobs.delete_container(*HERE)
    assert not blobs.has_container(*HERE)
    assert blobs.containers("acct") == []


def test_a_container_that_is_deleted_meanwhile_does_not_exist(tmp_path):
    folder = ContainerFolder(tmp_path / "data")
    with pytest.raises(NotFound, match="The container 'data' does not exist"):
        folder.version()


# Writes that end in the middle


def test_a_write_that_stops_before_the_rename_leaves_the_old_blob_whole(blobs, tmp_path, monkeypatch):
    before = blobs.put_bytes(*HERE, "a", b"old", metadata={"k": "old"})
    source = tmp_path / "new"
    source.write_bytes(b"new")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(source), "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        blobs.put_file(*HERE, "a", source, metadata={"k": "new"})
    assert blobs.get(*HERE, "a") == before
    assert blobs.path(*HERE, "a").read_bytes() == b"old"


def test_what_was_being_received_is_gone_at_the_next_start(blobs, tmp_path, clock):
    with blobs.receive() as path:
        path.write_bytes(b"half")
        again = BlobStore(tmp_path / "blobs", Database(":memory:"), clock)
        assert not path.exists()
    assert list(again.names(*HERE)) == []


@pytest.mark.parametrize(("write", "change"), [("append", {"data": b"new"}), ("set_properties", {"headers": {}})])
def test_who_reads_between_a_file_and_its_note_waits_for_the_note(blobs, monkeypatch, write, change):
    blobs.put_bytes(*HERE, "a", b"old", metadata={"k": "v"})
    found = []
    readers = [
        threading.Thread(target=lambda: found.append(blobs.stat(*HERE, "a"))),
        threading.Thread(target=lambda: found.extend(blobs.page(*HERE))),
    ]
    add = BlobNotes.add

    def add_while_others_read(*args):
        for reader in readers:
            reader.start()
            reader.join(0.2)
        add(*args)

    monkeypatch.setattr(BlobNotes, "add", add_while_others_read)
    getattr(blobs, write)(*HERE, "a", **change)
    for reader in readers:
        reader.join()
    assert [blob.metadata for blob in found] == [{"k": "v"}, {"k": "v"}]


@pytest.mark.parametrize("write", ["append", "set_properties"])
def test_a_kill_between_a_file_and_its_note_loses_nothing_of_the_note(blobs, tmp_path, clock, monkeypatch, write):
    database = Database(":memory:")
    killed = BlobStore(tmp_path / "blobs", database, clock)
    killed.append(*HERE, "a", b"old")
    killed.set_properties(*HERE, "a", metadata={"k": "v"})

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BlobNotes, "finish", kill)
        with pytest.raises(KeyboardInterrupt):
            getattr(killed, write)(
                *HERE, "a", **{"append": {"data": b"new"}, "set_properties": {"headers": {}}}[write]
            )
    found = BlobStore(tmp_path / "blobs", database, clock).get(*HERE, "a")
    assert (found.kind, found.metadata) == ("AppendBlob", {"k": "v"})
    assert database.all("SELECT name FROM blob_changes") == []


def test_an_append_to_a_full_disk_leaves_the_note(blobs, monkeypatch):
    before = blobs.append(*HERE, "a", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("azureml_wrapper.local.store.blobs.append_bytes", full)
    with pytest.raises(OSError, match="No space"):
        blobs.append(*HERE, "a", b"new")
    assert blobs.get(*HERE, "a") == before


def test_a_check_that_refuses_leaves_the_blob_as_it_was(blobs):
    put(blobs, "a", data=b"old")

    def refuse(blob):
        raise ZeroDivisionError(blob.size)

    with blobs.receive() as path:
        path.write_bytes(b"new")
        with pytest.raises(ZeroDivisionError, match="3"):
            blobs.put_file(*HERE, "a", path, check=refuse)
    assert blobs.path(*HERE, "a").read_bytes() == b"old"


# Blocks


def block_id(number):
    return base64.b64encode(f"{number:04}".encode()).decode()


def stage(blocks, tmp_path, number, data, name="big"):
    source = tmp_path / "block"
    source.write_bytes(data)
    blocks.stage(*HERE, name, block_id(number), source=source)


def commit(blocks, *picks, name="big"):
    return blocks.commit(*HERE, name, [(which, block_id(number)) for which, number in picks], headers={}, metadata={})


def test_blocks_are_no_blob_before_they_are_committed(blobs, blocks, tmp_path):
    for number, data in enumerate((b"one", b"two", b"three")):
        stage(blocks, tmp_path, number, data)
    assert blobs.stat(*HERE, "big") is None
    assert all_names(blobs) == []
    assert blocks.staged(*HERE, "big") == [(block_id(0), 3), (block_id(1), 3), (block_id(2), 5)]
    commit(blocks, ("Latest", 2), ("Uncommitted", 0))
    assert blobs.path(*HERE, "big").read_bytes() == b"threeone"
    assert blocks.staged(*HERE, "big") == []


def test_a_new_list_may_name_committed_blocks(blobs, blocks, tmp_path):
    stage(blocks, tmp_path, 0, b"zero")
    stage(blocks, tmp_path, 1, b"one")
    commit(blocks, ("Latest", 0), ("Latest", 1))
    stage(blocks, tmp_path, 0, b"0")
    blob = commit(blocks, ("Committed", 0), ("Latest", 1), ("Uncommitted", 0))
    assert blobs.path(*HERE, "big").read_bytes() == b"zeroone0"
    assert [size for _, size in blob.blocks] == [4, 3, 1]


def test_a_list_with_a_missing_block_or_a_bad_id_is_refused(blobs, blocks, tmp_path):
    stage(blocks, tmp_path, 0, b"zero")
    with pytest.raises(Invalid, match="unknown block"):
        commit(blocks, ("Latest", 0), ("Latest", 7))
    assert blobs.stat(*HERE, "big") is None
    bad = tmp_path / "bad"
    bad.touch()
    with pytest.raises(Invalid, match="Invalid block id"):
        blocks.stage(*HERE, "big", "../../x", source=bad)


# Notes


def noted(blobs, name):
    """How many notes there are of a blob: one for each ETag that is still known."""
    table = blobs._notes._database
    return len(table.all("SELECT 1 FROM blob_notes WHERE name = ?", (name,)))


def test_a_blob_has_one_note_however_often_it_changes(blobs, tmp_path):
    for change in (
        lambda: put(blobs, "a", data=b"12"),
        lambda: blobs.append(*HERE, "a", b"3"),
        lambda: blobs.set_properties(*HERE, "a", metadata={"k": "v"}),
        lambda: blobs.set_properties(*HERE, "a", headers={"content-type": "text/plain"}),
        lambda: put(blobs, "a", data=b"1234"),
    ):
        change()
        assert noted(blobs, "a") == 1


def test_a_deleted_blob_leaves_no_note(blobs):
    put(blobs, "a", "b")
    blobs.delete(*HERE, "a")
    assert (noted(blobs, "a"), noted(blobs, "b")) == (0, 1)
    blobs.delete_container(*HERE)
    assert noted(blobs, "b") == 0
