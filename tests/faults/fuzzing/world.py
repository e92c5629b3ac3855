"""What the requests of a round name: a workspace of its own, with everything that a route can ask for."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.datasets import folder_definition
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.home import ServiceInfo
from azureml_wrapper.local.tokens import Tokens
from azureml_wrapper.signatures import SharedAccess
from tests.bodies import BODIES, FORM_TYPE, SWEEP, form
from tests.faults.fuzzing.connection import Connection, message

GROUP = "/subscriptions/local/resourceGroups/local"
SCOPES = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/"
KEY = base64.b64encode(b"k" * 64).decode()
_PLACE = re.compile(r"<([a-z_]+)>")
JSON = dict[str, Any]


class World:
    """The values of each kind, and whoever may ask for them."""

    def __init__(
        self, info: ServiceInfo, number: int, connection: Connection, folder: Path = Path("missing")
    ) -> None:
        tokens = Tokens(info.secret)
        self.port, self.number, self._connection = info.port, number, connection
        self.workspace = f"w{number}"
        self.scope = SCOPES + self.workspace
        self.account, self.container = f"acc{number}", f"con{number}"
        self.user = f"Bearer {tokens.user()}"
        self._tokens = tokens
        addresses = Addresses(port=info.port, key=tokens.key("address"))
        self.kinds: dict[str, list[str]] = {
            "subscription": ["local"],
            "resource_group": ["local"],
            "workspace": [self.workspace],
            "msi_key": [addresses.key],
            "open_key": [addresses.open_key],
            "deployment": [f"d{number}"],
            "provider": ["Microsoft.Storage"],
            "kind": ["storageAccounts"],
            "dependency": ["x"],
            "location": ["local"],
            "operation": ["x"],
            "origin": ["ExperimentRun"],
            "registry": ["shared"],
            "version": ["1", "2"],
            "endpoint_version": ["0"],
            "output": ["made"],
            "data_type": ["AnyFile", "Own"],
            "label": ["stable"],
            "node": ["a", "b"],
            "metric": ["m"],
            "module_hash": ["hash"],
            "data_source_hash": ["hash"],
            "experiment": ["exp"],
            "wsid": [self.scope.replace("resourceGroups", "resourcegroups")],
            "experiment_scope": [f"{self.scope[1:]}/experiments/exp"],
            "container": [self.container],
            "new_name": [f"new{number}x{each}" for each in range(20)],
            "new_version": [f"{each}" for each in range(2, 20)],
            "folder": [str(folder)],
            "id": ["00000000-0000-0000-0000-00000000000d"],
        }
        self.run_token = self.signature = ""

    def fill(self, text: str, chance: random.Random) -> str:
        """A text with values in the place of kinds; an unknown kind stays as it is."""

        def value(found: re.Match[str]) -> str:
            values = self.kinds.get(found[1])
            return chance.choice(values) if values else found[0]

        return _PLACE.sub(value, text)

    def fill_all(self, value: Any, chance: random.Random) -> Any:
        if isinstance(value, str):
            return self.fill(value, chance)
        if isinstance(value, dict):
            return {name: self.fill_all(item, chance) for name, item in value.items()}
        return [self.fill_all(item, chance) for item in value] if isinstance(value, list) else value

    async def ask(self, method: str, path: str, body: Any = None, *, data: bytes | None = None, **more: str) -> Any:
        """The answer of a well-formed request, which must succeed."""
        content = data if data is not None else json.dumps(body).encode() if body is not None else b""
        headers = {"Host": f"127.0.0.1:{self.port}", "Authorization": self.user, "Content-Length": str(len(content))}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        path = path.replace("{ws}", self.scope)
        answer = await self._connection.send(message(method, path, headers.items(), content))
        if not 200 <= answer.status < 300:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        try:
            return json.loads(answer.body) if answer.body else None
        except ValueError:
            return None

    async def make(self) -> None:
        """Everything of it, with about a hundred requests."""
        await self._workspaces()
        await self._storage()
        await self._assets()
        await self._runs()
        await self._artifacts()
        await self._jobs()
        await self._pipelines()

    async def end(self) -> None:
        """Delete the workspace with all that the round has put into it, after its runs have been cancelled."""
        for run_id in await self._unfinished():
            await self.ask("POST", f"/execution/v1.0{{ws}}/experiments/exp/runs/{quote(run_id, safe='')}/cancel")
        await self.ask("DELETE", self.scope)

    async def _unfinished(self) -> list[str]:
        experiments = await self.ask("POST", "/history/v1.0{ws}/experiments:query", {"viewType": "All"})
        found = []
        for each in experiments["value"]:
            path = f"/history/v1.0{{ws}}/experimentids/{each['experimentId']}/runs:query"
            runs = (await self.ask("POST", path, {"filter": "Status eq 'Running' or Status eq 'NotStarted'"}))[
                "value"
            ]
            found += [run["runId"] for run in runs]
        return found

    async def _workspaces(self) -> None:
        names = [self.workspace, *(f"s{self.number}x{each}" for each in range(3))]
        for name in names:
            resource = {"type": "Microsoft.MachineLearningServices/workspaces", "name": name, "properties": {}}
            body = {"properties": {"mode": "Incremental", "template": {"resources": [resource]}}}
            await self.ask("PUT", f"{GROUP}/providers/Microsoft.Resources/deployments/d{self.number}", body)
        self.kinds["spare_workspace"] = names[1:]
        self.workspace_id = (await self.ask("GET", "{ws}"))["properties"]["workspaceId"]
        inner = {"vmSize": "STANDARD_D2_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4}}
        for name in ("cpu", "spare"):
            body = {"location": "local", "properties": {"computeType": "AmlCompute", "properties": inner}}
            await self.ask("PUT", f"{{ws}}/computes/{name}", body)
        self.kinds["compute"] = ["cpu", "spare"]

    async def _storage(self) -> None:
        found = await self.ask("GET", "/datastore/v1.0{ws}/datastores/workspaceblobstore")
        section = {
            "accountName": self.account,
            "containerName": self.container,
            "credentialType": "AccountKey",
            "credential": KEY,
        }
        for name in ("store", "spare"):
            body = {"name": name, "dataStoreType": "AzureBlob", "azureStorageSection": section}
            await self.ask("POST", "/datastore/v1.0{ws}/datastores", body)
        self.kinds["datastore"] = ["workspaceblobstore", "store", "spare"]
        self.kinds["container"] = [self.container, found["azureStorageSection"]["containerName"]]
        names = ["data/a.csv", "data/b ü.csv", "c", "c/d"]
        for container in self.kinds["container"]:
            for name in names:
                await self._put(container, name, b"a,b\n1,2\n" * 20, x_ms_blob_type="BlockBlob")
            await self._put(container, "log.txt", b"", x_ms_blob_type="AppendBlob")
            await self._put(container, "blocks?comp=block&blockid=MDAwMDAw", b"a block")
        self.kinds["blob"] = [*names, "log.txt", "blocks"]
        access = SharedAccess(
            account=self.account,
            container=self.container,
            permissions="racwdl",
            expiry=datetime.now(timezone.utc) + timedelta(days=1),
        )
        self.signature = access.query(KEY)

    async def _put(self, container: str, name: str, data: bytes, **headers: str) -> None:
        path = f"/{container}/{quote(name, safe='/?&=')}"
        await self.ask("PUT", path, data=data, **{"x-ms-version": "2020-10-02", **headers})

    async def _assets(self) -> None:
        place = Workspace(
            workspace_id=self.workspace_id,
            subscription="local",
            resource_group="local",
            name=self.workspace,
            location="local",
            created=datetime.now(timezone.utc),
        )
        found = []
        for name in ("set", "other"):
            latest = {"dataflow": folder_definition(place, "workspaceblobstore", "data")}
            body = {"name": name, "datasetType": "file", "latest": latest}
            found.append(await self.ask("POST", "/dataset/v1.0{ws}/datasets", body))
        self.kinds["dataset"] = ["set", "other"]
        self.kinds["dataset_id"] = [each["datasetId"] for each in found]
        self.kinds["saved_id"] = [each["latest"]["savedDatasetId"] for each in found]
        environment = {"python": {"userManagedDependencies": True, "interpreterPath": "python"}}
        await self.ask("PUT", "/environment/v1.0{ws}/environments/env", environment)
        await self.ask("PUT", "/environment/v1.0{ws}/environments/env/versions/1/metadata", {"Labels": ["stable"]})
        build = await self.ask("POST", "/environment/v2.0{ws}/environments/env/versions/1/image")
        self.kinds["environment"], self.kinds["build"] = ["env"], [build["location"].rpartition("/")[2]]
        for name in "st":
            await self.ask("PUT", "/credential/v2.0{ws}/secrets", {"name": name, "value": "v"})
        self.kinds["secret"] = ["s", "t"]

    async def _runs(self) -> None:
        experiment = await self.ask("POST", "/history/v1.0{ws}/experiments/exp")
        spare = await self.ask("POST", "/history/v1.0{ws}/experiments/spare")
        empty = [await self.ask("POST", f"/history/v1.0{{ws}}/experiments/empty{each}") for each in range(5)]
        self.kinds["empty_experiment"] = [each["experimentId"] for each in empty]
        self.kinds["experiment_id"] = [experiment["experimentId"]] * 2 + [spare["experimentId"]]
        names = [f"r{self.number}x{each}" for each in range(4)]
        for name in names:
            body = {"runId": name, "name": name, "status": "Running", "tags": {"a": "1"}}
            await self.ask("PATCH", f"/history/v1.0{{ws}}/experiments/exp/runs/{name}", body)
            points = [{"metricId": f"{name}-{each}", "data": {"m": each}, "step": each} for each in range(3)]
            values = {"values": [{"name": "m", "columns": {"m": "Double"}, "value": points}]}
            await self.ask("POST", f"/metric/v2.0{{ws}}/runs/{name}/batch", values)
        self.kinds["run_id"] = names
        self.run_token = f"Bearer {self._tokens.run(self.workspace_id, names[0])}"

    async def _artifacts(self) -> None:
        names = self.kinds["run_id"]
        self.kinds["artifact_container"] = [f"dcid.{name}" for name in names]
        self.kinds["artifact_path"] = ["outputs/a.txt", "logs/b ü.txt"]
        for name in names[:2]:
            for path in self.kinds["artifact_path"]:
                address = f"/artifact/v2.0{{ws}}/artifacts/content/ExperimentRun/dcid.{name}/{quote(path)}"
                await self.ask("POST", address, data=b"an artifact")
        body = {"name": "model", "artifacts": [{"prefix": f"ExperimentRun/dcid.{names[0]}/outputs"}]}
        asset = await self.ask("POST", "/modelmanagement/v1.0{ws}/assets", body)
        model = {"name": "model", "url": f"aml://asset/{asset['id']}", "kvTags": {"a": "b"}}
        found = [(await self.ask("POST", "/modelmanagement/v1.0{ws}/models", model))["id"] for _ in range(2)]
        self.kinds["asset_id"], self.kinds["model_id"], self.kinds["model"] = [asset["id"]], found, ["model"]

    async def _jobs(self) -> None:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("0", b"print(1)\n")
        self.archive = made.getvalue()
        sent = await self.ask("POST", "/content/v2.0{ws}/snapshots/archive", data=self.archive)
        uri = sent["fileNodes"][0]["blobUri"]
        child = {"name": "s.py", "type": "File", "hash": "x", "children": {}}
        tree = {"name": "", "type": "Directory", "hash": "", "children": {"s.py": child}}
        nodes = {"FileNodes": [{"FullName": "s.py", "BlobUri": uri}]}
        body = {"DirTreeNode": tree, "FileRevisionList": nodes, "Properties": {}}
        names = [f"snap{self.number}x{each}" for each in range(2)]
        for name in names:
            await self.ask("POST", f"/content/v2.0{{ws}}/snapshots/{name}", body)
        self.kinds["snapshot_id"], self.kinds["blob_uri"] = names, [uri]
        config = {
            "script": "s.py",
            "arguments": ["x"],
            "target": "cpu",
            "environment": {"python": {"userManagedDependencies": True}},
        }
        run = {"configuration": config, "snapshotId": names[0]}
        for name in (f"job{self.number}", f"spare{self.number}"):
            await self.ask("POST", f"/execution/v1.0{{ws}}/experiments/exp/snapshotrun?runId={name}", run)
            self.kinds["run_id"].append(name)
        place = form("config", "config.json", json.dumps(SWEEP | {"platform_config": _platform(config, names[0])}))
        path = f"/hyperdrive/v1.0/{quote(self.kinds['experiment_scope'][0], safe='')}/hdruns/sweep{self.number}"
        await self.ask("POST", path, data=place.encode(), **{"Content-Type": FORM_TYPE})
        self.kinds["sweep_run"] = [f"sweep{self.number}"]

    async def _pipelines(self) -> None:
        at = "/pipelines/v1.0{ws}"
        module = {**BODIES["/Modules"], "StorageId": self.kinds["snapshot_id"][0], "IdentifierHash": "hash"}
        port = {"Name": "o", "DataTypeId": "AnyDirectory"}
        module["StructuredInterface"] = {"Parameters": [{"Name": "Word"}], "Outputs": [port]}
        module_id = (await self.ask("POST", f"{at}/Modules", module))["Id"]
        data = {"Name": "d", "DataStoreName": "store", "PathOnDataStore": "data", "IdentifierHash": "hash"}
        source_id = (await self.ask("POST", f"{at}/DataSources", data))["Id"]
        self.kinds["module"], self.kinds["data_source"] = [module_id], [source_id]
        await self.ask("POST", f"{at}/DataTypes", {"Name": "Own", "Id": "Own", "ParentDataTypeIds": ["AnyFile"]})
        named = await self.ask("POST", f"{at}/AzureMLModules", {"Name": "named"})
        self.kinds["azure_module"], self.kinds["azure_module_name"] = [named["Id"]], ["named"]
        version = {**module, "AmlModuleId": named["Id"], "Version": "v", "ModuleExecutionType": "escloud"}
        made = await self.ask("POST", f"{at}/AzureMLModuleVersions", version)
        self.kinds["module_version"] = [_id_of(made)]
        source, target = {"NodeId": "a", "PortName": "o"}, {"GraphPortName": "made"}
        edge = {"SourceOutputPort": source, "DestinationInputPort": target}
        nodes = [_node(name, module_id) for name in "ab"]
        body = {"Graph": {"ModuleNodes": nodes, "Edges": [edge]}, "GraphInterface": {"Outputs": [{"Name": "made"}]}}
        run = await self.ask("POST", f"{at}/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=exp", body)
        await self.ask("POST", f"{at}/PipelineRuns/Submit/{run['Id']}")
        waiting = await self.ask(
            "POST", f"{at}/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=exp", body
        )
        self.kinds["pipeline_run"], self.kinds["graph"] = [run["Id"], waiting["Id"]], [run["GraphId"]]
        self.kinds["run_id"].append(run["Id"])
        published = await self.ask("POST", f"{at}/Pipelines/Create", {"Name": "published", **body})
        endpoint = {"Name": "endpoint", "PipelineId": published["Id"], "Description": "d"}
        found = await self.ask("POST", f"{at}/PipelineEndpoints/Create", endpoint)
        self.kinds["pipeline"], self.kinds["endpoint"] = [published["Id"]], [found["Id"]]
        self.kinds["endpoint_name"] = ["endpoint"]
        schedule = {
            "Name": "schedule",
            "PipelineId": published["Id"],
            "PipelineSubmissionInfo": {"ExperimentName": "exp"},
            "Recurrence": {"Frequency": "Month", "Interval": 1, "StartTime": "2090-01-01T00:00:00"},
        }
        self.kinds["schedule"] = [(await self.ask("POST", f"{at}/Schedules/Create", schedule))["Id"]]


def _platform(config: JSON, snapshot_id: str) -> JSON:
    return {"Definition": {"Overrides": config, "SnapshotId": snapshot_id}}


def _node(name: str, module_id: str) -> JSON:
    given = {"Target": "cpu", "Script": "s.py", "Word": name}
    return {
        "Id": name,
        "ModuleId": module_id,
        "ModuleParameters": [{"Name": key, "Value": value, "ValueType": "0"} for key, value in given.items()],
        "ModuleOutputSettings": [{"Name": "o", "DataStoreName": "workspaceblobstore", "DataStoreMode": "Upload"}],
        "Runconfig": json.dumps({"environment": {"python": {"userManagedDependencies": True}}}),
    }


def _id_of(made: JSON) -> str:
    found = made.get("Id") or made.get("ModuleVersionId") or (made.get("Data") or {}).get("Id")
    return str(found or (made.get("Module") or {}).get("Id"))
