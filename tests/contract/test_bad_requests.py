"""Bodies of every malformed kind, sent to every route that takes one: each answer has a reason, and none is a 500."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.app import service_routes
from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route
from azureml_wrapper.local.tokens import Tokens

# Well-formed bodies, of which one value after another is replaced. Their keys are those that the service reads.
PORT = {"Name": "p", "DataTypeIdsList": ["AnyFile"], "DataTypeId": "AnyFile"}
NODE = {
    "Id": "n",
    "ModuleId": "m",
    "ModuleParameters": [{"Name": "TARGET", "Value": "x", "ValueType": "0"}],
    "ModuleInputSettings": [{"Name": "i"}],
    "ModuleOutputSettings": [
        {"Name": "o", "DatasetOutputOptions": {"PathOnDatastore": "x", "SourceGlobs": {"GlobPatterns": ["*"]}}}
    ],
    "Runconfig": "{}",
}
EDGE = {"SourceOutputPort": {"NodeId": "n", "PortName": "o"}, "DestinationInputPort": {"GraphPortName": "out"}}
SCHEDULE = {
    "Name": "s",
    "PipelineId": "p",
    "PipelineSubmissionInfo": {"ExperimentName": "e", "ParameterAssignments": {"a": "b"}, "tags": {"a": "b"}},
    "Recurrence": {
        "Frequency": "Week",
        "Interval": 1,
        "StartTime": "2026-01-01T00:00:00",
        "TimeZone": "UTC",
        "Schedule": {"Hours": [1], "Minutes": [0], "WeekDays": ["Monday"]},
    },
    "ScheduleType": "0",
}
# A run of the `send` fixture, so that what MLflow writes to it is read as well.
RUN = "of-mlflow"
TAGS = [{"key": "a", "value": "b"}]
DATASET = {"name": "d", "digest": "1", "source_type": "http", "source": "{}", "schema": "{}", "profile": "{}"}
MLFLOW = {
    "experiments/create": {"name": RUN, "tags": TAGS},
    "experiments/search": {
        "filter": "name LIKE '%'",
        "view_type": "ALL",
        "max_results": 5,
        "order_by": ["name DESC"],
        "page_token": "0",
    },
    "experiments/set-experiment-tag": {"experiment_id": "0", "key": "a", "value": "b"},
    "experiments/delete-experiment-tag": {"experiment_id": "0", "key": "a"},
    "experiments/restore": {"experiment_id": "0"},
    "runs/create": {"experiment_id": "0", "run_name": "x", "start_time": 1700000000000, "tags": TAGS},
    "runs/update": {"run_id": RUN, "run_name": "x", "status": "FINISHED", "end_time": 1700000000000},
    "runs/restore": {"run_id": RUN},
    "runs/search": {
        "experiment_ids": ["0"],
        "filter": "dataset.name = 'd' and metrics.m < 1",
        "run_view_type": "ALL",
        "max_results": 5,
        "order_by": ["tags.a DESC"],
        "page_token": "0",
    },
    "runs/log-metric": {"run_id": RUN, "key": "m", "value": 1.5, "timestamp": 1700000000000, "step": 1},
    "runs/log-parameter": {"run_id": RUN, "key": "p", "value": "v"},
    "runs/log-batch": {
        "run_id": RUN,
        "metrics": [{"key": "m", "value": 1.5, "timestamp": 1700000000000, "step": 1}],
        "params": [{"key": "q", "value": "v"}],
        "tags": TAGS,
    },
    "runs/log-inputs": {"run_id": RUN, "datasets": [{"tags": TAGS, "dataset": DATASET}], "models": []},
    "runs/log-model": {"run_id": RUN, "model_json": '{"artifact_path": "m"}'},
    "runs/set-tag": {"run_id": RUN, "key": "a", "value": "b"},
    "runs/delete-tag": {"run_id": RUN, "key": "a"},
}
BODIES = {
    "{deployment}": {"properties": {"template": {"resources": [{"type": "x", "name": "y", "properties": {}}]}}},
    "resourcegroups/{resource_group}": {"location": "x", "tags": {"a": "b"}},
    "workspaces/{workspace}": {"tags": {"a": "b"}, "properties": {"friendlyName": "x", "description": "y"}},
    "computes/{compute}": {
        "tags": {"a": "b"},
        "identity": {"type": "SystemAssigned", "userAssignedIdentities": {"a": {}}},
        "properties": {
            "computeType": "AmlCompute",
            "computeLocation": "x",
            "properties": {
                "vmSize": "STANDARD_D2_V2",
                "vmPriority": "dedicated",
                "scaleSettings": {
                    "minNodeCount": 0,
                    "maxNodeCount": 1,
                    "nodeIdleTimeBeforeScaleDown": "PT1M",
                },
                "subnet": {"id": "x"},
                "userAccountCredentials": {"adminUserName": "x"},
            },
        },
    },
    "/datastores": {
        "name": "d",
        "dataStoreType": "AzureBlob",
        "azureStorageSection": {
            "accountName": "acc",
            "containerName": "con",
            "credentialType": "AccountKey",
            "credential": "QUJD",
        },
    },
    "/datasets": {
        "name": "d",
        "datasetType": "file",
        "tags": {"a": "b"},
        "latest": {"dataflow": '{"blocks": [], "inspectors": []}', "properties": {"a": {}}},
    },
    "/saveddatasets": {"datasetType": "file", "dataflowJson": '{"blocks": []}', "properties": {"a": {}}},
    "environments/{environment}": {
        "python": {
            "interpreterPath": "python",
            "condaDependencies": {"channels": ["c"], "dependencies": ["python=3.10", {"pip": ["numpy"]}]},
        },
        "docker": {"baseImage": "x", "baseDockerfile": "y"},
        "environmentVariables": {"A": "B"},
    },
    "/secrets": {"name": "s", "value": "v", "contentType": "text"},
    ":putbatch": {"secrets": [{"name": "s", "value": "v"}]},
    "/getblob": {"FileNames": ["a"]},
    "snapshots/{snapshot_id}": {
        "ParentSnapshotId": "00000000-0000-0000-0000-000000000000",
        "DirTreeNode": {"type": "Directory", "children": {"a": {"type": "File", "hash": "x", "timestamp": "y"}}},
        "FileRevisionList": {"FileNodes": [{"FullName": "a", "BlobUri": "http://x/y"}]},
        "Properties": {"a": "b"},
    },
    "/snapshotrun": {
        "snapshotId": "s",
        "parentRunId": "r",
        "configuration": {
            "script": "x.py",
            "arguments": ["a"],
            "target": "nowhere",
            "environment": {"name": "e", "python": {}},
            "environmentVariables": {"A": "B"},
            "history": {"outputCollection": True, "directoriesToWatch": ["logs"]},
            "data": {"d": {"dataLocation": {"dataset": {"id": "x"}}, "mechanism": "Mount"}},
            "outputData": {
                "o": {
                    "outputLocation": {"dataPath": {"datastoreName": "x", "relativePath": "y"}},
                    "mechanism": "Upload",
                    "additionalOptions": {"uploadOptions": {"sourceGlobs": {"globPatterns": ["*"]}}},
                }
            },
            "dataReferences": {"r": {"dataStoreName": "x", "pathOnDataStore": "y", "mode": "Mount"}},
            "nodeCount": 1,
            "maxRunDurationSeconds": 5,
        },
    },
    "/DataTypes": {"Name": "t", "ParentDataTypeIds": ["AnyFile"]},
    "/Modules": {
        "Name": "m",
        "StepType": "PythonScriptStep",
        "IdentifierHash": "h",
        "KvTags": {"a": "b"},
        "StructuredInterface": {
            "Inputs": [PORT],
            "Outputs": [PORT],
            "Parameters": [{"Name": "a", "DefaultValue": "b"}],
            "Arguments": [{"ValueType": "Literal", "Value": "x"}],
        },
    },
    "/DataSources": {"Name": "d", "DataStoreName": "x", "PathOnDataStore": "y", "IdentifierHash": "h"},
    "/CreationInfoWithGraph": {
        "CreationInfo": {"Description": "x", "ParameterAssignments": {"a": "b"}, "tags": {"a": "b"}},
        "Graph": {
            "ModuleNodes": [NODE],
            "DatasetNodes": [{"Id": "s", "DatasetId": "x", "DataSetDefinition": {"Value": {}}}],
            "Edges": [EDGE],
        },
        "GraphInterface": {"Parameters": [{"Name": "a", "DefaultValue": "b"}]},
    },
    "/Pipelines/Create": {
        "Name": "p",
        "Version": "1",
        "Graph": {"ModuleNodes": [NODE], "Edges": [EDGE]},
        "GraphInterface": {"Parameters": [{"Name": "a", "DefaultValue": "b"}]},
        "ParameterAssignments": {"a": "b"},
        "Properties": {"a": "b"},
    },
    "/PipelineEndpoints/Create": {"Name": "e", "PipelineId": "p", "Description": "d", "Properties": {"a": "b"}},
    "/PipelineEndpoints/{endpoint}": {
        "Name": "e",
        "DefaultVersion": "0",
        "PipelineVersionList": [{"Version": "0", "PipelineId": "p"}],
        "EntityStatus": "Active",
    },
    "/Schedules/Create": SCHEDULE,
    "/Schedules/{schedule}": SCHEDULE,
    "/models": {"name": "m", "url": "aml://asset/x", "kvTags": {"a": "b"}, "properties": {"a": "b"}},
    "/assets": {"name": "a", "artifacts": [{"prefix": "x"}], "kvTags": {"a": "b"}, "runid": "r"},
    "/runs/{run_id}": {
        "tags": {"a": "b"},
        "properties": {"a": "b"},
        "displayName": "x",
        "status": "Running",
        "runTypeV2": {"traits": ["x"]},
        "inputDatasets": [{"dataset": {}}],
    },
    "/runs:query": {"filter": "RunId eq 'x'", "order": "StartTimeUtc asc", "top": 5},
    "/runs/{run_id}/batch": {
        "values": [{"name": "m", "columns": {"m": "Double"}, "value": [{"data": {"m": 1.5}, "step": 1}]}],
        "reportErrors": True,
    },
    **{f"/mlflow/{name}": body for name, body in MLFLOW.items()},
    "/runs/log-batch-async": MLFLOW["runs/log-batch"],
}
WRONG = (None, [], {}, 5, -1, True, "", "x\0y", "\ud800", "../../x", [None], [[]], {"a": None}, 10**400, float("nan"))
RAW = (b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000, b'"x"', b"5", b"[]", b"[1]", b'{"a":NaN}', b"9" * 5000)
MUTATIONS_PER_ROUTE = 25


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with service_process.running(tmp_path_factory.mktemp("home")) as info:
        yield info


@pytest.fixture(scope="module")
def send(service):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {Tokens(service.secret).user()}"

    def request(method: str, path: str, body: bytes) -> requests.Response:
        url = f"http://127.0.0.1:{service.port}{path}"
        return session.request(method, url, data=body, headers={"Content-Type": "application/json"}, timeout=10)

    make_run(request, RUN)
    return request


def make_run(send, run_id: str) -> None:
    route = next(route for route in ROUTES if route.path.endswith("experiments/{experiment}/runs/{run_id}"))
    assert send(route.method, address(route).replace("xrun_id", run_id), b'{"status": "Running"}').ok


def address(route: Route) -> str:
    """The route's path in the workspace `local`, with made-up names for everything else."""
    path = route.path.replace("{workspace_scope}", WORKSPACE_SCOPE)
    for name in ("subscription", "resource_group", "workspace"):
        path = path.replace(f"{{{name}}}", "local")
    return path.replace("{", "x").replace(":rest", "").replace("}", "").replace("xkey", "key")


def places(value, at=()):
    """Where the values of a body are: tuples of keys and numbers."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in found:
        yield (*at, key)
        yield from places(item, (*at, key))


def replaced(body, place: tuple, value):
    if not place:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = replaced(copy[place[0]], place[1:], value)
    return copy


def body_for(route: Route):
    fitting = [end for end in BODIES if route.path.endswith(end)]
    return BODIES[max(fitting, key=len)] if fitting else None


def mutations(route: Route):
    """Wrong bodies for a route: the same ones in every run of the tests."""
    body = body_for(route)
    every = [(place, value) for place in places(body) for value in WRONG]
    chosen = random.Random(route.path).sample(every, min(MUTATIONS_PER_ROUTE, len(every)))  # noqa: S311 # no secret
    return [json.dumps(replaced(body, place, value)).encode() for place, value in chosen]


ROUTES = [route for route in service_routes() if route.method in ("POST", "PUT", "PATCH") and not route.public]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_body_breaks_the_service(send, route):
    for body in (*RAW, *mutations(route)):
        answer = send(route.method, address(route), body)
        assert answer.status_code != 500, (body[:300], answer.text)
        if not answer.ok:
            fault = {key.lower(): value for key, value in answer.json().items()}["error"]
            assert fault.get("message") or fault.get("Message"), body[:300]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "is not valid JSON"),
        (b"[" * 5000, "more than 250 levels"),
        (b"[" * 300 + b"]" * 300, "more than 250 levels"),
        (b'{"location": NaN}', "NaN is not a JSON number"),
        (b'{"location": 1e999}', "1e999 is not a JSON number"),
        (b'{"location": 99999999999999999999}', "more than 64 bits"),
        (rb'{"location": "\ud800"}', "surrogates not allowed"),
        (b'{"location": ["x"]}', "ResourceGroup.location must be a string"),
        (b'{"tags": {"a": {}}}', "ResourceGroup.tags.a must be a string"),
    ],
)
def test_the_answer_says_what_is_wrong(send, body, reason):
    answer = send("PUT", "/subscriptions/local/resourcegroups/some", body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["x", "-1", "\N{SUPERSCRIPT TWO}", "9" * 20, "9" * 5000])
@pytest.mark.parametrize(
    "path",
    [
        "/datastore/v1.0{scope}/datastores?count=",
        "/modelmanagement/v1.0{scope}/models?count=",
        "/dataset/v1.0{scope}/datasets/query/name=x?versionId=",
    ],
)
def test_a_number_in_a_query_that_is_none_is_refused(send, path, number):
    scope = address(Route("GET", "{workspace_scope}", str))
    answer = send("GET", path.format(scope=scope) + quote(number), b"")
    assert answer.status_code == 400
    assert "integer" in answer.json()["error"]["message"]


def test_characters_beyond_the_basic_plane_are_taken(send):
    answer = send("PUT", "/subscriptions/local/resourcegroups/some", rb'{"tags": {"a": "\ud83d\ude00"}}')
    assert answer.json()["tags"] == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("name", MLFLOW)
def test_the_bodies_of_mlflow_are_right_before_they_are_changed(send, name):
    route = next(route for route in ROUTES if route.path.endswith(f"v2.0{{workspace_scope}}/api/2.0/mlflow/{name}"))
    fresh = name.replace("/", "-")
    make_run(send, fresh)
    answer = send("POST", address(route), json.dumps(MLFLOW[name]).replace(RUN, fresh).encode())
    assert answer.ok, answer.text


def test_a_cluster_of_more_nodes_than_azure_allows_is_refused(send):
    compute = json.loads(json.dumps(BODIES["computes/{compute}"]))
    compute["properties"]["properties"]["scaleSettings"]["maxNodeCount"] = 2**62
    route = next(route for route in ROUTES if route.path.endswith("computes/{compute}") and route.method == "PUT")
    answer = send("PUT", address(route).replace("xcompute", "cpu"), json.dumps(compute).encode())
    assert answer.status_code == 400
    assert "65000" in answer.json()["error"]["message"]
