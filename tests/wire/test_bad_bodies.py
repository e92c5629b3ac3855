"""Bodies that the SDK would never send: each is answered with 400 and a reason, and nothing is stored."""

from __future__ import annotations

import pytest
import requests
from azureml.core import Experiment

pytestmark = pytest.mark.local_only

RUN = "/history/v1.0{ws}/experiments/{experiment}/runs/{run}"
METRICS = "/metric/v2.0{ws}/runs/{run}"
MLFLOW = "/mlflow/v2.0{ws}/api/2.0/mlflow"
MODELS = "/modelmanagement/v1.0{ws}"


@pytest.fixture
def run(ws, unique):
    return Experiment(ws, unique("exp")).start_logging(snapshot_directory=None, outputs=False)


@pytest.fixture
def send(ws, run):
    """`send(method, path, body)`: as the user of the workspace."""
    scope = ws.service_context._get_workspace_scope()
    base = ws.service_context._get_run_history_url()

    def call(method, path, body):
        names = {"ws": scope, "experiment": run.experiment.name, "experiment_id": run.experiment.id, "run": run.id}
        address = base + path.format(**names)
        kind = "data" if isinstance(body, bytes) else "json"
        headers = ws._auth.get_authentication_header()
        return requests.request(method, address, headers=headers, timeout=10, **{kind: body})

    return call


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", RUN, b"{not json"),
        ("PATCH", RUN, [1]),
        ("PATCH", RUN, {"tags": {"k": 5}}),
        ("PATCH", RUN, {"tags": ["k"]}),
        ("PATCH", RUN, {"properties": "p"}),
        ("PATCH", RUN, {"status": "Sideways"}),
        ("PATCH", RUN, {"status": 5}),
        ("PATCH", RUN, {"displayName": {}}),
        ("PATCH", RUN, {"runTypeV2": "x"}),
        ("PATCH", RUN, {"inputDatasets": {"a": 1}}),
        ("PATCH", RUN, {"runId": "another"}),
        ("DELETE", RUN + "/tags", {"k": "v"}),
        ("DELETE", RUN + "/tags", [1]),
        ("POST", RUN + "/events", {"name": "Nonsense"}),
        ("POST", RUN + "/events", {"name": "Microsoft.MachineLearning.Run.Completed", "data": {"EndTime": "soon"}}),
        ("POST", RUN + "/events", {"name": "Microsoft.MachineLearning.Run.Completed", "data": {"EndTime": 5}}),
        ("POST", RUN + "/events", {"name": "Microsoft.MachineLearning.Run.Error", "data": {"ErrorResponse": "x"}}),
        ("PATCH", "/history/v1.0{ws}/experiments/{experiment}/batch/runs", {"runs": [1]}),
        ("PATCH", "/history/v1.0{ws}/experiments/{experiment}/batch/runs", {"runs": [{}] * 101}),
        ("POST", "/history/v1.0{ws}/experiments/{experiment}/batch/events", {"events": "e"}),
        ("POST", "/history/v1.0{ws}/experiments/{experiment}/runs:query", {"filter": 5}),
        ("POST", "/history/v1.0{ws}/experiments/{experiment}/runs:query", {"continuationToken": "x"}),
        ("PATCH", "/history/v1.0{ws}/experimentids/{experiment_id}", {"tags": {"k": 1}}),
        ("PATCH", "/history/v1.0{ws}/experimentids/{experiment_id}", {"name": "renamed"}),
        ("POST", "/history/v1.0{ws}/experimentids/{experiment_id}/tags:delete", {"tags": "k"}),
        ("POST", METRICS + "/batch", {"values": "x"}),
        ("POST", METRICS + "/batch", {"values": [{"name": "m", "value": [{"data": 5}]}]}),
        ("POST", METRICS + "/batch", {"values": [{"name": "m", "value": [{"step": "one"}]}]}),
        ("POST", METRICS + "/batch", {"values": [{"name": "m", "value": [{"createdUtc": "soon"}]}]}),
        ("POST", METRICS + "/batch", {"values": [{"name": ""}]}),
        ("POST", METRICS + "/full", {"metricName": "m", "continuationToken": "x"}),
        ("POST", MODELS + "/models", {"name": "a/b"}),
        ("POST", MODELS + "/models", {"name": "ok", "kvTags": [1]}),
        ("POST", MODELS + "/assets", {"artifacts": "x"}),
        ("GET", MODELS + "/models/no-version", None),
        ("GET", MODELS + "/models?count=many", None),
        ("POST", MLFLOW + "/runs/search", {"max_results": "many"}),
        ("POST", MLFLOW + "/runs/search", {"max_results": -1}),
        ("POST", "/artifact/v2.0{ws}/artifacts/batch/metadata/ExperimentRun/dcid.{run}", {"paths": ["x"]}),
    ],
)
def test_a_body_that_means_nothing_is_refused_with_a_reason(run, send, method, path, body):
    if path.endswith("/full"):
        run.log("m", 1)
        run.flush()
    answer = send(method, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert run.get_status() == "Running"
    assert run.get_tags() == {}
