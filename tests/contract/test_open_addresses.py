"""The addresses that carry no token: each one opens with its own key only."""

from __future__ import annotations

import pytest
import requests

from azureml_wrapper.connection.local import local_environment
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens


@pytest.fixture(scope="module", autouse=True)
def _cold_services():
    """The service is the one that all tests of this process share, and some of them run jobs."""


@pytest.fixture(scope="module")
def addresses():
    """The variables that a program without authentication gets, and the address of the page."""
    info = service_process.start(Home())
    given = local_environment(Home(), info)
    clouds = requests.get(given["ARM_CLOUD_METADATA_URL"], timeout=30).json()
    return {"msi": given["MSI_ENDPOINT"], "metadata": given["ARM_CLOUD_METADATA_URL"], "page": clouds[0]["portal"]}


def test_the_msi_address_gives_a_token_of_this_service(addresses):
    token = requests.post(addresses["msi"], timeout=30).json()["access_token"]
    assert not Tokens(Home().secret()).identify(token).is_run


OWN = ["https://127.0.0.1:1/", "https://management.azure.com", "https://storage.azure.com", "https://ml.azure.com"]


@pytest.mark.parametrize("resource", OWN)
def test_it_gives_one_for_itself_under_the_names_that_clients_use(addresses, resource):
    assert requests.post(addresses["msi"], data={"resource": resource}, timeout=30).json()["access_token"]


@pytest.mark.parametrize(
    "resource",
    [
        "https://management.core.windows.net/",
        "https://vault.azure.net",
        "https://graph.microsoft.com",
        "x",
        "http://[",
    ],
)
def test_it_gives_none_for_another_service(addresses, resource):
    answer = requests.post(addresses["msi"], data={"resource": resource}, timeout=30)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert f"No token for {resource}: the local Azure ML issues tokens for itself only." in message
    assert "azureml-core>=1.40" in message


def test_the_key_of_the_page_opens_the_page_and_gives_no_token(addresses):
    key = addresses["page"].rsplit("/", 1)[-1]
    assert requests.get(addresses["page"], timeout=30).status_code == 200
    stolen = addresses["msi"].replace(addresses["msi"].split("/")[-2], key)
    assert requests.post(stolen, timeout=30).status_code == 401


@pytest.mark.parametrize("key", ["x", "0" * 32, "é", "%00"])
def test_another_key_opens_nothing(addresses, key):
    for name, method in (("msi", "POST"), ("metadata", "GET"), ("page", "GET")):
        parts = addresses[name].split("/")
        parts[4] = key
        assert requests.request(method, "/".join(parts), timeout=30).status_code == 401


def arm(names):
    subscription, group, name = names
    return (
        f"/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    )


def get(path, token):
    address = f"http://127.0.0.1:{service_process.start(Home()).port}{path}"
    return requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_a_program_without_authentication_gets_the_workspace_that_it_asks_arm_for(addresses):
    token = requests.post(f"{addresses['msi']}?subscriptions=sub-1,sub-2", timeout=30).json()["access_token"]
    listed = {item["subscriptionId"] for item in get("/subscriptions", token).json()["value"]}
    assert {"sub-1", "sub-2"} <= listed
    path = arm(("sub-1", "group", "asked-by-msi"))
    assert get(f"/history/v1.0{path}/experiments/x", token).status_code == 404
    first, second = get(path, token), get(path, token)
    assert first.json()["name"] == "asked-by-msi"
    assert first.json()["properties"]["workspaceId"] == second.json()["properties"]["workspaceId"]


def test_a_workspace_with_an_invalid_name_is_refused(addresses):
    token = requests.post(addresses["msi"], timeout=30).json()["access_token"]
    answer = get(arm(("sub-1", "group", "a.b")), token)
    assert (answer.status_code, "Invalid workspace name 'a.b'" in answer.text) == (400, True)


def test_other_tokens_create_no_workspaces(addresses):
    tokens = Tokens(Home().secret())
    for token in (tokens.user(subscriptions=["sub-1"]), tokens.run("workspace", "run")):
        assert get(arm(("sub-1", "group", "not-there")), token).status_code == 404
