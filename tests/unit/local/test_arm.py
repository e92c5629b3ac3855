"""Names of workspaces and groups, ARM's filters, updates and templates."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.workspaces import ResourceGroup, Workspace
from azureml_wrapper.local.services.arm import wire
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.workspaces import ResourceGroupStore, WorkspaceStore
from tests.work import statements

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def make(name="work", group="Group", subscription="s", **fields):
    return Workspace(
        workspace_id=f"id-{name}",
        subscription=subscription,
        resource_group=group,
        name=name,
        location="eastus",
        created=NOW,
        **fields,
    )


@pytest.fixture
def database():
    return Database(":memory:")


@pytest.fixture
def workspaces(database):
    return WorkspaceStore(database)


@pytest.fixture
def groups(database):
    return ResourceGroupStore(database)


def test_a_workspace_is_found_whatever_the_case_of_its_names(workspaces):
    workspaces.add(make())
    assert workspaces.get("S", "GROUP", "WORK") == make()
    with pytest.raises(Conflict, match="already exists"):
        workspaces.add(make("Work", group="group"))


def test_a_workspace_is_read_once_until_it_changes(database, workspaces):
    workspaces.add(make())
    made = make()
    read = statements(database, lambda: [workspaces.by_id(made.workspace_id) for _ in range(3)])
    assert len(read) == 1
    changed = make(tags={"a": "b"})

    def change_and_fail():
        with database.transaction():
            workspaces.put(changed)
            assert workspaces.by_id(made.workspace_id) == changed
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert workspaces.by_id(made.workspace_id) == made
    workspaces.put(changed)
    assert workspaces.by_id(made.workspace_id) == changed
    workspaces.delete(changed)
    with pytest.raises(NotFound):
        workspaces.by_id(made.workspace_id)


def test_a_workspace_brings_its_group(workspaces, groups):
    workspaces.add(make())
    assert groups.get("s", "group") == ResourceGroup(subscription="s", name="Group", location="eastus")


def test_a_group_that_is_made_again_keeps_its_place_and_takes_the_tags(groups):
    assert groups.put(ResourceGroup(subscription="s", name="g", location="eastus"))
    assert not groups.put(ResourceGroup(subscription="s", name="G", location="westus", tags={"a": "b"}))
    assert groups.within("s") == [ResourceGroup(subscription="s", name="g", location="eastus", tags={"a": "b"})]
    with pytest.raises(NotFound, match="could not be found"):
        groups.get("s", "other")


@pytest.mark.parametrize("name", ["", "a", "x" * 34, "-a", "a b", "a/b", "..", "a\x00", "wörk"])
def test_a_wrong_workspace_name_is_refused(workspaces, name):
    with pytest.raises(Invalid, match="Invalid workspace name"):
        workspaces.add(make(name))


@pytest.mark.parametrize("name", ["", "x" * 91, "ends.", "a/b", "a b", "a\x00"])
def test_a_wrong_group_name_is_refused(groups, name):
    with pytest.raises(Invalid, match="Invalid resource group name"):
        groups.put(ResourceGroup(subscription="s", name=name, location="l"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "x" * 65])
def test_a_wrong_subscription_is_refused(workspaces, name):
    with pytest.raises(Invalid, match="Invalid subscription"):
        workspaces.add(make(subscription=name))


def test_listeners_hear_of_a_deletion_before_it_happens(workspaces):
    workspaces.add(make())
    heard = []
    workspaces.listen(lambda gone: heard.append((gone.name, workspaces.find("s", "group", "work") is not None)))
    workspaces.delete(make())
    assert heard == [("work", True)]
    assert workspaces.find("s", "group", "work") is None


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("resourceType eq 'microsoft.machinelearningservices/Workspaces'", True),
        ("resourceType eq 'Microsoft.Storage/storageAccounts'", False),
        ("resourceGroup eq 'group' and resourceType eq 'Microsoft.MachineLearningServices/workspaces'", True),
        ("resourceGroup eq 'other' and resourceType eq 'Microsoft.MachineLearningServices/workspaces'", False),
        ("substringof('OR',name)", True),
        ("substringof('DefaultWorkspace-local',name)", False),
    ],
)
def test_filters_of_the_sdk_are_understood(text, fits):
    assert wire.parse_filter(text)(make()) is fits


@pytest.mark.parametrize("text", ["tagName eq 'x'", "resourceType ne 'x'", "resourceType eq x", "a or b"])
def test_other_filters_are_refused(text):
    with pytest.raises(Unsupported, match="Unsupported filter"):
        wire.parse_filter(text)


def test_an_update_replaces_tags_and_keeps_what_it_does_not_name():
    before = make(tags={"a": "b"}, friendly_name="F", description="D")
    assert wire.parse_update(before, {}) == before
    after = wire.parse_update(before, {"tags": {}, "properties": {"description": "", "imageBuildCompute": None}})
    assert (after.tags, after.friendly_name, after.description) == ({}, "F", "")


@pytest.mark.parametrize(
    "body", [{"properties": {"v1LegacyMode": True}}, {"identity": {"type": "X"}}, {"sku": {"a": 1}}]
)
def test_an_update_of_anything_else_is_refused(body):
    with pytest.raises(Unsupported, match="can be changed"):
        wire.parse_update(make(), body)


def template(*resources):
    return {"properties": {"template": {"resources": list(resources)}}}


STORAGE = {"type": "Microsoft.Storage/storageAccounts", "name": "store"}
WORKSPACE = {
    "type": wire.WORKSPACE_TYPE,
    "name": "work",
    "location": "eastus",
    "properties": {"storageAccount": "/x/store", "keyVault": None},
}


def test_a_template_tells_what_to_make():
    inner = {"type": "Microsoft.Resources/resourceGroups", "name": "default", "location": "eastus"}
    nested = {"type": "Microsoft.Resources/deployments", "name": "d", **template(inner)}
    found = wire.parse_template(template(STORAGE, WORKSPACE, nested))
    assert found.groups == [("default", "eastus")]
    assert [made["name"] for made in found.workspaces] == ["work"]
    assert found.resources == [(STORAGE["type"], "store"), (wire.WORKSPACE_TYPE, "work")]


@pytest.mark.parametrize(
    "properties",
    [
        {"storageAccount": "/x/mine"},
        {"containerRegistry": "/x/mine"},
        {"primaryUserAssignedIdentity": "/x/me"},
        {"encryption": {"status": "Enabled"}},
    ],
)
def test_a_workspace_over_resources_of_the_user_is_refused(properties):
    with pytest.raises(Unsupported, match="existing Azure resources"):
        wire.parse_template(template({**WORKSPACE, "properties": properties}))


@pytest.mark.parametrize(
    "body", [{}, {"properties": None}, template({"name": "x"}), {"properties": {"template": {}}}]
)
def test_what_is_no_template_is_refused(body):
    with pytest.raises(Invalid, match="template"):
        wire.parse_template(body)
