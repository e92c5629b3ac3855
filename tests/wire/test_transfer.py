"""Folders to and from a datastore: what is transferred, what is skipped, and what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import os
import secrets
import subprocess
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from azureml._vendor.azure_storage.blob import (
    BlobBlock,
    ContainerSasPermissions,
    ContentSettings,
    generate_container_sas,
)
from azureml.core import Datastore, Experiment

from azureml_wrapper import RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import BadArgument, TransferFailed, UnregisteredDatastore
from azureml_wrapper.transfer import download_run_files, sync_folder
from azureml_wrapper.transfer.blob_container import FIRST_ATTEMPTS, BlobContainer
from azureml_wrapper.transfer.download import SdkRunFiles, SignedAddress
from azureml_wrapper.transfer.download_file import PartialFile, RemoteFile, fetch_large, fetch_small
from azureml_wrapper.transfer.http_client import ErrorResponse, HttpClient, Workers
from azureml_wrapper.transfer.local_files import LocalFile
from azureml_wrapper.transfer.outcome import Progress
from azureml_wrapper.transfer.upload import BLOCK, FileChanged, send_large

pytestmark = pytest.mark.local_only

NAMES = ("plain.txt", "with blank.txt", "#hash.txt", "100%.txt", "%41.txt", "é/ü ñ.csv", "😀/🎉.bin", "a+b&c=d?e.txt")
WINDOWS = b"one\r\ntwo\r\n"


@pytest.fixture
def store(ws, unique):
    """A blob container that is a datastore of its own."""
    name, key = unique("s"), base64.b64encode(secrets.token_bytes(64)).decode()
    return Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key)


@pytest.fixture
def local(tmp_path):
    folder = tmp_path / "local"
    folder.mkdir()
    return folder


@pytest.fixture
def back(tmp_path):
    return tmp_path / "back"


def container(store):
    return store.blob_service.get_container_client(store.container_name)


def blobs(store):
    return {blob.name: blob for blob in container(store).list_blobs()}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_name_and_every_byte_comes_back_as_it_was(store, local, back):
    write(local, {name: WINDOWS + name.encode() for name in NAMES} | {"empty": b""})
    up = sync_folder(local, store, target="some/place")
    assert set(up.uploaded) == {*NAMES, "empty"}
    assert up.bytes == sum(map(len, content(local).values()))
    assert set(blobs(store)) == {f"some/place/{name}" for name in (*NAMES, "empty")}
    down = sync_folder(back, store, target="some/place", direction="down")
    assert set(down.downloaded) == set(up.uploaded)
    assert content(back) == content(local)


def test_the_storage_knows_the_md5_of_a_small_and_of_a_large_file(store, local):
    write(local, {"small": WINDOWS, "large": os.urandom(BLOCK + 1)})
    sync_folder(local, store)

    stored = {name: bytes(blob.content_settings.content_md5) for name, blob in blobs(store).items()}
    assert stored == {name: md5(data, usedforsecurity=False).digest() for name, data in content(local).items()}


def test_nothing_is_sent_twice(store, local):
    write(local, {"a": b"1", "b/c": b"2"})
    sync_folder(local, store, target="t")
    again = sync_folder(local, store, target="t")
    assert (again.uploaded, again.bytes) == ((), 0)
    assert set(again.skipped) == {"a", "b/c"}


def test_a_file_is_unchanged_by_its_content_not_by_its_time(store, local):
    write(local, {"a": b"1"})
    sync_folder(local, store)
    os.utime(local / "a", (1, 1))
    assert sync_folder(local, store).skipped == ("a",)
    (local / "a").write_bytes(b"2")
    os.utime(local / "a", (1, 1))
    assert sync_folder(local, store).uploaded == ("a",), "the same size and time, other content"


def test_what_somebody_else_has_changed_in_the_storage_is_sent_again(store, local):
    write(local, {"a": b"1"})
    sync_folder(local, store)
    container(store).upload_blob("a", b"9", overwrite=True)
    assert sync_folder(local, store).uploaded == ("a",)
    assert container(store).download_blob("a").readall() == b"1"


def test_another_machine_needs_no_memory_of_the_first(store, local, tmp_path, monkeypatch):
    write(local, {"a": b"1", "large": os.urandom(BLOCK + 1)})
    sync_folder(local, store)
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(tmp_path / "other"))
    assert set(sync_folder(local, store).skipped) == {"a", "large"}


def test_nothing_is_deleted_unless_it_is_asked_for(store, local):
    write(local, {"a": b"1", "b": b"2"})
    sync_folder(local, store)
    (local / "b").unlink()
    assert sync_folder(local, store).deleted == ()
    assert sync_folder(local, store, delete=True).deleted == ("b",)
    assert set(blobs(store)) == {"a"}


def test_only_the_target_folder_is_made_alike(store, local):
    container(store).upload_blob("tt/other", b"1")
    write(local, {"a": b"1"})
    sync_folder(local, store, target="t", delete=True)
    assert set(blobs(store)) == {"t/a", "tt/other"}


def test_an_empty_source_deletes_nothing(store, local, back):
    write(local, {"a": b"1"})
    sync_folder(local, store)
    (local / "a").unlink()
    with pytest.raises(TransferFailed, match="Nothing was deleted"):
        sync_folder(local, store, delete=True)
    write(back, {"mine": b"1"})
    with pytest.raises(TransferFailed, match="Nothing was deleted"):
        sync_folder(back, store, target="mistyped", direction="down", delete=True)
    assert (set(blobs(store)), set(content(back))) == ({"a"}, {"mine"})


def test_a_renamed_file_is_copied_in_the_storage(store, local, back):
    write(local, {"old": os.urandom(5000)})
    sync_folder(local, store)
    sync_folder(back, store, direction="down")
    (local / "old").rename(local / "new")
    report = sync_folder(local, store, delete=True)
    assert (report.copied, report.deleted, report.bytes) == (("new",), ("old",), 0)
    here = sync_folder(back, store, direction="down", delete=True)
    assert (here.copied, here.deleted, here.bytes) == (("new",), ("old",), 0)
    assert content(back) == content(local)


def test_files_that_others_stored_without_an_md5_are_fetched_once(store, back):
    """The SDK's own uploads of large files tell the storage none."""
    parts = {base64.b64encode(b"1").decode(): os.urandom(5 * 2**20), base64.b64encode(b"2").decode(): b"end"}
    blob = container(store).get_blob_client("made of blocks")
    for block, data in parts.items():
        blob.stage_block(block, data)
    blob.commit_block_list([BlobBlock(block) for block in parts])
    assert sync_folder(back, store, direction="down").downloaded == ("made of blocks",)
    assert (back / "made of blocks").read_bytes() == b"".join(parts.values())
    assert sync_folder(back, store, direction="down").skipped == ("made of blocks",)


def test_blocks_that_another_program_has_left_do_not_hinder(store, local):
    large = os.urandom(BLOCK + 1)
    write(local, {"large": large})
    container(store).get_blob_client("large").stage_block(base64.b64encode(b"x" * 48).decode(), b"left")
    sync_folder(local, store)
    assert container(store).download_blob("large").readall() == large


def test_what_is_stored_compressed_comes_as_it_is_stored(store, back):
    packed = gzip.compress(WINDOWS)
    container(store).upload_blob("x.gz", packed, content_settings=ContentSettings(content_encoding="gzip"))
    sync_folder(back, store, direction="down")
    assert content(back) == {"x.gz": packed}


def test_a_datastore_that_is_no_blob_container_or_has_no_key_is_refused(ws, store, local):
    with pytest.raises(TransferFailed, match="'workspacefilestore' is not a blob container"):
        sync_folder(local, Datastore.get(ws, "workspacefilestore"))
    store.account_key = None
    with pytest.raises(TransferFailed, match="neither an account key nor a SAS token"):
        sync_folder(local, store)


def test_a_sas_token_will_do(store, local):
    permissions = ContainerSasPermissions(read=True, write=True, list=True)
    store.sas_token = generate_container_sas(
        store.account_name,
        store.container_name,
        store.account_key,
        permission=permissions,
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    store.account_key = None
    write(local, {"a": b"1", "b": b"2"})
    assert len(sync_folder(local, store).uploaded) == 2
    (local / "a").unlink()
    with pytest.raises(TransferFailed, match=r"SAS token of the datastore does not allow this"):
        sync_folder(local, store, delete=True)


def test_the_side_that_the_direction_comes_from_wins(store, local):
    write(local, {"a": b"mine"})
    container(store).upload_blob("a", b"theirs")
    sync_folder(local, store, direction="down")
    assert content(local) == {"a": b"theirs"}


def test_folder_marks_are_no_files(store, back):
    container(store).upload_blob("folder", b"", metadata={"hdi_isfolder": "true"})
    container(store).upload_blob("folder/file", b"1")
    sync_folder(back, store, direction="down")
    assert content(back) == {"folder/file": b"1"}


def test_a_link_does_not_lead_a_download_out_of_its_folder(store, back, tmp_path):
    container(store).upload_blob("inner/file", b"1")
    outside = tmp_path / "outside"
    outside.mkdir()
    back.mkdir()
    (back / "inner").symlink_to(outside)
    with pytest.raises(TransferFailed, match="leads out of"):
        sync_folder(back, store, direction="down")
    assert content(outside) == {}


def test_a_link_does_not_lead_a_deletion_out_of_its_folder(store, back, tmp_path):
    """Nor into another folder of it, whose files the storage does have."""
    container(store).upload_blob("kept/x", b"1")
    write(tmp_path / "outside", {"y": b"2"})
    back.mkdir()
    (back / "alias").symlink_to("kept")
    (back / "away").symlink_to(tmp_path / "outside")
    (back / "linked").symlink_to(tmp_path / "outside" / "y")
    sync_folder(back, store, direction="down")
    report = sync_folder(back, store, direction="down", delete=True)
    assert report.deleted == ("linked",)
    assert report.ignored == (
        "alias/x: not deleted because alias is a link",
        "away/y: not deleted because away is a link",
    )
    assert content(tmp_path / "outside") == {"y": b"2"}
    assert (back / "kept" / "x").read_bytes() == b"1"


def test_a_link_that_leads_nowhere_at_the_moment_deletes_nothing(store, local, tmp_path):
    """A disk that is not mounted is no reason to remove its files from the storage."""
    disk = tmp_path / "disk"
    write(disk, {"x": b"1", "inner/y": b"2"})
    write(local, {"here": b"3", "gone": b"4"})
    (local / "data").symlink_to(disk)
    sync_folder(local, store)
    disk.rename(tmp_path / "unmounted")
    (local / "gone").unlink()
    report = sync_folder(local, store, delete=True)
    assert report.deleted == ("gone",)
    assert report.ignored == ("data: No such file or directory",)
    assert set(blobs(store)) == {"here", "data/x", "data/inner/y"}


def test_links_are_sent_as_what_they_point_to(store, local, tmp_path):
    write(tmp_path / "elsewhere", {"x": b"1"})
    (local / "folder").symlink_to(tmp_path / "elsewhere")
    (local / "again").symlink_to(local)
    (local / "broken").symlink_to(tmp_path / "nowhere")
    report = sync_folder(local, store)
    assert report.uploaded == ("folder/x",)
    assert report.ignored == ("again: a link to a folder above it", "broken: No such file or directory")


def test_a_wrong_account_key_is_said_before_anything_is_sent(store, local):
    write(local, {"a": b"1"})
    store.account_key = base64.b64encode(b"wrong" * 12).decode()
    with pytest.raises(TransferFailed, match=r"AuthenticationFailed.*account key.*wrong or has expired"):
        sync_folder(local, store)
    store.account_key = "no key"
    with pytest.raises(TransferFailed, match="is not base64"):
        sync_folder(local, store)


def test_a_container_that_is_gone_is_named(store, local):
    write(local, {"a": b"1"})
    container(store).delete_container()
    with pytest.raises(TransferFailed, match="ContainerNotFound"):
        sync_folder(local, store)


def test_a_storage_that_does_not_answer_is_told_after_a_few_tries(store, local, monkeypatch):
    monkeypatch.setattr("azureml_wrapper.transfer.http_client.FIRST_PAUSE", 0.01)
    write(local, {"a": b"1"})
    store.endpoint = "core.windows.net@127.0.0.1:9"
    with pytest.raises(TransferFailed, match=rf"Connection refused \({FIRST_ATTEMPTS} times\)"):
        sync_folder(local, store)


def test_the_wrapper_s_own_call_does_the_same(ws, store, local, back):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    write(local, {"a": b"1"})
    assert wrapper.sync_folder(local, store.name, target="t").uploaded == ("a",)
    report = wrapper.sync_folder(back, store.name, target="t", direction="down")
    assert (report.downloaded, report.bytes, report.seconds > 0) == (("a",), 1, True)
    with pytest.raises(UnregisteredDatastore):
        wrapper.sync_folder(local, f"{store.name}x")
    with pytest.raises(BadArgument, match="'up' or 'down'"):
        wrapper.sync_folder(local, store.name, direction="sideways")
    with pytest.raises(BadArgument, match="leads out"):
        wrapper.sync_folder(local, store.name, target="../x")
    with pytest.raises(TransferFailed, match="is not a folder"):
        wrapper.sync_folder(local / "mistyped", store.name)


class Forger(BaseHTTPRequestHandler):
    """An artifact service that lists one file under a forged name, and sends its content."""

    name = ""

    def do_GET(self):
        place = f"http://127.0.0.1:{self.server.server_port}/file"
        listed = {"value": [{"origin": "ExperimentRun", "path": self.name, "contentUri": place}]}
        body = b"evil" if self.path == "/file" else json.dumps(listed).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def forged(ws, unique, monkeypatch):
    """A run whose artifact service is a `Forger`."""
    run = Experiment(ws, unique("e")).start_logging(snapshot_directory=None)
    run.upload_file("outputs/a.txt", __file__)
    with ThreadingHTTPServer(("127.0.0.1", 0), Forger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # All runs of a workspace share these settings.
        monkeypatch.setattr(
            run._client.artifacts._client.config, "base_url", f"http://127.0.0.1:{server.server_port}"
        )
        yield run
        monkeypatch.undo()
        server.shutdown()
    run.complete()


@pytest.mark.parametrize("name", ["../../x", "outputs/../../../x", "{outside}/x"])
def test_no_name_of_a_server_leads_out_of_the_folder(forged, tmp_path, monkeypatch, name):
    folder, outside = tmp_path / "deep/er/down", tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setattr(Forger, "name", name.format(outside=outside))
    for download in (download_run_files, lambda run, place: RunWrapper(run).download(place)):
        with pytest.raises(TransferFailed, match="is not the name of a file below a folder"):
            download(forged, folder)
    assert not list(tmp_path.rglob("x"))
    monkeypatch.setattr(Forger, "name", "outputs/fine.txt")
    RunWrapper(forged).download(folder)
    assert (folder / "outputs/fine.txt").read_bytes() == b"evil"


def test_a_run_s_files_come_down_and_stay_while_they_are_the_same(ws, local, back, unique):
    write(local, {"é ü.txt": WINDOWS, "empty": b"", "deep/large": os.urandom(BLOCK + 1)})
    run = Experiment(ws, unique("e")).start_logging(snapshot_directory=None)
    assert download_run_files(run, back).downloaded == ()
    run.upload_folder("outputs", str(local))
    run.upload_file("logs/log.txt", str(local / "é ü.txt"))
    assert len(download_run_files(run, back, prefix="outputs/").downloaded) == 3
    assert content(back / "outputs") == content(local)
    assert not (back / "logs").exists()
    again = download_run_files(run, back, prefix="outputs/")
    assert (again.downloaded, len(again.skipped)) == ((), 3)
    (back / "outputs/é ü.txt").write_bytes(b"changed")
    assert download_run_files(run, back, prefix="outputs/").downloaded == ("outputs/é ü.txt",)
    run.complete()


def test_an_address_that_has_expired_is_asked_for_again(ws, local, back, unique):
    write(local, {"small": b"1", "large": os.urandom(BLOCK + 1)})
    run = Experiment(ws, unique("e")).start_logging(snapshot_directory=None)
    run.upload_folder("outputs", str(local))
    run.complete()
    http = None
    for name, fetched in (("small", 1), ("large", BLOCK + 1)):
        known = run._client.artifacts.get_file_uri("ExperimentRun", run._container, f"outputs/{name}")
        address = SignedAddress(SdkRunFiles(run), f"outputs/{name}", known.replace("sig=", "sig=x"))
        http = http or HttpClient(known)
        with pytest.raises(ErrorResponse, match="AuthenticationFailed"):
            http.send("GET", address())
        remote, progress = RemoteFile(name, address, address.renew), Progress("", 0, shown=False)
        back.mkdir(exist_ok=True)
        came = fetch_small(http, remote, back / name, progress)
        assert (came.size if isinstance(came, RemoteFile) else came.file.size) == fetched
    assert content(back) == {"small": b"1"}, "a large file is given back, to be fetched in pieces"


def test_a_copy_whose_source_has_changed_is_not_made(store, local):
    write(local, {"a": b"1"})
    sync_folder(local, store)
    opened = BlobContainer.of(store)
    [before] = opened.list()
    assert opened.copy(before, "b") is not None
    container(store).upload_blob("a", b"2", overwrite=True)
    assert opened.copy(before, "c") is None
    assert opened.copy(replace(before, name="gone"), "d") is None
    assert {blob.name for blob in opened.list()} == {"a", "b"}


# What changes meanwhile


def put(store, name: str, data: bytes) -> RemoteFile:
    """Store a blob as programs do that send no MD5; return what a listing says of it."""
    container(store).upload_blob(name, data, overwrite=True)
    opened = BlobContainer.of(store)
    [listed] = [blob for blob in opened.list() if blob.name == name]
    return RemoteFile(name, lambda: opened.url(name), size=listed.size, etag=listed.etag)


def test_a_blob_that_was_overwritten_after_the_listing_is_not_fetched_as_what_it_was(store, tmp_path):
    listed = put(store, "a", b"old")
    put(store, "a", b"new")
    opened = BlobContainer.of(store)
    with pytest.raises(ErrorResponse) as refused:
        fetch_small(opened.http, listed, tmp_path / "a", Progress("", 0, shown=False))
    assert refused.value.status == 412
    assert content(tmp_path) == {}


def test_a_blob_that_is_overwritten_between_two_pieces_is_no_mixture(store, back, monkeypatch):
    monkeypatch.setattr("azureml_wrapper.transfer.download_file.CHECKED_PIECE", 4)
    listed, asked = put(store, "a", b"oldolder"), []

    def url():
        """Pieces are fetched one after the other: the second one comes of another blob."""
        asked.append(1)
        if len(asked) == 2:
            put(store, "a", b"newnewer")
        return listed.url()

    back.mkdir()
    opened = BlobContainer.of(store)
    remote, progress = replace(listed, url=url), Progress("", 0, shown=False)
    with Workers(opened.http.stop, 1) as workers, pytest.raises(ErrorResponse) as refused:
        fetch_large(opened.http, remote, back / "a", workers=workers, progress=progress)
    assert refused.value.status == 412
    assert not (back / "a").exists()
    assert len(asked) == 2


def test_a_file_that_changes_while_it_is_read_is_not_stored_torn(store, local, monkeypatch):
    monkeypatch.setattr("azureml_wrapper.transfer.upload.BLOCK", 4)
    write(local, {"a": b"oldolder"})
    path = local / "a"

    class Changing(Progress):
        """The file changes as soon as its first block has arrived."""

        def advance(self, count):
            path.write_bytes(b"newnewer")
            os.utime(path, (1, 1))

    opened = BlobContainer.of(store)
    known, progress = LocalFile.of(str(path), path.stat()), Changing("", 0, shown=False)
    with Workers(opened.http.stop, 1) as workers, pytest.raises(FileChanged):
        send_large(opened, "a", known, workers=workers, progress=progress)
    assert blobs(store) == {}


# Disks


@pytest.fixture
def disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode and not os.environ.get("CI"):
        pytest.skip(f"needs root, or CAP_SYS_ADMIN, to mount a tmpfs: {mounted.stderr.strip()}")
    assert mounted.returncode == 0, mounted.stderr
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_too_small_is_said_before_the_download(store, local, disk):
    write(local, {"a": os.urandom(3 * 2**20), "b": os.urandom(3 * 2**20)})
    sync_folder(local, store)
    with pytest.raises(TransferFailed, match=r"the files need 6\.3 MB, 4\.2 MB are free. Nothing was downloaded"):
        sync_folder(disk, store, direction="down")
    assert content(disk) == {}


def test_what_an_earlier_download_has_left_takes_no_more_room(store, local, disk, monkeypatch):
    write(local, {"large": os.urandom(3 * 2**20)})
    sync_folder(local, store)
    for module in ("download_file", "download"):
        monkeypatch.setattr(f"azureml_wrapper.transfer.{module}.PIECE", 2**20)
    [blob] = BlobContainer.of(store).list()
    remote = RemoteFile("large", str, size=blob.size, etag=blob.etag, md5=blob.md5)
    PartialFile.of(disk / "large", remote, 2**20).close()
    assert sync_folder(disk, store, direction="down").downloaded == ("large",)
    assert content(disk) == content(local)


def test_a_disk_that_becomes_full_stops_the_download_and_keeps_what_is_whole(ws, local, disk, unique):
    """The sizes of a run's files are not known before."""
    write(local, {f"f{number}": os.urandom(2**20) for number in range(6)})
    run = Experiment(ws, unique("e")).start_logging(snapshot_directory=None)
    run.upload_folder("outputs", str(local))
    run.complete()
    with pytest.raises(TransferFailed, match=r"Cannot write to disk.*No space left on device.*Done so far") as failed:
        download_run_files(run, disk)
    assert 1 <= len(failed.value.report.downloaded) <= 4
    whole = content(disk)
    assert {name: whole[name] for name in whole if not name.endswith(".aml-part")} == {
        f"outputs/{name}": data for name, data in content(local).items() if f"outputs/{name}" in whole
    }


def test_a_target_that_cannot_be_written_to_is_said_at_once(store, local, disk):
    write(local, {"a": b"1"})
    sync_folder(local, store)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(TransferFailed, match=r"Cannot write to .*: Read-only file system. Nothing was downloaded"):
        sync_folder(disk / "x", store, direction="down")
