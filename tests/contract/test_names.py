"""Names from clients: none leads out of its folder, whatever the service that takes it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput, Mode, Script
from azureml_wrapper.local.tokens import Tokens

SCOPE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/local"
HOSTILE = ("../../../x", "..", "/etc/x", "a/../../../../x", "..\\..\\x", "a\0b", "n" * 300, "%2e%2e/x", ".")
TASK = Script(path="x.py")
LETTERS = ("..\\..\\x", "%2e%2e/x", "n" * 300)
BLOB = {"x-ms-version": "2020-10-02", "x-ms-blob-type": "BlockBlob"}
COMPUTE = {"properties": {"computeType": "AmlCompute", "properties": {}}}
DATASTORE = {
    "dataStoreType": "AzureBlob",
    "azureStorageSection": {"accountName": "acc", "containerName": "con", "credentialType": "None"},
}
GRAPH = {"dataflow": '{"blocks": [], "inspectors": []}'}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that has the home deep inside it, and nothing else."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def send(place):
    with service_process.running(place / "a" / "b" / "c" / "home") as service, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {Tokens(service.secret).user()}"

        def request(method: str, path: str, body=None, **headers) -> requests.Response:
            made = requests.Request(method, "http://x", data=body if isinstance(body, bytes) else json.dumps(body))
            ready = session.prepare_request(made)
            # As it is: requests would resolve the dots.
            ready.url = f"http://127.0.0.1:{service.port}{path}"
            ready.headers.update(headers)
            return session.send(ready, timeout=10)

        yield request


@pytest.fixture(scope="module", autouse=True)
def container(send):
    """The default container, with a first blob in it: the folders of its account are there."""
    answer = send("GET", f"/datastore/v1.0{SCOPE}/datastores/workspaceblobstore")
    name = answer.json()["azureStorageSection"]["containerName"]
    assert send("PUT", f"/{name}/first", b"x", **BLOB).ok
    assert send("POST", f"/artifact/v2.0{SCOPE}/artifacts/content/ExperimentRun/dcid.x/first", b"x").ok
    return name


def tree(place: Path) -> set[str]:
    """Everything outside the home, and what lies directly in it and in its stores."""
    home = place / "a" / "b" / "c" / "home"
    outside = {path for path in place.rglob("*") if not path.is_relative_to(home)}
    inside = {path for folder in ("", "blobs", "snapshots", "jobs", "tls") for path in (home / folder).iterdir()}
    return {str(path) for path in outside | inside if "sqlite" not in path.name}


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:12]))
def test_no_name_leads_out_of_its_folder(send, place, container, name):
    before = tree(place)
    encoded = quote(name, safe="")
    answers = [
        send("PUT", f"/{container}/{encoded}", b"x", **BLOB),
        send("PUT", f"/{container}/{quote(name)}", b"x", **BLOB),
        send("PUT", f"/{encoded}/x", b"x", **BLOB),
        send("PUT", f"/{encoded}?restype=container", b"", **BLOB),
        send("POST", f"/artifact/v2.0{SCOPE}/artifacts/content/ExperimentRun/dcid.x/{quote(name)}", b"x"),
        send("POST", f"/artifact/v2.0{SCOPE}/artifacts/content/ExperimentRun/{encoded}/x", b"x"),
        send("POST", f"/artifact/v2.0{SCOPE}/artifacts/content/{encoded}/dcid.x/x", b"x"),
        send("POST", f"/history/v1.0{SCOPE}/experiments/{encoded}", {}),
        send("PATCH", f"/history/v1.0{SCOPE}/experiments/e/runs/{encoded}", {"runId": name}),
        send("PUT", f"/environment/v1.0{SCOPE}/environments/{encoded}", {"python": {}}),
        send("PUT", f"{SCOPE}/computes/{encoded}", COMPUTE),
        send("POST", f"/datastore/v1.0{SCOPE}/datastores", {"name": name, **DATASTORE}),
        send("PUT", f"/credential/v2.0{SCOPE}/secrets", {"name": name, "value": "x"}),
        send("POST", f"/modelmanagement/v1.0{SCOPE}/models", {"name": name}),
        send("POST", f"/content/v2.0{SCOPE}/snapshots/{encoded}", {"DirTreeNode": {"type": "File"}}),
        send("POST", f"/content/v2.0{SCOPE}/snapshots/s", {"DirTreeNode": folder_with(name)}),
        send("POST", f"/content/v2.0{SCOPE}/snapshots/{encoded}/zip", {}),
    ]
    taken = {answer.request.path_url.partition("?")[0] for answer in answers if answer.ok}
    assert all(answer.status_code in (400, 403, 404, 501) for answer in answers if not answer.ok)
    # A backslash and a "%2e" that was encoded twice are letters as any other in a blob's name.
    assert taken == set() or name in LETTERS, taken
    assert tree(place) == before


def folder_with(name: str) -> dict:
    return {"type": "Directory", "children": {name: {"type": "File", "hash": "x", "timestamp": "y"}}}


def test_a_dataset_may_have_any_name_because_none_is_a_folder(send, place):
    before = tree(place)
    for name in HOSTILE:
        body = {"name": name, "datasetType": "file", "latest": GRAPH}
        assert send("POST", f"/dataset/v1.0{SCOPE}/datasets", body).status_code in (200, 400)
    assert tree(place) == before


@pytest.mark.parametrize(
    "part",
    [
        {"data": {"../x": {"dataLocation": {"dataset": {"id": "x"}}}}},
        {"data": {"/tmp/x": {"dataLocation": {"dataset": {"id": "x"}}}}},
        {"dataReferences": {"../../x": {"dataStoreName": "workspaceblobstore"}}},
        {"outputData": {"../x": {}}},
        {"outputData": {"o": {"outputLocation": {"dataPath": {"relativePath": "../../x"}}}}},
        {"outputData": {"o": {"outputLocation": {"dataPath": {"relativePath": "x/.."}}, "mechanism": "Upload"}}},
        {"history": {"directoriesToWatch": ["../.."]}},
        {"history": {"directoriesToWatch": ["/etc"]}},
    ],
)
def test_a_job_reaches_its_own_folders_only(send, place, part):
    before = tree(place)
    body = {"configuration": {"script": "x.py", "target": "local", **part}}
    answer = send("POST", f"/execution/v1.0{SCOPE}/experiments/e/snapshotrun", body)
    assert answer.status_code == 400
    assert any(words in answer.text for words in ("leads out", "cannot be the name", "is not in the script"))
    assert tree(place) == before


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\\" not in name])
def test_a_step_reaches_its_own_folders_only(name):
    with pytest.raises(Invalid):
        JobInput(name=name, mode=Mode.MOUNT, variable="x")
    with pytest.raises(Invalid):
        JobOutput(name=name, mode=Mode.UPLOAD, datastore="x")


def test_a_longer_path_stays_a_path():
    job = Job(
        workspace_id="w", run_id="r", target="local", snapshot_id=None, task=TASK, folders=("outputs", "logs/a..b")
    )
    assert JobOutput(name="o", mode=Mode.MOUNT, datastore="d", path="/a/..b/{run-id}/").path
    assert job.folders
