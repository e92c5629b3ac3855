"""Well-formed bodies of every route that takes one, and what can be wrong with a value.

Tests replace one value after another. The keys are those that the service reads; `<run_id>` and the like stand for
the ids of objects that exist, where a test has them.
"""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route

PORT = {"Name": "p", "DataTypeIdsList": ["AnyFile"], "DataTypeId": "AnyFile"}
NODE = {
    "Id": "n",
    "ModuleId": "<module>",
    "ModuleParameters": [
        {"Name": "Target", "Value": "<compute>", "ValueType": "0"},
        {"Name": "Script", "Value": "s.py", "ValueType": "0"},
    ],
    "ModuleInputSettings": [{"Name": "i"}],
    "ModuleOutputSettings": [
        {"Name": "o", "DatasetOutputOptions": {"PathOnDatastore": "x", "SourceGlobs": {"GlobPatterns": ["*"]}}}
    ],
    "Runconfig": '{"environment": {"python": {"userManagedDependencies": true}}, "nodeCount": 1}',
}
EDGE = {"SourceOutputPort": {"NodeId": "n", "PortName": "o"}, "DestinationInputPort": {"GraphPortName": "out"}}
SCHEDULE = {
    "Name": "s",
    "PipelineId": "<pipeline>",
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
        "FileRevisionList": {"FileNodes": [{"FullName": "a", "BlobUri": "<blob_uri>"}]},
        "Properties": {"a": "b"},
    },
    "/snapshotrun": {
        "snapshotId": "s",
        "parentRunId": "r",
        "configuration": {
            "script": "x.py",
            "arguments": ["a"],
            "target": "<compute>",
            "environment": {"name": "e", "python": {}},
            "environmentVariables": {"A": "B"},
            "history": {"outputCollection": True, "directoriesToWatch": ["logs"]},
            "data": {"d": {"dataLocation": {"dataset": {"id": "<saved_id>"}}, "mechanism": "Mount"}},
            "outputData": {
                "o": {
                    "outputLocation": {"dataPath": {"datastoreName": "<datastore>", "relativePath": "y"}},
                    "mechanism": "Upload",
                    "additionalOptions": {"uploadOptions": {"sourceGlobs": {"globPatterns": ["*"]}}},
                }
            },
            "dataReferences": {"r": {"dataStoreName": "<datastore>", "pathOnDataStore": "y", "mode": "Mount"}},
            "nodeCount": 1,
            "maxRunDurationSeconds": 5,
        },
    },
    "/DataTypes": {"Id": "<new_name>", "Name": "t", "ParentDataTypeIds": ["AnyFile"]},
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
    "/DataSources": {"Name": "d", "DataStoreName": "<datastore>", "PathOnDataStore": "y", "IdentifierHash": "h"},
    "/CreationInfoWithGraph": {
        "CreationInfo": {"Description": "x", "ParameterAssignments": {"a": "b"}, "tags": {"a": "b"}},
        "Graph": {
            "ModuleNodes": [NODE],
            "DatasetNodes": [{"Id": "s", "DatasetId": "<data_source>"}],
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
    "/PipelineEndpoints/Create": {
        "Name": "e",
        "PipelineId": "<pipeline>",
        "Description": "d",
        "Properties": {"a": "b"},
    },
    "/PipelineEndpoints/{endpoint}": {
        "Name": "endpoint",
        "DefaultVersion": "0",
        "PipelineVersionList": [{"Version": "0", "PipelineId": "<pipeline>"}],
        "EntityStatus": "Active",
    },
    "/Schedules/Create": SCHEDULE,
    "/Schedules/{schedule}": SCHEDULE,
    "/models": {"name": "m", "url": "aml://asset/<asset_id>", "kvTags": {"a": "b"}, "properties": {"a": "b"}},
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
_FORM = '--b\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n{content}\r\n--b--\r\n'
FORM_TYPE = "multipart/form-data; boundary=b"
_SUBMISSION = {"ExperimentName": "e", "ParameterAssignments": {"a": "b"}, "Description": "d", "tags": {"a": "b"}}
_EVENT = {
    "name": "Microsoft.MachineLearning.Run.Warning",
    "data": {"RunId": "<run_id>", "Source": "s", "Message": "m"},
}
_SCRIPT_RUN: dict[str, Any] = {**BODIES["/snapshotrun"], "snapshotId": "<snapshot_id>", "parentRunId": "<run_id>"}
_VERSION = {
    **BODIES["/Modules"],
    "AmlModuleId": "<azure_module>",
    "Version": "<new_name>",
    "ModuleExecutionType": "escloud",
}
_RUNS_QUERY = {"filter": "Status eq 'Running'", "order": "StartTimeUtc desc", "top": 5, "continuationToken": None}
SWEEP = {
    "name": "exp",
    "platform": "AML",
    "platform_config": {"Definition": {"Overrides": _SCRIPT_RUN["configuration"], "SnapshotId": "<snapshot_id>"}},
    "generator_config": {"name": "GRID", "parameter_space": {"--a": ["choice", [[1, 2]]]}},
    "primary_metric_config": {"name": "loss", "goal": "minimize"},
    "policy_config": {"name": "Bandit", "properties": {"slack_factor": 0.1, "evaluation_interval": 1}},
    "max_total_jobs": 2,
    "max_concurrent_jobs": 2,
    "max_duration_minutes": 10,
}


def form(name: str, file: str, content: str) -> str:
    """A form with one file, as text."""
    return _FORM.format(name=name, file=file, content=content)


# Those that lie below a path that others share, or that no program above sends.
BODIES |= {
    "/Modules/batch": {"Modules": [BODIES["/Modules"], BODIES["/Modules"]]},
    "/Modules/query": {"Hashes": ["h", "none"]},
    "/workspaces/{workspace}": BODIES["workspaces/{workspace}"],
    "/resynckeys": {},
    "/register": {},
    "/computes/{compute}/listNodes": {},
    "/checkComputeNameAvailability": {"name": "x", "type": "ComputeInstance"},
    "/datastores/{name}": {**BODIES["/datastores"], "name": "store"},
    "/default/{name}": {},
    "/datasets/{dataset_id}": {
        "name": "d",
        "datasetType": "file",
        "description": "x",
        "tags": {"a": "b"},
        "latest": {"versionId": "1"},
    },
    "/versions/{version}": BODIES["environments/{environment}"],
    "/versions/{version}/metadata": {"Labels": ["stable"]},
    "/recipe": {},
    "/versions/{version}/image": {},
    "/imageoncompute/{compute}": {},
    "/experiments:query": {"viewType": "ActiveOnly", "filter": "name eq 'x'", "top": 5, "orderby": "name asc"},
    "/experiments/{experiment}": {"description": "x"},
    "/experimentids/{experiment_id}": {"description": "x", "tags": {"a": "b"}, "archive": False},
    "/tags:delete": {"tags": ["a"]},
    "/batch/runs": {"runs": [{"runId": "<run_id>", "tags": {"a": "b"}, "status": "Running"}]},
    "/batch/events": {"events": [_EVENT]},
    "/runs/{run_id}/tags": ["a"],
    "/runs/{run_id}/events": _EVENT,
    "/runs:query": _RUNS_QUERY,
    "/runs/{run_id}/list": {},
    "/runs/{run_id}/full": {"metricName": "m", "continuationToken": None, "startTime": "2026-01-01T00:00:00Z"},
    "/metrics:query": {"filter": "RunId eq 'x'", "orderby": "name asc", "top": 5, "continuationToken": None},
    "/batch/metadata/{origin}/{container}": {"paths": [{"path": "a/b.txt"}]},
    "/artifacts/batch/metadata": {"paths": [{"path": "a/b.txt"}]},
    "/artifacts/batch/{origin}/{container}": ["a/b.txt"],
    "/snapshots/{snapshot_id}/zip": {},
    "/snapshotrun": _SCRIPT_RUN,
    "/localrun": form("files", "definition.json", '{"configuration": {"script": "s.py", "target": "local"}}'),
    "/runs/{run_id}/start": {"configuration": _SCRIPT_RUN["configuration"], "folder": "<folder>"},
    "/runs/{run_id}/cancel": {},
    "/DataTypes/{data_type}": {"Id": "Own", "Name": "t", "ParentDataTypeIds": ["AnyFile"]},
    "/AzureMLModules": {"Name": "m", "Description": "d"},
    "/AzureMLModules/{module}": {
        "Name": "named",
        "Description": "d",
        "DefaultVersion": "v",
        "EntityStatus": "Active",
        "Versions": [{"ModuleVersionId": "<module_version>", "Version": "v"}],
    },
    "/AzureMLModuleVersions": _VERSION,
    "/AzureMLModuleVersions/{version}": {"Data": {"Description": "d", "EntityStatus": "Active"}},
    "/PipelineRuns/Submit/{pipeline_run}": {},
    "/Pipelines/{pipeline}/status": '"0"',
    "/PipelineSubmit/{pipeline}": _SUBMISSION,
    "/PipelineEndpointSubmit/Id/{endpoint}": _SUBMISSION,
    "/PipelineEndpointSubmit/Id/{endpoint}/{version}": _SUBMISSION,
    "/PipelineEndpointSubmit/Name": _SUBMISSION,
    "/AllNodes/Status": {},
    "/AllNodes/StatusCode": {},
    **{f"/Graph/{name}": ["<node>"] for name in ("Node/Status", "Node/StatusCode")},
    **{f"/Graph/Shareable/{name}": ["<node>"] for name in ("STDOUT", "STDERR", "JobLog")},
    "/PipelineRuns/{run_id}/Outputs": ["<node>"],
    "/models/{model_id}": [
        {"op": "add", "path": "/kvTags", "value": {"a": "b"}},
        {"op": "replace", "path": "/description", "value": "d"},
    ],
    "/secrets:getbatch": {"secrets": [{"name": "s"}]},
    "/secrets:deletebatch": {"secrets": [{"name": "s"}]},
    "/mlflow/experiments/delete": {"experiment_id": "0"},
    "/mlflow/runs/delete": {"run_id": RUN},
    "/hyperdrive/v1.0/{experiment_scope}/runs": SWEEP,
    "/hdruns/{run_id}": SWEEP,
    "/hyperdrive/v1.0/{experiment_scope}/runs/{run_id}": SWEEP,
    "/msi/{key}/token": "resource=https://management.azure.com/",
    "/artifacts/content/{origin}/{container}/{path:rest}": "the content of a file",
    "/snapshots/archive": "PK",
}


def whole_path(route: Route) -> str:
    return route.path.replace("{workspace_scope}", WORKSPACE_SCOPE)


def body_for(route: Route) -> Any:
    """A well-formed body: JSON, or text of another kind. None if the route takes none."""
    fitting = [end for end in BODIES if whole_path(route).endswith(end)]
    return BODIES[max(fitting, key=len)] if fitting and route.method not in ("GET", "HEAD") else None
