"""Workspaces through the SDK."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing

import pytest
from azureml.core import Experiment, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.exceptions import ProjectSystemException, UserErrorException, WorkspaceException
from msrestazure.azure_exceptions import CloudError

from azureml_wrapper.connection.local import connect_local, local_authentication
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.local.home import Home


def names(ws, name):
    return {
        "name": name,
        "subscription_id": ws.subscription_id,
        "resource_group": ws.resource_group,
        "auth": ws._auth,
    }


@pytest.fixture
def made(ws, unique):
    """A workspace of this test's own."""
    workspace = Workspace.create(**names(ws, unique("w")), location="eastus", tags={"team": "a"}, show_output=False)
    yield workspace
    # In Azure, what was made with it would stay and cost.
    workspace.delete(delete_dependent_resources=True)


def test_get_gives_the_workspace_by_its_names(ws):
    again = Workspace.get(**names(ws, ws.name))
    assert again.get_details()["workspaceid"] == ws.get_details()["workspaceid"]


def test_from_config_finds_the_file_and_connects_with_the_wrappers_authentication(ws, tmp_path, monkeypatch):
    ws.write_config(str(tmp_path))
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    for found in (Workspace.from_config(auth=ws._auth), Workspace.from_config(str(tmp_path), auth=ws._auth)):
        assert found.get_details()["workspaceid"] == ws.get_details()["workspaceid"]


def test_get_of_a_missing_workspace_is_an_error(ws, unique):
    with pytest.raises(ProjectSystemException, match="Workspace not found"):
        Workspace.get(**names(ws, unique()))


def test_details_have_the_keys_of_azure(ws):
    details = ws.get_details()
    assert {
        "id",
        "name",
        "identity",
        "location",
        "type",
        "tags",
        "sku",
        "workspaceid",
        "description",
        "friendlyName",
        "creationTime",
        "keyVault",
        "applicationInsights",
        "storageAccount",
        "hbiWorkspace",
        "allowPublicAccessWhenBehindVnet",
        "provisioningState",
        "imageBuildCompute",
        "discoveryUrl",
    } <= set(details)
    assert details["type"] == "Microsoft.MachineLearningServices/workspaces"
    assert details["provisioningState"] == "Succeeded"
    assert details["creationTime"].endswith("+00:00")
    assert details["sku"] == "Basic"
    uuid.UUID(details["workspaceid"])


@pytest.mark.local_only
def test_details_name_no_place_to_send_telemetry_to(ws):
    assert "sdkTelemetryAppInsightsKey" not in ws.get_details()


@pytest.mark.local_only
def test_create_makes_a_workspace_that_keeps_what_it_was_given(ws, made):
    again = Workspace.get(**names(ws, made.name))
    assert again.location == "eastus"
    assert again.tags["team"] == "a"
    assert again.get_details()["workspaceid"] != ws.get_details()["workspaceid"]


@pytest.mark.local_only
def test_create_tells_what_it_deploys(ws, unique, capsys):
    made = Workspace.create(**names(ws, unique("w")), location="local")
    assert f"Deployed Workspace with name {made.name}" in capsys.readouterr().out
    made.delete()


@pytest.mark.local_only
def test_create_of_a_workspace_that_exists_is_refused_unless_that_is_ok(ws, made):
    with pytest.raises(WorkspaceException, match="already exists"):
        Workspace.create(**names(ws, made.name), location="local")
    again = Workspace.create(**names(ws, made.name), location="westeurope", exist_ok=True)
    assert again.get_details()["workspaceid"] == made.get_details()["workspaceid"]
    assert again.location == "eastus"


@pytest.mark.local_only
def test_create_makes_the_resource_group_where_that_is_allowed(ws, unique):
    given = {**names(ws, unique("w")), "resource_group": unique("group")}
    with pytest.raises(WorkspaceException, match="Resource group was not found"):
        Workspace.create(**given, location="local", create_resource_group=False)
    made = Workspace.create(**given, location="local", create_resource_group=True, show_output=False)
    assert list(Workspace.list(ws.subscription_id, ws._auth, given["resource_group"])) == [made.name]
    # In a group that exists, the location is the group's.
    second = Workspace.create(**{**given, "name": unique("w")}, show_output=False)
    assert second.location == "local"
    made.delete(), second.delete()


@pytest.mark.local_only
def test_create_at_a_place_that_azure_does_not_have_is_refused(ws, unique):
    with pytest.raises(WorkspaceException, match="Location not available"):
        Workspace.create(**names(ws, unique("w")), location="atlantis")


@pytest.mark.local_only
def test_create_with_azure_resources_of_the_user_is_refused(ws, unique):
    given = names(ws, unique("w"))
    account = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/mine"
    with pytest.raises(WorkspaceException, match=r"existing Azure resources .storageAccount."):
        Workspace.create(**given, location="local", storage_account=account, show_output=False)
    with pytest.raises(ProjectSystemException, match="Workspace not found"):
        Workspace.get(**given)


@pytest.mark.parametrize("name", ["ab", "x" * 34, "-first", "with space", "with/slash"])
def test_a_wrong_name_is_refused(ws, name):
    with pytest.raises(UserErrorException, match="Workspace name must be between 3 and 33"):
        Workspace.create(**names(ws, name), location=ws.location)


@pytest.mark.local_only
def test_a_name_that_only_the_service_can_refuse_is_refused(ws):
    # The SDK's check takes any letter, Azure's only those of ASCII.
    with pytest.raises(WorkspaceException, match="Invalid workspace name"):
        Workspace.create(**names(ws, "wörkspace"), location="local", show_output=False)


def test_the_list_of_a_subscription_holds_the_workspace(ws):
    found = Workspace.list(ws.subscription_id, ws._auth)
    assert ws.resource_group in [one.resource_group for one in found[ws.name]]


def test_the_list_of_a_resource_group_holds_the_workspace(ws):
    found = Workspace.list(ws.subscription_id, ws._auth, ws.resource_group)
    assert [one.get_details()["workspaceid"] for one in found[ws.name]] == [ws.get_details()["workspaceid"]]


@pytest.mark.local_only
def test_update_changes_tags_friendly_name_and_description(made):
    answer = made.update(friendly_name="Fraud", description="Nightly scoring", tags={"stage": "test"})
    assert answer["friendlyName"] == "Fraud"
    details = made.get_details()
    assert (details["friendlyName"], details["description"]) == ("Fraud", "Nightly scoring")
    assert details["tags"] == {"stage": "test"}
    made.update(description="Hourly scoring")
    assert made.get_details()["friendlyName"] == "Fraud"


@pytest.mark.local_only
def test_update_of_a_setting_without_meaning_here_is_refused(made):
    with pytest.raises(CloudError, match="imageBuildCompute"):
        made.update(image_build_compute="cpu", friendly_name="x")
    assert made.get_details()["friendlyName"] == made.name


@pytest.mark.local_only
def test_sync_keys_has_nothing_to_do(ws):
    ws.sync_keys()


@pytest.mark.local_only
def test_delete_removes_the_workspace_and_what_belongs_to_it(ws, unique):
    given = {**names(ws, unique("w")), "location": "local", "show_output": False}
    made = Workspace.create(**given)
    old_id = made.get_details()["workspaceid"]
    made.get_default_keyvault().set_secret("password", "tops3cret")
    ComputeTarget.create(made, "cpu", AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1))
    made.delete(delete_dependent_resources=True)
    with pytest.raises(ProjectSystemException, match="Workspace not found"):
        made.get_details()
    again = Workspace.create(**given)
    assert again.compute_targets == {}
    assert again.get_default_keyvault().list_secrets() == []
    assert again.get_details()["workspaceid"] != old_id
    again.delete()


@pytest.mark.local_only
def test_delete_removes_runs_metrics_and_files(ws, unique, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Workspace.create(**names(ws, unique("w")), location="local", show_output=False)
    run = Experiment(made, "e").start_logging(snapshot_directory=None)
    run.log("accuracy", 0.5)
    (tmp_path / "file").write_text("needle")
    run.upload_file("outputs/file", str(tmp_path / "file"))
    run.complete()
    account = made.get_details()["storageAccount"].rsplit("/", 1)[-1]
    assert list((Home().blobs / account).rglob("file"))
    made.delete()
    assert not list((Home().blobs / account).rglob("*"))
    with closing(sqlite3.connect(Home().database)) as database:
        left = database.execute("SELECT count(*) FROM runs WHERE run_id = ?", (run.id,)).fetchone()
    assert left == (0,)


@pytest.mark.local_only
def test_delete_of_a_deleted_workspace_is_no_error(ws, unique):
    made = Workspace.create(**names(ws, unique("w")), location="local", show_output=False)
    made.delete()
    made.delete()


@pytest.mark.local_only
def test_a_config_with_a_real_subscription_is_served_unchanged(unique):
    scope = Scope(str(uuid.uuid4()), unique("group"), unique("w"))
    made = connect_local(scope)
    assert (made.subscription_id, made.resource_group, made.name) == (
        scope.subscription_id,
        scope.resource_group,
        scope.name,
    )
    assert connect_local(scope).get_details()["workspaceid"] == made.get_details()["workspaceid"]
    made.delete()


@pytest.mark.local_only
def test_a_missing_workspace_is_made_in_the_subscription_local(unique):
    made = connect_local(Scope("local", unique("group"), unique("w")))
    assert made.location == "local"
    made.delete()


@pytest.mark.local_only
def test_a_workspace_is_not_made_where_that_was_not_asked(unique):
    with pytest.raises(ConnectionFailed, match="does not exist in"):
        connect_local(Scope("local", unique("group"), unique("w")), create=False)


@pytest.mark.local_only
def test_a_subscription_that_the_token_does_not_name_is_refused_by_the_sdk(ws):
    with pytest.raises(UserErrorException, match="You don't have access"):
        Workspace.get(
            name="x", subscription_id=str(uuid.uuid4()), resource_group="g", auth=local_authentication("local")
        )
