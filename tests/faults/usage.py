"""Uses a service as people do, and remembers what it acknowledged, by hash.

Each operation of `OPERATIONS` works on names of its own. A request that was not answered may have been carried out or
not, but nothing in between; whichever it was found to be after the next start must stay so.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import time
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from azureml_wrapper.local.domain.datasets import folder_definition
from azureml_wrapper.local.domain.workspaces import Workspace
from tests.faults.machine import SCOPE, Machine, Refused
from tests.waiting import until

Key = tuple[str, ...]
ABSENT = "absent"
ENDED = ("Completed", "Failed", "Canceled")
WORKSPACE = Workspace(
    workspace_id="",
    subscription="local",
    resource_group="local",
    name="local",
    location="local",
    created=datetime.now(timezone.utc),
)
SCRIPT = """
import os, pathlib, sys
words = sys.argv[1:]
for name in ("outputs", *words[1:2]):
    pathlib.Path(name).mkdir(parents=True, exist_ok=True)
    (pathlib.Path(name) / "result.txt").write_text(words[0] * 1000)
print("done", words[0])
"""


def digest(value: object) -> str:
    given = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(given).hexdigest()


class RunFailed(Exception):
    """A run failed because its process was killed."""


class Usage:
    """What was done to the service of a machine, and what it has acknowledged."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.allowed: dict[Key, set[str]] = {}
        self.submitted: set[str] = set()
        # Schedules that fire exactly once.
        self.fired: list[str] = []
        # Whether runs may fail, because their processes are killed, too.
        self.is_tolerant = False
        self._settled = 0
        self._ended: set[str] = set()
        self._numbers = itertools.count(1)
        self._prefix = os.urandom(3).hex()
        self._kept: dict[str, Any] = {}

    @property
    def acknowledged(self) -> int:
        """How many objects the service has acknowledged and must still have."""
        return sum(ABSENT not in allowed for allowed in self.allowed.values()) + len(self.submitted)

    def name(self) -> str:
        return f"n{self._prefix}{next(self._numbers)}"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What later operations use again, made by the first."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def change(self, key: Key, value: str, do: Callable[[], Any]) -> Any:
        """Send a request after which `look(key)` is `value`, as soon as it is acknowledged."""
        self.allowed[key] = self.allowed.get(key, {ABSENT}) | {value}
        answer = do()
        self.allowed[key] = {value}
        return answer

    def look(self, key: Key) -> str:
        """What the service has now."""
        try:
            return LOOKS[key[0]](self, *key[1:])
        except Refused as refused:
            if refused.status != 404:
                raise
            return ABSENT

    def settle(self) -> None:
        """Wait until every schedule has fired, and every run has ended and left no folder."""
        for schedule_id in self.fired[self._settled :]:
            until(lambda each=schedule_id: self.runs_of(each))
        self._settled = len(self.fired)
        until(lambda: not self.machine.unfinished(), tell=self.machine.unfinished)
        until(lambda: not self.machine.has_jobs)

    def check(self, since: int = 0) -> list[str]:
        """What the service has lost, or has only half; empty if all is well.

        Args:
            since: Look only at objects that were added since `allowed` had this length, and at runs that had not
                ended at the last look.
        """
        wrong = []
        for key, allowed in [*self.allowed.items()][since:]:
            found = self.look(key)
            if found not in allowed:
                wrong.append(f"{key}: {found[:12]}, not one of {sorted(item[:12] for item in allowed)}")
            self.allowed[key] = {found}
        fired = [] if since else self.fired
        wrong += [f"schedule {each} fired twice" for each in fired if len(self.runs_of(each)) != 1]
        for run_id in self.submitted - (self._ended if since else set()):
            if (status := self.run(run_id)["status"]) in ENDED:
                self._ended.add(run_id)
            else:
                wrong.append(f"run {run_id} is {status}")
        return wrong

    # Requests

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        answer = self.machine.ask(method, path, body, **more)
        return answer.json() if answer.content else None

    def run(self, run_id: str, **headers: str) -> Any:
        return self.ask("GET", f"/history/v1.0{SCOPE}/runs/{run_id}", **headers)

    def runs_of(self, schedule_id: str) -> list[str]:
        return [run["Id"] for run in self.ask("GET", f"{PIPELINES}/PipelineRuns/Schedule/{schedule_id}")]

    def await_end(self, run_id: str) -> str:
        until(lambda: self.run(run_id, Prefer="wait=20")["status"] in ENDED)
        return self.run(run_id)["status"]

    def completed(self, run_id: str, **results: bytes) -> None:
        """Claim what a run that has completed must keep; raises `RunFailed` if it has failed."""
        status = self.await_end(run_id)
        if status != "Completed" and self.is_tolerant:
            self.allowed["status", run_id] = {status}
            raise RunFailed
        assert status == "Completed", (self.run(run_id), self.machine.log())
        self.allowed["status", run_id] = {"Completed"}
        for path, content in results.items():
            self.allowed["artifact", run_id, path] = {digest(content)}

    @property
    def workspace_id(self) -> str:
        return self.once("workspace", lambda: self.ask("GET", "{ws}")["properties"]["workspaceId"])

    @property
    def container(self) -> str:
        def make() -> str:
            self.ask("GET", f"/datastore/v1.0{SCOPE}/datastores/workspaceblobstore")
            return f"azureml-blobstore-{self.workspace_id}"

        return self.once("container", make)

    @property
    def snapshot(self) -> str:
        return self.once("snapshot", lambda: send_archive(self))

    def put(self, name: str, data: bytes, **headers: str) -> None:
        kind = {"x-ms-blob-type": "BlockBlob", **headers}
        path = f"/{self.container}/{name}"
        key = ("blob", self.container, name)
        self.change(key, digest(data), lambda: self.machine.storage("PUT", path, data, **kind))


def _blob(usage: Usage, container: str, name: str) -> str:
    return digest(usage.machine.storage("GET", f"/{container}/{name}").content)


def _metadata(usage: Usage, container: str, name: str) -> str:
    return usage.machine.storage("HEAD", f"/{container}/{name}").headers.get("x-ms-meta-word", "none")


def _container(usage: Usage, container: str) -> str:
    try:
        usage.machine.storage("GET", f"/{container}?restype=container")
    except Refused as refused:
        # No account has a container of this name.
        if refused.status != 403:
            raise
        return ABSENT
    return "there"


def _artifact(usage: Usage, run_id: str, path: str) -> str:
    address = f"/artifact/v2.0{SCOPE}/artifacts/content/ExperimentRun/dcid.{run_id}/{path}"
    return digest(usage.machine.ask("GET", address).content)


def _status(usage: Usage, run_id: str) -> str:
    return str(usage.run(run_id)["status"])


def _fields(usage: Usage, path: str, *names: str) -> str:
    found = usage.ask("GET", path)
    return digest([found.get(name) for name in names])


def _metric(usage: Usage, run_id: str, name: str) -> str:
    found = usage.ask("POST", f"/metric/v2.0{SCOPE}/runs/{run_id}/full", {"metricName": name})
    return str(len(found["value"]))


def _snapshot(usage: Usage, snapshot_id: str) -> str:
    found = usage.ask("POST", f"/content/v2.0{SCOPE}/snapshots/{snapshot_id}/zip")
    content = usage.machine.storage("GET", urlsplit(found["zipSasUri"]).path).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return digest({name: digest(archive.read(name)) for name in sorted(archive.namelist())})


LOOKS: dict[str, Callable[..., str]] = {
    "blob": _blob,
    "metadata": _metadata,
    "container": _container,
    "artifact": _artifact,
    "status": _status,
    "fields": _fields,
    "metric": _metric,
    "snapshot": _snapshot,
}

# Storage


def upload(usage: Usage) -> None:
    """Upload a file, and replace it."""
    name = usage.name()
    usage.put(name, os.urandom(20_000))
    usage.put(name, os.urandom(30_000))


def upload_blocks(usage: Usage) -> None:
    """Upload a large file in blocks, as the SDK does."""
    name, parts = usage.name(), [os.urandom(400_000) for _ in range(3)]
    ids = [base64.b64encode(f"{number:06}".encode()).decode() for number in range(3)]
    path = f"/{usage.container}/{name}"
    for block, part in zip(ids, parts, strict=True):
        usage.machine.storage("PUT", f"{path}?comp=block&blockid={block}", part)
    blocks = "".join(f"<Latest>{block}</Latest>" for block in ids)
    listed = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
    usage.change(
        ("blob", usage.container, name),
        digest(b"".join(parts)),
        lambda: usage.machine.storage("PUT", f"{path}?comp=blocklist", listed),
    )


def append(usage: Usage) -> None:
    """Write a log that grows."""
    name, whole = usage.name(), b""
    path, key = f"/{usage.container}/{name}", ("blob", usage.container, name)
    kind = {"x-ms-blob-type": "AppendBlob"}
    usage.change(key, digest(whole), lambda: usage.machine.storage("PUT", path, **kind))
    for number in range(3):
        added = f"line {number}\n".encode() * 50
        whole += added
        usage.change(
            key, digest(whole), lambda data=added: usage.machine.storage("PUT", f"{path}?comp=appendblock", data)
        )


def describe_blob(usage: Usage) -> None:
    """Set the metadata of a blob."""
    name = usage.name()
    usage.put(name, b"described")
    for word in ("first", "second"):
        usage.allowed.setdefault(("metadata", usage.container, name), {"none"})
        usage.change(
            ("metadata", usage.container, name),
            word,
            lambda text=word: usage.machine.storage(
                "PUT", f"/{usage.container}/{name}?comp=metadata", **{"x-ms-meta-word": text}
            ),
        )


def delete_blob(usage: Usage) -> None:
    name = usage.name()
    usage.put(name, b"deleted soon")
    path = f"/{usage.container}/{name}"
    usage.change(("blob", usage.container, name), ABSENT, lambda: usage.machine.storage("DELETE", path))


def fill_folder(usage: Usage) -> None:
    """A blob "a" and a blob "a/b", and a folder as some clients mark it."""
    name = usage.name()
    usage.put(name, b"the blob")
    usage.put(f"{name}/inside", b"the blob in its folder")
    marked = {"x-ms-meta-hdi_isfolder": "true"}
    usage.put(f"{name}-folder", b"", **marked)


def delete_container(usage: Usage) -> None:
    name = usage.name()
    key = ("container", name)
    body = {
        "name": name,
        "dataStoreType": "AzureBlob",
        "azureStorageSection": {
            "accountName": f"acc{name}",
            "containerName": name,
            "credentialType": "AccountKey",
            "credential": base64.b64encode(b"k" * 64).decode(),
        },
    }
    stored = ("fields", f"/datastore/v1.0{SCOPE}/datastores/{name}", "name")
    usage.change(stored, digest([name]), lambda: usage.ask("POST", f"/datastore/v1.0{SCOPE}/datastores", body))
    # The folder follows the record: whoever reads the datastore finds it.
    usage.allowed[key] = {"there"}
    usage.machine.storage("PUT", f"/{name}/file", b"in it", **{"x-ms-blob-type": "BlockBlob"})
    usage.change(key, ABSENT, lambda: usage.machine.storage("DELETE", f"/{name}?restype=container"))


# Assets


def tree(files: dict[str, bytes]) -> dict[str, Any]:
    children = {
        name: {"name": name, "type": "File", "hash": digest(data), "children": {}} for name, data in files.items()
    }
    return {"name": "", "type": "Directory", "hash": "", "children": children}


def send_archive(usage: Usage) -> str:
    """A script folder as the wrapper uploads it."""
    files = {"s.py": SCRIPT.encode(), "more.txt": os.urandom(1000)}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, data in enumerate(files.values()):
            archive.writestr(str(number), data)
    sent = usage.ask("POST", f"/content/v2.0{SCOPE}/snapshots/archive", data=made.getvalue())
    addresses = [node["blobUri"] for node in sent["fileNodes"]]
    return _create_snapshot(usage, files, addresses)


def send_folder(usage: Usage) -> None:
    """A script folder as the SDK uploads it."""
    files = {"s.py": os.urandom(3000), "t.py": os.urandom(3000)}
    sent = usage.ask("POST", f"/content/v2.0{SCOPE}/snapshots/getblob", {"FileNames": [*files]})
    addresses = [node["blobUri"] for node in sent["fileNodes"]]
    for address, data in zip(addresses, files.values(), strict=True):
        usage.machine.storage("PUT", urlsplit(address).path, data, **{"x-ms-blob-type": "BlockBlob"})
    _create_snapshot(usage, files, addresses)


def _create_snapshot(usage: Usage, files: dict[str, bytes], addresses: list[str]) -> str:
    snapshot_id = usage.name()
    nodes = [{"FullName": name, "BlobUri": address} for name, address in zip(files, addresses, strict=True)]
    body = {"DirTreeNode": tree(files), "FileRevisionList": {"FileNodes": nodes}, "Properties": {}}
    whole = digest({name: digest(data) for name, data in sorted(files.items())})
    usage.change(
        ("snapshot", snapshot_id),
        whole,
        lambda: usage.ask("POST", f"/content/v2.0{SCOPE}/snapshots/{snapshot_id}", body),
    )
    return snapshot_id


def _dataset(name: str) -> Key:
    return "fields", f"/dataset/v1.0{SCOPE}/datasets/query/name={name}", "name"


def register_dataset(usage: Usage) -> None:
    name = usage.name()
    body = {
        "name": name,
        "datasetType": "file",
        "latest": {"dataflow": folder_definition(WORKSPACE, "workspaceblobstore", name)},
    }
    usage.change(_dataset(name), digest([name]), lambda: usage.ask("POST", f"/dataset/v1.0{SCOPE}/datasets", body))


def register_model(usage: Usage) -> None:
    name, data = usage.name(), os.urandom(5000)
    run_id = usage.once("model run", lambda: start_run(usage))
    path = f"outputs/{name}"
    usage.change(
        ("artifact", run_id, path),
        digest(data),
        lambda: usage.ask(
            "POST", f"/artifact/v2.0{SCOPE}/artifacts/content/ExperimentRun/dcid.{run_id}/{path}", data=data
        ),
    )
    asset = usage.ask("POST", f"/modelmanagement/v1.0{SCOPE}/assets", {"name": name, "artifacts": [{"prefix": path}]})
    body = {"name": name, "url": f"aml://asset/{asset['id']}", "kvTags": {"a": "b"}}
    key = ("fields", f"/modelmanagement/v1.0{SCOPE}/models/{name}:1", "name", "url", "kvTags")
    value = digest([name, body["url"], {"a": "b"}])
    usage.change(key, value, lambda: usage.ask("POST", f"/modelmanagement/v1.0{SCOPE}/models", body))


def use_workspace(usage: Usage) -> None:
    """Create a workspace with data, and delete it."""
    name = usage.name()
    path = SCOPE.removesuffix("local") + name
    key = ("fields", path, "name")
    template = {
        "properties": {
            "mode": "Incremental",
            "template": {
                "resources": [
                    {
                        "type": "Microsoft.MachineLearningServices/workspaces",
                        "name": name,
                        "location": "local",
                        "properties": {},
                    }
                ]
            },
        }
    }
    group = "/subscriptions/local/resourceGroups/local"
    deployment = f"{group}/providers/Microsoft.Resources/deployments/{name}"
    usage.change(key, digest([name]), lambda: usage.ask("PUT", deployment, template))
    usage.ask("GET", f"/datastore/v1.0{path}/datastores/workspaceblobstore")
    usage.change(key, ABSENT, lambda: usage.ask("DELETE", path))


# Runs


def start_run(usage: Usage) -> str:
    """An interactive run."""
    run_id = usage.name()
    path = f"/history/v1.0{SCOPE}/experiments/exp"
    if "experiment" not in usage._kept:
        usage.ask("POST", path)
        usage.once("experiment", lambda: True)
    body = {"runId": run_id, "name": run_id, "status": "Running", "tags": {"a": "1"}}
    key = ("fields", f"/history/v1.0{SCOPE}/runs/{run_id}", "runId", "tags")
    usage.change(key, digest([run_id, {"a": "1"}]), lambda: usage.ask("PATCH", f"{path}/runs/{run_id}", body))
    return run_id


def log_metrics(usage: Usage) -> None:
    run_id = usage.once("metric run", lambda: start_run(usage))
    name = usage.name()
    for count in (1, 2, 3):
        points = {
            "values": [
                {
                    "name": name,
                    "columns": {"m": "Double"},
                    "value": [{"metricId": f"{name}-{count}", "data": {"m": count}}],
                }
            ]
        }
        address = f"/metric/v2.0{SCOPE}/runs/{run_id}/batch"
        usage.change(
            ("metric", run_id, name), str(count), lambda body=points, to=address: usage.ask("POST", to, body)
        )


def run_script(usage: Usage) -> None:
    """A job with an output that it registers."""
    word = usage.name()
    config = {
        "script": "s.py",
        "arguments": [word, "DatasetOutputConfig:made"],
        "target": "local",
        "environment": {"python": {"userManagedDependencies": True}},
        "history": {"outputCollection": True, "directoriesToWatch": ["logs"]},
        "outputData": {
            "made": {
                "outputLocation": {
                    "dataPath": {"datastoreName": "workspaceblobstore", "relativePath": f"made/{word}"}
                },
                "mechanism": "upload",
                "additionalOptions": {"registrationOptions": {"name": f"set-{word}"}},
            }
        },
    }
    body = {"configuration": config, "snapshotId": usage.snapshot}
    run_id = usage.ask("POST", f"/execution/v1.0{SCOPE}/experiments/exp/snapshotrun?runId=job{word}", body)["runId"]
    usage.submitted.add(run_id)
    usage.completed(run_id, **{"outputs/result.txt": word.encode() * 1000})
    usage.allowed["blob", usage.container, f"made/{word}/result.txt"] = {digest(word.encode() * 1000)}
    usage.allowed[_dataset(f"set-{word}")] = {digest([f"set-{word}"])}


def run_local_script(usage: Usage) -> None:
    """A run with the target "local": the SDK's copy of the folder is sent by a program that the service answers."""
    word = usage.name()
    folder = usage.machine.home.path.parent / f"copy-{word}"
    folder.mkdir()
    (folder / "s.py").write_text(SCRIPT)
    config = {
        "script": "s.py",
        "arguments": [word],
        "target": "local",
        "environment": {"python": {"userManagedDependencies": True}},
    }
    content = json.dumps({"configuration": config}).encode()
    form = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="definition.json"\r\n\r\n'
        + content
        + b"\r\n--b--\r\n"
    )
    path = f"/execution/v1.0{SCOPE}/experiments/exp"
    run_id = f"local{word}"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    usage.machine.ask("POST", f"{path}/localrun?runId={run_id}", data=form, **kind)
    usage.submitted.add(run_id)
    usage.ask("POST", f"{path}/runs/{run_id}/start", {"configuration": config, "folder": str(folder)})
    usage.completed(run_id, **{"outputs/result.txt": word.encode() * 1000})


def compute(usage: Usage) -> str:
    def make() -> str:
        inner = {"vmSize": "STANDARD_D2_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4}}
        usage.ask(
            "PUT",
            f"{SCOPE}/computes/cpu",
            {"location": "local", "properties": {"computeType": "AmlCompute", "properties": inner}},
        )
        return "cpu"

    return usage.once("compute", make)


def sweep(usage: Usage) -> None:
    word = usage.name()
    config = {
        "script": "s.py",
        "arguments": [],
        "target": compute(usage),
        "environment": {"python": {"userManagedDependencies": True}},
    }
    body = {
        "platform": "AML",
        "platform_config": {"Definition": {"Overrides": config, "SnapshotId": usage.snapshot}},
        "generator_config": {"name": "GRID", "parameter_space": {"--a": ["choice", [[1, 2]]]}},
        "primary_metric_config": {"name": "loss", "goal": "minimize"},
        "policy_config": {"name": "Default"},
        "max_total_jobs": 2,
        "max_concurrent_jobs": 2,
        "max_duration_minutes": 10,
    }
    form = (
        b'--b\r\nContent-Disposition: form-data; name="config"\r\n\r\n' + json.dumps(body).encode() + b"\r\n--b--\r\n"
    )
    scope = f"{SCOPE[1:]}/experiments/exp".replace("/", "%2F")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    run_id = f"sweep{word}"
    usage.ask("POST", f"/hyperdrive/v1.0/{scope}/hdruns/{run_id}", data=form, **kind)
    usage.submitted.add(run_id)
    usage.completed(run_id)


# Pipelines

PIPELINES = f"/pipelines/v1.0{SCOPE}"


def graph(usage: Usage, word: str) -> dict[str, Any]:
    """Two steps; the first has an output."""

    def module() -> str:
        sent = {
            "Name": "step",
            "StepType": "PythonScriptStep",
            "StorageId": usage.snapshot,
            "IsDeterministic": True,
            "StructuredInterface": {
                "Arguments": [
                    {"ValueType": "Parameter", "Value": "Word"},
                    {"ValueType": "Output", "Value": "made"},
                ],
                "Parameters": [{"Name": "Word"}],
                "Outputs": [{"Name": "made", "DataTypeId": "AnyDirectory"}],
            },
        }
        return usage.ask("POST", f"{PIPELINES}/Modules", sent)["Id"]

    def node(name: str) -> dict[str, Any]:
        given = {"Target": compute(usage), "Script": "s.py", "Word": f"{word}{name}"}
        return {
            "Id": name,
            "ModuleId": usage.once("module", module),
            "ModuleParameters": [{"Name": key, "Value": value, "ValueType": "0"} for key, value in given.items()],
            "ModuleOutputSettings": [
                {
                    "Name": "made",
                    "DataStoreName": "workspaceblobstore",
                    "DataStoreMode": "Upload",
                    "DatasetRegistration": {"Name": f"piped-{word}{name}"},
                }
            ],
            "Runconfig": json.dumps({"environment": {"python": {"userManagedDependencies": True}}}),
        }

    return {
        "ModuleNodes": [node("a"), node("b")],
        "Edges": [
            {
                "SourceOutputPort": {"NodeId": "a", "PortName": "_run_after_output"},
                "DestinationInputPort": {"NodeId": "b", "PortName": "_run_after_input_0"},
            }
        ],
    }


def run_pipeline(usage: Usage) -> None:
    """Submit a pipeline twice: the second time its steps are reused."""
    word = usage.name()
    body = {"Graph": graph(usage, word), "GraphInterface": {}}
    creation = f"{PIPELINES}/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=exp"
    for _ in range(2):
        run_id = usage.ask("POST", creation, body)["Id"]
        usage.ask("POST", f"{PIPELINES}/PipelineRuns/Submit/{run_id}")
        usage.submitted.add(run_id)
        usage.completed(run_id)
        children = usage.ask("GET", f"/history/v1.0{SCOPE}/experiments/exp/runs/{run_id}/children")["value"]
        assert len(children) == 2, children
        for child in children:
            usage.completed(child["runId"])


def cancel_fan(usage: Usage) -> None:
    """Cancel a pipeline whose steps wait for a free core."""
    word = usage.name()
    nodes = [
        {**each, "Id": f"{each['Id']}{number}", "ModuleOutputSettings": []}
        for number in range(10)
        for each in graph(usage, f"{word}{number}")["ModuleNodes"]
    ]
    creation = f"{PIPELINES}/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=exp"
    run_id = usage.ask("POST", creation, {"Graph": {"ModuleNodes": nodes, "Edges": []}, "GraphInterface": {}})["Id"]
    usage.ask("POST", f"{PIPELINES}/PipelineRuns/Submit/{run_id}")
    usage.submitted.add(run_id)
    below = f"/history/v1.0{SCOPE}/experiments/exp/runs/{run_id}/children"
    until(lambda: any(child["status"] == "Queued" for child in usage.ask("GET", below)["value"]))
    usage.ask("DELETE", f"{PIPELINES}/PipelineRuns/{run_id}/Execution")
    usage.await_end(run_id)


def published(usage: Usage) -> str:
    def make() -> str:
        word = usage.name()
        body = {"Name": "published", "Graph": graph(usage, word), "GraphInterface": {}}
        return usage.ask("POST", f"{PIPELINES}/Pipelines/Create", body)["Id"]

    return usage.once("published", make)


def publish(usage: Usage) -> None:
    """Publish a pipeline, and run it."""
    name = usage.name()
    body = {"Name": name, "Graph": graph(usage, "same"), "GraphInterface": {}}
    made = usage.ask("POST", f"{PIPELINES}/Pipelines/Create", body)["Id"]
    usage.allowed["fields", f"{PIPELINES}/Pipelines/{made}", "Name"] = {digest([name])}
    run_id = usage.ask("POST", f"{PIPELINES}/PipelineRuns/PipelineSubmit/{made}", {"ExperimentName": "exp"})["Id"]
    usage.submitted.add(run_id)
    usage.completed(run_id)


def schedule(usage: Usage) -> None:
    """A schedule that fires at once, and is disabled afterwards."""
    name = usage.name()
    body = {
        "Name": name,
        "PipelineId": published(usage),
        "PipelineSubmissionInfo": {"ExperimentName": "exp"},
        "Recurrence": {"Frequency": "Month", "Interval": 1},
    }
    _fire(usage, body, lambda: None)


def watch(usage: Usage) -> None:
    """A schedule that fires for new blobs."""
    name = usage.name()
    body = {
        "Name": name,
        "PipelineId": published(usage),
        "PipelineSubmissionInfo": {"ExperimentName": "exp"},
        "DataStoreTriggerInfo": {
            "DataStoreName": "workspaceblobstore",
            "PathOnDataStore": f"watched-{name}",
            "PollingInterval": 1,
        },
    }
    _fire(usage, body, lambda: usage.put(f"watched-{name}/file", b"new"))


def _fire(usage: Usage, body: dict[str, Any], cause: Callable[[], None]) -> None:
    """Create a schedule, let it fire once, and disable it."""
    made = usage.ask("POST", f"{PIPELINES}/Schedules/Create", body)["Id"]
    path = f"{PIPELINES}/Schedules/{made}"
    usage.allowed["fields", path, "Name"] = {digest([body["Name"]])}
    cause()
    usage.fired.append(made)
    (run_id,) = until(lambda: usage.runs_of(made))
    usage.submitted.add(run_id)
    status = usage.await_end(run_id)
    usage.allowed["status", run_id] = {status}
    usage.ask("PUT", path, {**body, "EntityStatus": "Disabled", "Id": made})


OPERATIONS: tuple[Callable[[Usage], Any], ...] = (
    upload,
    upload_blocks,
    append,
    describe_blob,
    delete_blob,
    fill_folder,
    delete_container,
    send_archive,
    send_folder,
    register_dataset,
    register_model,
    use_workspace,
    start_run,
    log_metrics,
    run_script,
    run_local_script,
    sweep,
    run_pipeline,
    cancel_fan,
    publish,
    schedule,
    watch,
)


def fastest(usage: Usage) -> dict[str, Callable[[Usage], object]]:
    """For each point, the fastest operation that passes it whenever it is done."""
    found: dict[str, tuple[float, Callable[[Usage], object]]] = {}
    for is_first in (True, False):
        for operation in OPERATIONS:
            usage.machine.passed()
            begin = time.monotonic()
            operation(usage)
            usage.settle()
            taken = time.monotonic() - begin
            for point in usage.machine.passed():
                if not is_first and (point not in found or taken < found[point][0]):
                    found[point] = taken, operation
    return {point: operation for point, (_, operation) in found.items()}
