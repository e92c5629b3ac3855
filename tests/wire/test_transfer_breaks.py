"""Connections that break: a transfer goes on, or stops without leaving half a file, and is continued."""

from __future__ import annotations

import base64
import os
import secrets
import threading

import pytest
from azureml.core import Datastore

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer import sync_folder
from azureml_wrapper.transfer.download_file import PIECE
from azureml_wrapper.transfer.http_client import WORKERS
from azureml_wrapper.transfer.local_files import PART
from azureml_wrapper.transfer.upload import BLOCK
from tests.wire.cutter import Cutter

pytestmark = pytest.mark.local_only

SIZE = 6 * BLOCK + 12345


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr("azureml_wrapper.transfer.http_client.FIRST_PAUSE", 0.01)


@pytest.fixture
def small_pieces(monkeypatch):
    """So many that half a file has whole ones, however many are under way at once."""
    piece = SIZE // (4 * WORKERS)
    monkeypatch.setattr("azureml_wrapper.transfer.download_file.PIECE", piece)
    monkeypatch.setattr("azureml_wrapper.transfer.upload.BLOCK", piece)


@pytest.fixture
def cutter(ws):
    made = Cutter(int(ws.get_default_datastore().endpoint.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
def store(ws, unique, cutter):
    """A datastore whose storage is reached through the cutter."""
    name, key = unique("s"), base64.b64encode(secrets.token_bytes(64)).decode()
    made = Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key)
    made.endpoint = f"core.windows.net@127.0.0.1:{cutter.port}"
    return made


@pytest.fixture
def large(tmp_path):
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(SIZE))
    return folder


def stored(store):
    container = store.blob_service.get_container_client(store.container_name)
    return {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs()}


def test_an_upload_goes_on_after_its_connections_broke(store, cutter, large):
    cutter.cut("up", after=SIZE // 2, times=5)
    report = sync_folder(large, store)
    assert cutter.cuts == 5
    assert (report.uploaded, report.bytes) == (("large",), SIZE)
    assert cutter.passed["up"] < SIZE + 6 * BLOCK, "only the blocks whose connections broke were sent again"
    assert stored(store) == {"large": (large / "large").read_bytes()}


def test_a_download_goes_on_after_its_connections_broke(store, cutter, large, tmp_path):
    sync_folder(large, store)
    before = cutter.passed["down"]
    cutter.cut("down", after=SIZE // 2, times=5)
    report = sync_folder(tmp_path / "back", store, direction="down")
    assert cutter.cuts == 5
    assert (report.downloaded, report.bytes) == (("large",), SIZE)
    assert cutter.passed["down"] - before < SIZE + 6 * PIECE
    assert (tmp_path / "back" / "large").read_bytes() == (large / "large").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_an_upload_that_stays_broken_leaves_no_half_blob_and_is_continued(store, cutter, large):
    cutter.cut("up", after=SIZE // 2)
    with pytest.raises(TransferFailed, match=r"connection broke.*Start the transfer again") as failed:
        sync_folder(large, store)
    cutter.heal()
    assert stored(store) == {}
    assert failed.value.report.uploaded == ()
    again = sync_folder(large, store)
    assert 0 < again.bytes < SIZE, "the blocks that had arrived are not sent again"
    assert stored(store) == {"large": (large / "large").read_bytes()}


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_a_file_that_has_changed_since_the_break_is_not_mixed_with_what_it_was(store, cutter, large):
    cutter.cut("up", after=SIZE // 2)
    with pytest.raises(TransferFailed):
        sync_folder(large, store)
    cutter.heal()
    changed = os.urandom(BLOCK) + (large / "large").read_bytes()[BLOCK:]
    (large / "large").write_bytes(changed)
    sync_folder(large, store)
    assert stored(store) == {"large": changed}


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_a_download_that_stays_broken_leaves_no_half_file_and_is_continued(store, cutter, large, tmp_path):
    sync_folder(large, store)
    back = tmp_path / "back"
    cutter.cut("down", after=SIZE // 2)
    with pytest.raises(TransferFailed, match=r"connection broke.*Start the transfer again"):
        sync_folder(back, store, direction="down")
    cutter.heal()
    assert [path for path in back.iterdir() if not path.name.endswith(PART)] == []
    again = sync_folder(back, store, direction="down")
    assert 0 < again.bytes < SIZE, "the pieces that had come are not fetched again"
    assert [path.name for path in back.iterdir()] == ["large"]
    assert (back / "large").read_bytes() == (large / "large").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_pieces_of_an_older_state_are_not_mixed_with_a_newer_one(store, cutter, large, tmp_path):
    sync_folder(large, store)
    cutter.cut("down", after=SIZE // 2)
    with pytest.raises(TransferFailed):
        sync_folder(tmp_path / "back", store, direction="down")
    cutter.heal()
    (large / "large").write_bytes(os.urandom(SIZE))
    sync_folder(large, store)
    sync_folder(tmp_path / "back", store, direction="down")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["large"]
    assert (tmp_path / "back" / "large").read_bytes() == (large / "large").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_pieces_that_were_damaged_on_the_disk_are_noticed_and_fetched_anew(store, cutter, large, tmp_path):
    sync_folder(large, store)
    back = tmp_path / "back"
    cutter.cut("down", after=SIZE // 2)
    with pytest.raises(TransferFailed):
        sync_folder(back, store, direction="down")
    cutter.heal()
    [part] = [path for path in back.iterdir() if not path.name.endswith(PART * 2)]
    [notes] = [path for path in back.iterdir() if path.name.endswith(PART * 2)]
    with part.open("r+b") as file:
        file.seek(int(notes.read_text().split()[0]))
        file.write(b"damaged")
    sync_folder(back, store, direction="down")
    assert (back / "large").read_bytes() == (large / "large").read_bytes()


@pytest.mark.slow
def test_many_small_files_survive_a_line_that_breaks_again_and_again(store, cutter, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number}").write_bytes(os.urandom(20_000))
    cutter.cut("up", after=500_000, times=30)
    assert len(sync_folder(folder, store).uploaded) == 200
    assert cutter.cuts == 30
    assert stored(store) == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_transfers_of_one_folder_do_not_disturb_each_other(store, large, reported):
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(sync_folder(large, store))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(report.bytes for report in reports) == [0, SIZE]
    assert "Another transfer of this folder is running" in reported()
