"""Every route of the service, asked for without a token, with a wrong one, and with the token of a run."""

from __future__ import annotations

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.app import service_routes
from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route, Runs
from azureml_wrapper.local.services.blob.handlers import ROUTES as BLOB_ROUTES
from azureml_wrapper.local.tokens import Tokens

SCOPE = WORKSPACE_SCOPE.replace("{subscription}", "local").replace("{resource_group}", "local")
HISTORY = f"/history/v1.0{SCOPE.replace('{workspace}', 'local')}"
GUARDED = [route for route in service_routes() if not route.public]
PUBLIC = [route for route in service_routes() if route.public]
# Not a guess at the secret, and one that is: a token's signature, a byte of it changed.
WRONG = ("", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eDp5", "Bearer \xff.\xff.\xff")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with service_process.running(tmp_path_factory.mktemp("home")) as info:
        yield info


@pytest.fixture(scope="module")
def session():
    with requests.Session() as session:
        # Looking for proxies and a .netrc takes half as long as a request.
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def send(service, session):
    def request(method: str, path: str, **more) -> requests.Response:
        return session.request(method, f"http://127.0.0.1:{service.port}{path}", timeout=10, **more)

    return request


@pytest.fixture(scope="module")
def user(service):
    return {"Authorization": f"Bearer {Tokens(service.secret).user()}"}


@pytest.fixture(scope="module")
def workspace_id(send, user):
    answer = send("GET", SCOPE.replace("{workspace}", "local"), headers=user)
    return answer.json()["properties"]["workspaceId"]


def path_of(route: Route) -> str:
    path = route.path.replace("{workspace_scope}", SCOPE).replace("{workspace}", "local")
    return path.replace("{", "x").replace(":rest", "").replace("}", "")


def name(route: Route) -> str:
    return f"{route.method} {route.path} {'&'.join(route.query)}"


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_no_route_opens_without_a_good_token(send, service, route):
    token = Tokens(service.secret).user()
    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    expired = Tokens(service.secret).user(now=1_000_000_000)
    foreign = Tokens("0" * 64).user()
    for header in (*WRONG, *(f"Bearer {text}" for text in (changed, expired, foreign))):
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        answer = send(route.method, path_of(route), headers=headers)
        assert answer.status_code == 401, (header, answer.text)


@pytest.mark.parametrize("route", PUBLIC, ids=name)
def test_an_open_route_wants_its_key(send, service, route):
    pages = Addresses(port=service.port, key=Tokens(service.secret).key("address")).open_key
    for key in ("x", "%FF", pages[:-1], pages + "0", "0" * len(pages)):
        answer = send(route.method, path_of(route).replace("xkey", key))
        assert answer.status_code == 401, (key, answer.text)


@pytest.mark.parametrize("route", BLOB_ROUTES, ids=name)
def test_no_route_of_the_storage_opens_without_a_key(send, route):
    query = {key: value for key, value in route.query.items() if value}
    date = {"x-ms-version": "2020-10-02"}
    for headers, more in (
        ({}, {}),
        ({"Authorization": "Bearer a.b.c"}, {}),
        ({"Authorization": "SharedKey azureml:AAAA"}, {}),
        ({"Authorization": "SharedKey"}, {}),
        ({}, {"sig": "AAAA", "se": "2099-01-01T00:00:00Z", "sp": "racwdl", "sr": "c", "sv": "2019-02-02"}),
    ):
        answer = send(route.method, path_of(route), headers={**date, **headers}, params={**query, **more})
        assert answer.status_code in (401, 403), answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"])
def test_another_host_name_opens_neither_side(send, service, user, host):
    host = host.format(port=service.port)
    assert send("GET", "/subscriptions", headers={**user, "Host": host}).status_code == 400
    assert send("GET", "/?comp=list", headers={"x-ms-version": "1", "Host": host}).status_code == 400


# All that the token of a run may write: what scripts do in Azure. Every other operation is the user's.
MAY_WRITE = {
    Runs.FAMILY: """
        PATCH /history/v1.0{ws}/experiments/{experiment}/batch/runs
        POST /history/v1.0{ws}/experiments/{experiment}/batch/events
        PATCH /history/v1.0{ws}/experiments/{experiment}/runs/{run_id}
        DELETE /history/v1.0{ws}/experiments/{experiment}/runs/{run_id}/tags
        POST /history/v1.0{ws}/experiments/{experiment}/runs/{run_id}/events
        POST /history/v1.0{ws}/experiments/{experiment}/runs/{run_id}/artifacts/batch/metadata
        POST /metric/v2.0{ws}/runs/{run_id}/batch
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/create
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/update
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/delete
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/restore
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/log-metric
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/log-parameter
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/log-batch
        POST /mlflow/v1.0{ws}/api/2.0/preview/mlflow/runs/log-batch-async
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/log-inputs
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/log-model
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/set-tag
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/runs/delete-tag
        POST /artifact/v2.0{ws}/artifacts/batch/metadata/{origin}/{container}
        DELETE /artifact/v2.0{ws}/artifacts/batch/{origin}/{container}
        DELETE /artifact/v2.0{ws}/artifacts/metadata/{origin}/{container}/{path:rest}
        POST /artifact/v2.0{ws}/artifacts/content/{origin}/{container}/{path:rest}
        POST /execution/v1.0{ws}/experiments/{experiment}/runs/{run_id}/start
        POST /execution/v1.0{ws}/experiments/{experiment}/runs/{run_id}/cancel
        DELETE /pipelines/v1.0{ws}/PipelineRuns/{run_id}/Execution
        PATCH /modelmanagement/v1.0{ws}/models/{model_id}
    """,
    Runs.ADD: """
        POST /dataset/v1.0{ws}/datasets
        POST /dataset/v1.0{ws}/saveddatasets
        PUT /environment/v1.0{ws}/environments/{environment}
        PUT /environment/v1.0{ws}/environments/{environment}/versions/{version}
        POST /history/v1.0{ws}/experiments/{experiment}
        POST /mlflow/v1.0{ws}/api/2.0/mlflow/experiments/create
        POST /content/v2.0{ws}/snapshots/getblob
        POST /content/v2.0{ws}/snapshots/archive
        POST /content/v2.0{ws}/snapshots/{snapshot_id}
        POST /execution/v1.0{ws}/experiments/{experiment}/snapshotrun
        POST /execution/v1.0{ws}/experiments/{experiment}/localrun
        POST /pipelines/v1.0{ws}/DataTypes
        POST /pipelines/v1.0{ws}/Modules
        POST /pipelines/v1.0{ws}/Modules/batch
        POST /pipelines/v1.0{ws}/DataSources
        POST /pipelines/v1.0{ws}/PipelineRuns/Unsubmitted/CreationInfoWithGraph
        POST /pipelines/v1.0{ws}/PipelineRuns/Submit/{pipeline_run}
        POST /pipelines/v1.0{ws}/PipelineRuns/PipelineSubmit/{pipeline}
        POST /pipelines/v1.0{ws}/PipelineRuns/PipelineEndpointSubmit/Id/{endpoint}
        POST /pipelines/v1.0{ws}/PipelineRuns/PipelineEndpointSubmit/Id/{endpoint}/{version}
        POST /pipelines/v1.0{ws}/PipelineRuns/PipelineEndpointSubmit/Name
        POST /modelmanagement/v1.0{ws}/models
        POST /modelmanagement/v1.0{ws}/assets
    """,
    Runs.DATA: """
        PUT /{container}/{name:rest}
        PUT /{container}/{name:rest} comp=block
        PUT /{container}/{name:rest} comp=blocklist
        PUT /{container}/{name:rest} comp=appendblock
        PUT /{container}/{name:rest} comp=metadata
        PUT /{container}/{name:rest} comp=properties
        DELETE /{container}/{name:rest}
    """,
}
ALL_ROUTES = (*service_routes(), *BLOB_ROUTES)


def plain(route: Route) -> str:
    """A route's name; routes with the experiment's id, and those of MLflow's second address, have the first one's."""
    path = route.path.replace("{workspace_scope}", "{ws}").replace("/mlflow/v2.0", "/mlflow/v1.0")
    path = path.replace("/experimentids/{experiment_id}/", "/experiments/{experiment}/")
    return " ".join([route.method, path, *(f"{key}={value}" for key, value in route.query.items() if value)])


@pytest.mark.parametrize("kind", MAY_WRITE)
def test_the_token_of_a_run_writes_only_what_scripts_write(kind):
    """A new operation is refused to runs until it is added here, and to its route, on purpose."""
    listed = {line.strip() for line in MAY_WRITE[kind].strip().splitlines()}
    assert {plain(route) for route in ALL_ROUTES if route.access is kind} == listed


def test_every_other_operation_is_refused_to_runs_or_changes_nothing():
    known = {Runs.READ, Runs.NOTHING, *MAY_WRITE}
    assert {route.access for route in ALL_ROUTES} == known
    reading = {"GET", "HEAD"}
    posted = [plain(route) for route in ALL_ROUTES if route.access is Runs.READ and route.method not in reading]
    words = ("query", "search", "list", "full", "zip", "getbatch", "Status", "StatusCode", "STDOUT", "STDERR")
    words += ("JobLog", "Outputs", "listNodes", "checkComputeNameAvailability")
    assert [name for name in posted if not name.endswith(words)] == []


REFUSED = [route for route in GUARDED if route.access is Runs.NOTHING]


@pytest.mark.parametrize("route", REFUSED, ids=name)
def test_the_token_of_a_run_is_refused_what_users_do(send, service, workspace_id, route):
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run(workspace_id, 'r')}"}
    answer = send(route.method, path_of(route), headers=headers, json={})
    assert answer.status_code == 403, answer.text
    assert "The token of run r does not give access to" in answer.text


OF_WORKSPACE = [route for route in GUARDED if "{workspace_scope}" in route.path]


@pytest.mark.parametrize("route", OF_WORKSPACE, ids=name)
def test_the_token_of_a_run_opens_no_other_workspace(send, service, route):
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run('another', 'r')}"}
    assert send(route.method, path_of(route), headers=headers).status_code == 403


OF_RUN = [
    route
    for route in OF_WORKSPACE
    if route.access is Runs.FAMILY and ("{run_id}" in route.path or "{container}" in route.path)
]


@pytest.mark.parametrize("route", OF_RUN, ids=name)
def test_the_token_of_a_run_writes_to_no_other_run(send, service, user, workspace_id, route):
    for run_id in ("one", "two"):
        send("PATCH", f"{HISTORY}/experiments/e/runs/{run_id}", headers=user, json={})
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run(workspace_id, 'one')}"}
    for other, container in (("two", "dcid.two"), ("%74wo", "%64cid.two")):
        path = (
            path_of(route)
            .replace("xrun_id", other)
            .replace("xcontainer", container)
            .replace("xorigin", "ExperimentRun")
        )
        answer = send(route.method, path, headers=headers, json={})
        assert answer.status_code == 403, (path, answer.text)


@pytest.fixture(scope="module")
def other_workspace(send, user):
    """A second workspace; the name of a container of its own."""
    group = "/subscriptions/local/resourcegroups/local"
    kind = "Microsoft.MachineLearningServices/workspaces"
    template = {"resources": [{"type": kind, "name": "other", "properties": {}}]}
    made = send(
        "PUT",
        f"{group}/providers/Microsoft.Resources/deployments/d",
        headers=user,
        json={"properties": {"template": template}},
    )
    assert made.ok, made.text
    stores = f"/datastore/v1.0{SCOPE.replace('{workspace}', 'other')}/datastores/workspaceblobstore"
    section = send("GET", stores, headers=user).json()["azureStorageSection"]
    return section["containerName"]


def test_the_token_of_a_run_opens_no_storage_of_another_workspace(send, service, user, workspace_id, other_workspace):
    for token, status in ((Tokens(service.secret).user(), 201), (Tokens(service.secret).run(workspace_id, "r"), 403)):
        headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2020-10-02", "x-ms-blob-type": "BlockBlob"}
        answer = send("PUT", f"/{other_workspace}/a.txt", headers=headers, data=b"x")
        assert answer.status_code == status, answer.text


def in_body(route: Route) -> bool:
    return route.access is Runs.FAMILY and "{run_id}" not in route.path and "{container}" not in route.path


@pytest.mark.parametrize("route", [route for route in GUARDED if in_body(route)], ids=name)
def test_the_token_of_a_run_writes_to_no_other_run_named_in_a_body(send, service, user, workspace_id, route):
    for run_id in ("one", "two"):
        send("PATCH", f"{HISTORY}/experiments/e/runs/{run_id}", headers=user, json={"tags": {"k": "v"}})
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run(workspace_id, 'one')}"}
    event = {"name": "Microsoft.MachineLearning.Run.Completed", "data": {"RunId": "two"}}
    body = {
        "run_id": "two",
        "key": "k",
        "runs": [{"runId": "two", "tags": {"k": "changed"}}],
        "events": [event],
        "tags": [{"key": "mlflow.parentRunId", "value": "two"}],
    }
    models = f"/modelmanagement/v1.0{SCOPE.replace('{workspace}', 'local')}/models"
    model = send("POST", models, headers=user, json={"name": "m", "url": "x", "runId": "two"}).json()
    path = path_of(route).replace("xmodel_id", model["id"])
    experiments = send("POST", f"{HISTORY}/experiments/e", headers=user).json()
    answer = send(
        route.method,
        path,
        headers=headers,
        json=[] if "{model_id}" in route.path else {**body, "experiment_id": experiments["experimentId"]},
    )
    assert answer.status_code == 403 or (answer.ok and answer.json()["errors"]), answer.text
    after = send("GET", f"{HISTORY}/experiments/e/runs/two", headers=user).json()
    assert (after["tags"], after["status"]) == ({"k": "v"}, "NotStarted")


def test_the_token_of_a_run_changes_no_files_but_those_of_its_runs(send, service, user, workspace_id):
    """Models' files have another origin; the storage itself takes the token, too."""
    for run_id in ("one", "two"):
        send("PATCH", f"{HISTORY}/experiments/e/runs/{run_id}", headers=user, json={})
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run(workspace_id, 'one')}"}
    artifacts = f"/artifact/v2.0{SCOPE.replace('{workspace}', 'local')}/artifacts"
    place = "LocalUpload/123/model.pkl"
    for path, status in ((f"content/{place}", 200), ("content/ExperimentRun/dcid.missing/x", 404)):
        assert send("POST", f"{artifacts}/{path}", headers=headers, data=b"x").status_code == status
    for method, path in (
        ("POST", f"content/{place}?append=true"),
        ("GET", f"write/{place}"),
        ("DELETE", f"metadata/{place}"),
        ("DELETE", "batch/LocalUpload/123"),
    ):
        assert send(method, f"{artifacts}/{path}", headers=headers, data=b"x").status_code == 403, path
    blob = {**headers, "x-ms-version": "2020-10-02", "x-ms-blob-type": "BlockBlob"}
    written = {
        f"azureml/{place}": 403,
        "azureml/ExperimentRun/dcid.two/x": 403,
        "azureml/ExperimentRun/dcid.one/x": 201,
        f"azureml-blobstore-{workspace_id}/x": 201,
        f"snapshots-{workspace_id}/zips/x.zip": 403,
    }
    send(
        "POST",
        f"/content/v2.0{SCOPE.replace('{workspace}', 'local')}/snapshots/getblob",
        headers=user,
        json={"FileNames": ["a"]},
    )
    answers = {path: send("PUT", f"/{path}", headers=blob, data=b"x").status_code for path in written}
    assert answers == written
    gone = send("DELETE", f"/azureml-blobstore-{workspace_id}?restype=container", headers=blob)
    assert gone.status_code == 403, gone.text


def test_a_run_changes_the_models_that_it_registered(send, service, user, workspace_id):
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run(workspace_id, 'one')}"}
    models = f"/modelmanagement/v1.0{SCOPE.replace('{workspace}', 'local')}/models"
    for token, status in ((headers, 200), (user, 403)):
        made = send("POST", models, headers=token, json={"name": "mine", "url": "x"}).json()
        assert "byRun" not in made
        patch = [{"op": "add", "path": "/description", "value": "d"}]
        answer = send("PATCH", f"{models}/{made['id']}", headers=headers, json=patch)
        assert answer.status_code == status, answer.text
