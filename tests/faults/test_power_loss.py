"""A loss of power, simulated: files that were not flushed lose their content, and the machine has started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from azureml_wrapper.local import server, service_process
from azureml_wrapper.local.domain.errors import Damaged, Invalid
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store import syncing
from azureml_wrapper.local.store.migrations import NewerDatabase
from tests.waiting import until

PLACE = ("account", "container")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def flushed(monkeypatch):
    """The paths of all files that were flushed, in order."""
    paths, flush = [], os.fsync

    def record(descriptor):
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


@pytest.fixture
def opened(home):
    """`opened()` opens the home as a service does; the earlier one stays as if killed."""
    contexts = []

    def open_again():
        for context in contexts:
            context.database.checkpoint_by(lambda: None)
        contexts.append(server.open_stores(home, 1))
        contexts[-1].blobs.ensure_container(*PLACE)
        return contexts[-1]

    yield open_again
    for context in contexts:
        context.work_queue.close()
        context.syncer.close()
        context.database.close()


@pytest.fixture
def _never_flushed(monkeypatch):
    """The syncer waits so long that a test is over before; only `flush` flushes."""
    monkeypatch.setattr(syncing, "PAUSE", 3600.0)


def lose_power(home):
    """The next start happens after another start of the machine."""
    mark = home.path / "running"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "boot": "earlier"}))


def halve(path):
    """What is left of a file whose data were not written: its name and times, and a part of its size."""
    times = path.stat()
    os.truncate(path, times.st_size // 2)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def read(context, name):
    return context.blobs.path(*PLACE, name).read_bytes()


def test_what_is_new_is_flushed_the_database_last(home, opened, flushed):
    context = opened()
    del flushed[:]
    context.blobs.put_bytes(*PLACE, "folder/new", b"content")
    file, log = str(home.blobs / "account/container/folder/new"), f"{home.database}-wal"
    until(lambda: log in flushed and file in flushed)
    first = flushed[: flushed.index(log)]
    assert file in first
    assert str(home.blobs / "account/container/folder") in first
    assert str(home.blobs / "account") in first


def test_a_change_of_the_database_alone_is_flushed(home, opened, flushed):
    context = opened()
    until(lambda: f"{home.database}-wal" in flushed)
    del flushed[:]
    context.accounts.ensure("another")
    until(lambda: f"{home.database}-wal" in flushed)


def test_appended_deleted_and_replaced_blobs_and_snapshots_are_flushed(home, opened, flushed, tmp_path):
    context = opened()
    container = home.blobs / "account/container"
    context.blobs.append(*PLACE, "grows", b"a")
    until(lambda: str(container / "grows") in flushed)
    del flushed[:]
    context.blobs.delete(*PLACE, "grows")
    until(lambda: str(container) in flushed)
    stored = context.snapshots.keep(b"print()")
    until(lambda: str(home.snapshots / stored.sha256[:2] / stored.sha256) in flushed)


def test_a_large_file_is_flushed_before_it_gets_its_name(home, opened, flushed, monkeypatch):
    context = opened()
    monkeypatch.setattr(syncing, "LARGE", 100)
    context.blobs.put_bytes(*PLACE, "large", b"x" * 100)
    assert any(path.startswith(str(home.blobs / ".incoming")) for path in flushed)


@pytest.mark.usefixtures("_never_flushed")
def test_nothing_is_half_after_a_loss_of_power(home, opened):
    context = opened()
    for name in ("old", "properties", "again"):
        context.blobs.put_bytes(*PLACE, name, b"old content")
    context.syncer.flush()
    context.syncer.flush()
    context.blobs.put_bytes(*PLACE, "new", b"new content")
    context.blobs.put_bytes(*PLACE, "whole", b"new content")
    context.blobs.put_bytes(*PLACE, "old", b"new content")
    context.blobs.put_bytes(*PLACE, "again", b"newer content")
    context.blobs.put_bytes(*PLACE, "again", b"newest content")
    context.blobs.set_properties(*PLACE, "properties", metadata={"key": "value"})
    context.blobs.append(*PLACE, "appended", b"some")
    # A script that writes to a mounted folder.
    script = context.blobs.folder(*PLACE) / "script"
    script.write_bytes(b"by a script")
    os.utime(script, ns=(1, 1_700_000_000_123_456_789))
    for name in ("new", "old", "again"):
        halve(context.blobs.path(*PLACE, name))
    context.database.execute("UPDATE blob_notes SET etag = 'lost' WHERE name = 'properties'")
    lose_power(home)

    after = opened()
    assert after.blobs.stat(*PLACE, "new") is None
    assert (home.path / "unsynced/account/container/new").read_bytes() == b"new c"
    assert {name: read(after, name) for name in ("whole", "old", "again", "properties", "appended", "script")} == {
        "whole": b"new content",
        "old": b"old content",
        "again": b"old content",
        "properties": b"old content",
        "appended": b"some",
        "script": b"by a script",
    }
    assert list((home.blobs / ".kept").iterdir()) == []


@pytest.mark.usefixtures("_never_flushed")
def test_after_a_kill_everything_acknowledged_is_there(home, opened):
    context = opened()
    context.blobs.put_bytes(*PLACE, "blob", b"old")
    context.syncer.flush()
    context.blobs.put_bytes(*PLACE, "blob", b"new")
    # A file whose notes do not match it, as one that something else has written.
    halve(context.blobs.path(*PLACE, "blob"))
    after = opened()
    assert read(after, "blob") == b"n"


def add_snapshot(context, folder, content=b"print()"):
    file = folder / "a.py"
    file.write_bytes(content)
    tree = {
        "name": "",
        "hash": None,
        "type": "Directory",
        "timestamp": "",
        "sasUrl": "",
        "absoluteUrl": "",
        "children": {},
    }
    tree["children"]["a.py"] = {**tree, "name": "a.py", "hash": "h", "type": "File", "children": {}}
    context.snapshots.add("w", f"snapshot-{len(content)}", read_tree(tree), {"a.py": file})
    return context.snapshots.file("w", f"snapshot-{len(content)}", "a.py")


@pytest.mark.usefixtures("_never_flushed")
def test_a_snapshot_without_its_files_is_discarded(home, opened, tmp_path):
    context = opened()
    whole = add_snapshot(context, tmp_path, b"whole")
    halve(add_snapshot(context, tmp_path, b"halved"))
    lose_power(home)
    after = opened()
    assert after.snapshots.find("w", "snapshot-6") is None
    assert after.snapshots.file("w", "snapshot-5", "a.py") == whole


def test_a_snapshot_with_an_incomplete_file_says_so_until_it_is_uploaded_again(home, opened, tmp_path):
    context = opened()
    stored = add_snapshot(context, tmp_path)
    halve(stored)
    with pytest.raises(Damaged, match=r"'a\.py' of snapshot snapshot-7 is missing or incomplete"):
        context.snapshots.restore("w", "snapshot-7", tmp_path / "restored")
    with pytest.raises(Invalid, match="was not uploaded"):
        context.snapshots._keep(context.snapshots.get("w", "snapshot-7").files["a.py"])
    context.snapshots.keep(b"print()")
    context.snapshots.restore("w", "snapshot-7", tmp_path / "restored")
    assert (tmp_path / "restored/a.py").read_bytes() == b"print()"


def test_a_start_that_fails_leaves_the_work_to_the_next_one(home, opened, monkeypatch):
    context = opened()
    context.syncer.close()
    lose_power(home)

    def refuse(*_):
        raise NewerDatabase("newer")

    with monkeypatch.context() as patched:
        patched.setattr(server, "build_context", refuse)
        with pytest.raises(NewerDatabase):
            server.open_stores(home, 1)
    assert syncing.power_lost_since(home) is not None


def test_a_slow_disk_is_reported_once(opened, monkeypatch, caplog):
    context = opened()
    context.syncer.close()
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(syncing, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    context.syncer.flush()
    context.syncer.flush()
    assert caplog.text.count("the disk is slow") == 1


def test_a_home_without_hard_links_flushes_before_it_replaces(home, opened, flushed, monkeypatch):
    context = opened()
    context.blobs.put_bytes(*PLACE, "blob", b"old")

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    del flushed[:]
    context.blobs.put_bytes(*PLACE, "blob", b"new")
    assert any(path.startswith(str(home.blobs / ".incoming")) for path in flushed)


def test_a_stopped_service_leaves_nothing_unwritten(tmp_path):
    home = Home(tmp_path / "served")
    try:
        info = service_process.start(home)
        assert (home.path / "running").exists()
        os.kill(info.pid, signal.SIGKILL)
        until(lambda: not service_process._is_locked(home))
        service_process.start(home)
    finally:
        service_process.stop(home)
    assert not (home.path / "running").exists()
    assert list(home.path.glob("state.sqlite-*")) == []
    shutil.rmtree(home.path)


@pytest.mark.usefixtures("_never_flushed")
def test_a_copy_of_a_folder_whose_service_ran_is_not_taken_for_one_that_lost_its_power(home, opened, tmp_path):
    opened().blobs.put_bytes(*PLACE, "blob", b"content", metadata={"a": "b"})
    lose_power(home)
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path)
    context = server.open_stores(copy, 1)
    try:
        assert read(context, "blob") == b"content"
        assert not (copy.path / "unsynced").exists()
    finally:
        context.work_queue.close()
        context.syncer.close()
        context.database.close()


@pytest.mark.usefixtures("_never_flushed")
def test_what_is_written_after_the_clock_was_set_back_is_looked_at_too(home, opened, monkeypatch):
    context, real = opened(), syncing.time.time_ns
    mark = home.path / "running"
    # As if it had been started three years from now.
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "since": real() + 3 * 365 * 86_400 * 10**9}))
    syncing.keep_mark(home)
    context.blobs.put_bytes(*PLACE, "blob", b"content")
    halve(home.blobs / "account/container/blob")
    lose_power(home)
    assert opened().blobs.stat(*PLACE, "blob") is None


def test_what_could_not_be_flushed_when_a_service_stops_leaves_its_mark(home, opened, monkeypatch):
    context = opened()

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(syncing, "_flush_all", refuse)
    assert not context.syncer.close()
