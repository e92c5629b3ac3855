"""What a program under `aml local exec` gets: the workspaces that it asks for, and the reports of them."""

from __future__ import annotations

import os
import secrets

import pytest
import requests

from azureml_wrapper.connection.local import local_environment
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import REPORTS, Home
from azureml_wrapper.local.tokens import Tokens

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/research"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def service(home):
    with service_process.running(home.path) as info:
        yield info


class Program:
    """A program as the service sees it, and what is reported to it."""

    def __init__(self, home, service):
        self.name, self.home, self.service = secrets.token_hex(8), home, service
        self.folder = home.path / REPORTS
        self.folder.mkdir(exist_ok=True)
        os.mkfifo(self.folder / self.name)
        self.pipe = os.open(self.folder / self.name, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def reports(self):
        try:
            return os.read(self.pipe, 4096).decode().splitlines()
        except BlockingIOError:
            return []

    def token(self, subscriptions=SUBSCRIPTION):
        address = local_environment(self.home, self.service)["MSI_ENDPOINT"]
        query = f"program={self.name}&subscriptions={subscriptions}"
        return requests.post(
            f"{address}?{query}", data={"resource": f"http://127.0.0.1:{self.service.port}"}, timeout=30
        ).json()["access_token"]

    def send(self, method, path, token=None):
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return requests.request(method, f"http://127.0.0.1:{self.service.port}{path}", headers=headers, timeout=30)

    def get(self, name, group=GROUP, token=None):
        path = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
        return self.send("GET", path, token)


@pytest.fixture
def program(home, service):
    program = Program(home, service)
    yield program
    os.close(program.pipe)


def test_a_workspace_is_created_once_and_reported(program):
    assert program.get("first").json()["name"] == "first"
    assert program.reports == [f"Created workspace first on the local Azure ML ({SUBSCRIPTION}/research/first)."]
    assert (program.get("FIRST").status_code, program.reports) == (200, [])


def test_only_programs_get_what_does_not_exist(program, service):
    tokens = Tokens(service.secret)
    assert program.get("nobodys", token=tokens.user(subscriptions=[SUBSCRIPTION])).status_code == 404
    assert program.get("nobodys", token=tokens.run("w", "r")).status_code in (403, 404)
    assert program.reports == []


@pytest.mark.parametrize("name", ["x", "-a", "a b", "a" * 34])
def test_a_name_that_azure_would_refuse_is_refused(program, name):
    answer = program.get(name)
    assert (answer.status_code, program.reports) == (400, [])
    assert "Invalid workspace name" in answer.json()["error"]["message"]


def test_a_program_that_looks_for_the_group_creates_its_workspaces_itself(program):
    own = GROUP.replace("research", "own")
    program.send("GET", own)
    assert (program.get("mine", own).status_code, program.reports) == (404, [])
    assert program.get("mine", GROUP).status_code == 200


def test_a_workspace_that_the_program_deleted_stays_deleted(program):
    group = GROUP.replace("research", "deleted")
    path = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/gone"
    assert program.get("gone", group).status_code == 200
    assert program.send("DELETE", path).status_code == 200
    assert program.get("gone", group).status_code == 404


def test_its_subscriptions_are_listed_and_the_sdks_error_says_what_else_to_do(program):
    listed = program.send("GET", "/subscriptions", program.token("one,two")).json()["value"]
    names = {item["subscriptionId"]: item["displayName"] for item in listed}
    assert {"one", "two", "local"} <= names.keys()
    assert "aml local exec --workspace" in names["local"]
    user = Tokens(program.service.secret).user()
    assert {"one", "two"}.isdisjoint(
        item["subscriptionId"] for item in program.send("GET", "/subscriptions", user).json()["value"]
    )


def test_a_program_that_has_ended_gets_no_report(program):
    token = program.token()
    (program.folder / program.name).unlink()
    assert program.get("after", token=token).status_code == 200


@pytest.mark.parametrize("name", ["../../secret", "x", "0" * 15])
def test_the_name_of_a_program_is_no_path(program, name):
    program.name = name
    address = local_environment(program.home, program.service)["MSI_ENDPOINT"]
    assert requests.post(f"{address}?program={name}", timeout=30).status_code == 400
