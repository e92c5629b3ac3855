"""Every route of the service, asked for without a token, with a wrong one, and with the token of a run."""

from __future__ import annotations

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.app import service_routes
from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route
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


OF_WORKSPACE = [route for route in GUARDED if "{workspace_scope}" in route.path]


@pytest.mark.parametrize("route", OF_WORKSPACE, ids=name)
def test_the_token_of_a_run_opens_no_other_workspace(send, service, route):
    headers = {"Authorization": f"Bearer {Tokens(service.secret).run('another', 'r')}"}
    assert send(route.method, path_of(route), headers=headers).status_code == 403


OF_RUN = [
    route for route in OF_WORKSPACE if route.writes and ("{run_id}" in route.path or "{container}" in route.path)
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
