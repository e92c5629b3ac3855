"""Snapshots of script folders through the SDK's own client."""

from __future__ import annotations

import io
import json
import os
import time
import uuid
import zipfile
from pathlib import Path

import pytest
import requests
from azureml._base_sdk_common.project_snapshot_cache import ContentSnapshotCache
from azureml._restclient.snapshots_client import SnapshotsClient
from azureml.exceptions import SnapshotException

from azureml_wrapper import PipelineStep, PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.snapshots.script_folder import _client_class


@pytest.fixture(params=["the SDK's", "of one request"])
def client(ws, request):
    if request.param == "the SDK's":
        return SnapshotsClient(ws.service_context)
    if ws.location != "local":
        pytest.skip("Azure ML takes no archives.")
    return _client_class()(ws.service_context)


@pytest.fixture
def folder(tmp_path, unique):
    """A script folder whose content no other test has."""
    return write(tmp_path / "script", {"train.py": f"print('{unique()}')", "lib/util.py": "X = 1"})


@pytest.fixture
def restored(client, tmp_path):
    """`restored(snapshot_id)`: path → text of what the snapshot's zip holds."""

    def read(snapshot_id: str) -> dict[str, str]:
        file = client.restore_snapshot(snapshot_id, str(tmp_path))
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith("/")}

    return read


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def uploads(monkeypatch, client) -> list[str]:
    """The files that the client uploads from now on."""
    sent: list[str] = []
    original = type(client)._upload_snapshot_files

    def record(self, entries, *rest):
        sent.extend(entry.node_path for entry in entries)
        return original(self, entries, *rest)

    monkeypatch.setattr(type(client), "_upload_snapshot_files", record)
    return sent


def test_a_folder_comes_back_as_it_was(client, folder, restored):
    write(folder, {"empty.txt": "", "données/é à.txt": "ü", "a b/c#d%20.txt": "?"})
    assert restored(client.create_snapshot(str(folder))) == {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_unchanged_folder_is_the_same_snapshot(client, folder):
    assert client.create_snapshot(str(folder)) == client.create_snapshot(str(folder))


def test_only_what_changed_is_sent_again(client, folder, restored, monkeypatch):
    write(folder, {"gone.py": "1", "old/name.py": "2", "stays.py": "3"})
    client.create_snapshot(str(folder))
    (folder / "gone.py").unlink()
    (folder / "old").rename(folder / "new")
    write(folder, {"train.py": "changed", "lib/more/added.py": "4"})
    sent = uploads(monkeypatch, client)
    found = restored(client.create_snapshot(str(folder)))
    assert set(sent) == {"train.py", "lib/more/added.py", "new/name.py"}
    assert found == {
        "train.py": "changed",
        "lib/util.py": "X = 1",
        "lib/more/added.py": "4",
        "new/name.py": "2",
        "stays.py": "3",
    }


def test_a_snapshot_after_only_a_removal_sends_nothing(client, folder, restored, monkeypatch):
    client.create_snapshot(str(folder))
    (folder / "lib" / "util.py").unlink()
    sent = uploads(monkeypatch, client)
    assert list(restored(client.create_snapshot(str(folder)))) == ["train.py"]
    assert sent == []


def test_an_earlier_snapshot_does_not_change_with_the_folder(client, folder, restored):
    first = client.create_snapshot(str(folder))
    before = restored(first)
    write(folder, {"train.py": "changed"})
    client.create_snapshot(str(folder))
    assert restored(first) == before


def test_two_folders_in_turn_do_not_mix(client, folder, tmp_path, restored):
    other = write(tmp_path / "other", {"train.py": "other", "lib/other.py": "o"})
    for _ in range(2):
        assert set(restored(client.create_snapshot(str(folder)))) == {"train.py", "lib/util.py"}
        assert set(restored(client.create_snapshot(str(other)))) == {"train.py", "lib/other.py"}


def test_a_file_may_become_a_folder_and_back(client, folder, restored):
    write(folder, {"thing": "file"})
    client.create_snapshot(str(folder))
    (folder / "thing").unlink()
    write(folder, {"thing/inside.txt": "in"})
    assert restored(client.create_snapshot(str(folder)))["thing/inside.txt"] == "in"
    (folder / "thing" / "inside.txt").unlink()
    (folder / "thing").rmdir()
    write(folder, {"thing": "file again"})
    assert restored(client.create_snapshot(str(folder)))["thing"] == "file again"


def test_ignored_files_are_not_in_the_snapshot(client, folder, restored):
    write(folder, {".amlignore": "data/\n*.ckpt\n", "data/big.csv": "1", "model.ckpt": "2", "lib/x.ckpt": "3"})
    assert set(restored(client.create_snapshot(str(folder)))) == {".amlignore", "train.py", "lib/util.py"}


def test_without_the_sdks_cache_the_service_knows_the_latest(client, ws, folder, restored, monkeypatch):
    client.create_snapshot(str(folder))
    ContentSnapshotCache(ws.service_context).remove_latest()
    write(folder, {"train.py": "changed"})
    sent = uploads(monkeypatch, client)
    assert restored(client.create_snapshot(str(folder)))["lib/util.py"] == "X = 1"
    assert sent == ["train.py"]


@pytest.mark.local_only
def test_a_cache_that_names_a_snapshot_of_another_store_is_forgotten(client, ws, folder, restored):
    client.create_snapshot(str(folder))
    cache = Path(ContentSnapshotCache(ws.service_context)._get_latest_snapshot_cache_file())
    kept = json.loads(cache.read_text())
    cache.write_text(json.dumps({**kept, "snapshot_id": "11111111-1111-1111-1111-111111111111"}))
    write(folder, {"train.py": "changed"})
    assert restored(client.create_snapshot(str(folder))) == {"train.py": "changed", "lib/util.py": "X = 1"}


def test_an_empty_folder_has_a_snapshot(client, tmp_path, restored):
    (tmp_path / "nothing").mkdir()
    assert restored(client.create_snapshot(str(tmp_path / "nothing"))) == {}


def test_more_files_than_azure_takes_are_refused_by_the_sdk(client, tmp_path, unique):
    name = unique()
    for number in range(2001):
        write(tmp_path / "many", {f"{name}{number}.txt": ""})
    with pytest.raises(SnapshotException, match="exceeds the file limit of 2000"):
        client.create_snapshot(str(tmp_path / "many"))


@pytest.mark.slow
def test_many_files_take_time_in_proportion(client, tmp_path, unique, restored):
    def seconds(count: int) -> float:
        name = unique()
        folder = write(tmp_path / name, {f"{number % 20}/{name}{number}.txt": str(number) for number in range(count)})
        start = time.monotonic()
        snapshot_id = client.create_snapshot(str(folder))
        taken = time.monotonic() - start
        assert len(restored(snapshot_id)) == count
        return taken

    few, many = seconds(60), seconds(600)
    # Ten times as many; the rest is for a machine that does other things too.
    assert many < 30 * few


@pytest.mark.local_only
def test_uploads_are_cleared_away_and_contents_kept_once(client, ws, tmp_path, unique):
    home, content = Path(os.environ["AZUREML_WRAPPER_HOME"]), unique()
    folder = write(tmp_path / "twice", {"a.txt": content, "b.txt": content})
    client.create_snapshot(str(folder))
    kept = [
        path for path in (home / "snapshots").rglob("*") if path.is_file() and path.read_text("latin-1") == content
    ]
    assert len(kept) == 1
    left = [path for path in (home / "blobs").rglob("uploads/**/*") if path.is_file()]
    assert left == []


# What the SDK would never send ----------------------------------------------------------------------------------


@pytest.fixture
def create(ws):
    """`create(tree, nodes)`: the answer to a request for a snapshot of this tree with these uploads."""
    context = ws.service_context
    base = f"{context._get_project_content_url()}/content/v2.0{context._get_workspace_scope()}/snapshots"

    def send(children: dict, nodes: list[dict], **fields) -> requests.Response:
        body = {"DirTreeNode": {"type": "Directory", "children": children}, "FileRevisionList": {"FileNodes": nodes}}
        headers = ws._auth.get_authentication_header()
        return requests.post(f"{base}/{uuid.uuid4()}", json={**body, **fields}, headers=headers, timeout=30)

    return send


@pytest.mark.local_only
@pytest.mark.parametrize("name", ["../a.py", "/etc/passwd", "..", "a/../../b", "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(create, name):
    answer = create({name: {"type": "File", "hash": "h"}}, [])
    assert answer.status_code == 400
    assert "cannot be the name" in answer.json()["error"]["message"]


@pytest.mark.local_only
@pytest.mark.parametrize(
    "address",
    [
        "https://a.blob.core.windows.net/azureml/ExperimentRun/secret.txt",
        "https://a.blob.core.windows.net/{container}/zips/x.zip",
        "https://a.blob.core.windows.net/{container}/uploads/../../other/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_that_was_not_given_is_refused(create, ws, address):
    address = address.format(container=f"snapshots-{ws.get_details()['workspaceid']}")
    answer = create({"a.py": {"type": "File", "hash": "h"}}, [{"FullName": "a.py", "BlobUri": address}])
    assert answer.status_code == 400
    assert "an address that this service did not issue" in answer.json()["error"]["message"]


@pytest.mark.local_only
def test_a_file_that_never_arrived_is_refused(create, ws):
    container = f"snapshots-{ws.get_details()['workspaceid']}"
    address = f"https://a.blob.core.windows.net/{container}/uploads/{uuid.uuid4()}/0"
    answer = create({"a.py": {"type": "File", "hash": "h"}}, [{"FullName": "a.py", "BlobUri": address}])
    assert answer.status_code == 400
    assert "were not uploaded" in answer.json()["error"]["message"]


@pytest.mark.local_only
def test_a_parent_that_nobody_knows_is_refused(create):
    assert create({}, [], ParentSnapshotId=str(uuid.uuid4())).status_code == 404


@pytest.mark.local_only
def test_a_content_that_was_never_sent_is_refused(create, ws):
    container = f"snapshots-{ws.get_details()['workspaceid']}"
    address = f"https://a.blob.core.windows.net/{container}/kept/{'0' * 64}/3"
    answer = create({"a.py": {"type": "File", "hash": "h"}}, [{"FullName": "a.py", "BlobUri": address}])
    assert answer.status_code == 400
    assert "was not uploaded" in answer.json()["error"]["message"]


@pytest.mark.local_only
def test_an_archive_that_cannot_be_read_is_refused(ws):
    context = ws.service_context
    url = f"{context._get_project_content_url()}/content/v2.0{context._get_workspace_scope()}/snapshots/archive"
    odd = io.BytesIO()
    with zipfile.ZipFile(odd, "w") as archive:
        archive.writestr("1", "the first is called 0")
    for body, reason in (
        (b"", "not a valid zip"),
        (b"PK", "not a valid zip"),
        (odd.getvalue(), "Cannot read file 0"),
    ):
        answer = requests.post(url, data=body, headers=ws._auth.get_authentication_header(), timeout=30)
        assert answer.status_code == 400
        assert reason in answer.json()["error"]["message"]


def strange_zip(**fields):
    """An archive with one file, whose record in the directory at the end has other values."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", b"0" * 1000)
        for name, value in fields.items():
            setattr(archive.filelist[0], name, value)
    return made.getvalue()


STRANGE = {
    "version": ({"extract_version": 90}, "not a valid zip"),
    "method": ({"compress_type": 97}, "Cannot read file 0"),
    "encrypted": ({"flag_bits": 1}, "Cannot read file 0"),
    "offset": ({"header_offset": 2**31 - 1}, "Cannot read file 0"),
    "bzip2": ({"compress_type": zipfile.ZIP_BZIP2}, "Cannot read file 0"),
    "lzma": ({"compress_type": zipfile.ZIP_LZMA}, "Cannot read file 0"),
    "checksum": ({"CRC": 1}, "Cannot read file 0"),
}


@pytest.fixture
def send_archive(ws):
    context = ws.service_context
    url = f"{context._get_project_content_url()}/content/v2.0{context._get_workspace_scope()}/snapshots/archive"
    return lambda body: requests.post(url, data=body, headers=ws._auth.get_authentication_header(), timeout=30)


@pytest.mark.local_only
@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_archive_is_refused(send_archive, kind):
    fields, reason = STRANGE[kind]
    answer = send_archive(strange_zip(**fields))
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]["message"]


@pytest.mark.local_only
def test_an_archive_is_refused_by_the_sum_of_the_sizes_of_its_files(send_archive):
    answer = send_archive(strange_zip(file_size=2**32 - 2))
    assert answer.status_code == 413
    assert "may have 314572800" in answer.json()["error"]["message"]


@pytest.mark.local_only
def test_the_wrapper_sends_many_files_in_as_many_requests_as_one(ws, tmp_path, unique, monkeypatch):
    workspace = WorkspaceWrapper.from_workspace(ws)
    workspace.register_env("snapshot_env", [])
    workspace.register_compute("snapshot-cpu")
    urls: list[str] = []
    send = requests.Session.send

    def note(session, request, **options):
        urls.append(request.url)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", note)

    def requests_of(count: int) -> int:
        name = unique("many")
        files = {f"{number}.txt": f"{name} {number}" for number in range(count)}
        show = f"import pathlib; print(len([p for p in pathlib.Path().glob('*.txt') if '{name}' in p.read_text()]))"
        folder = write(tmp_path / name, {**files, "main.py": show})
        step = PipelineStep(*scope, "show", "main", script_directory=folder)
        pipeline = PipelineWrapper(*scope, "snapshot_env", "snapshot-cpu", [step])
        urls.clear()
        run = pipeline.run(unique("exp"), wait=False)
        sent = len(urls)
        assert run.wait().logs("show").splitlines()[-1] == str(count)
        return sent

    scope = (ws.subscription_id, ws.resource_group, ws.name)[::-1]
    requests_of(1)
    assert requests_of(40) == requests_of(1)
