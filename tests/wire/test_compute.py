"""Compute clusters through the SDK."""

from __future__ import annotations

import pytest
import requests
from azureml.core.compute import AksCompute, AmlCompute, ComputeInstance, ComputeTarget
from azureml.exceptions import ComputeTargetException, UserErrorException

from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens


def make(ws, name, **settings):
    config = AmlCompute.provisioning_configuration(**{"vm_size": "Standard_D2_v2", "max_nodes": 2, **settings})
    compute = ComputeTarget.create(ws, name, config)
    compute.wait_for_completion(show_output=False)
    return compute


@pytest.fixture
def cluster(ws, unique):
    """A cluster of this test's own, removed at its end."""
    compute = make(ws, unique("c"), min_nodes=0, max_nodes=4, idle_seconds_before_scaledown=120, tags={"team": "a"})
    yield compute
    compute.delete()


def test_a_created_cluster_can_be_read_again(ws, cluster):
    again = ComputeTarget(ws, cluster.name)
    assert isinstance(again, AmlCompute)
    assert again.provisioning_state == "Succeeded"
    assert again.vm_size.upper() == "STANDARD_D2_V2"
    assert again.tags == {"team": "a"}
    assert again.scale_settings.maximum_node_count == 4


def test_a_compute_is_found_whatever_the_case_of_its_name(ws, cluster):
    assert ComputeTarget(ws, cluster.name.upper()).id == cluster.id


def test_status_has_the_words_of_azure(cluster):
    status = cluster.get_status().serialize()
    assert set(status) == {
        "currentNodeCount",
        "targetNodeCount",
        "nodeStateCounts",
        "allocationState",
        "allocationStateTransitionTime",
        "errors",
        "creationTime",
        "modifiedTime",
        "provisioningState",
        "provisioningStateTransitionTime",
        "scaleSettings",
        "vmPriority",
        "vmSize",
    }
    assert status["allocationState"] == "Steady"
    assert status["provisioningState"] == "Succeeded"
    assert status["vmPriority"] == "Dedicated"
    assert status["vmSize"] == "STANDARD_D2_V2"
    assert status["allocationStateTransitionTime"].endswith("+00:00")
    assert status["scaleSettings"] == {
        "minNodeCount": 0,
        "maxNodeCount": 4,
        "nodeIdleTimeBeforeScaleDown": "PT120S",
    }
    assert status["nodeStateCounts"]["idleNodeCount"] == 0


def test_serialize_gives_the_whole_record(cluster, ws):
    record = cluster.serialize()
    assert record["name"] == cluster.name
    assert record["location"] == ws.location
    assert record["properties"]["computeType"] == "AmlCompute"
    assert record["properties"]["status"]["currentNodeCount"] == 0


@pytest.mark.local_only
def test_the_minimum_of_nodes_is_there_at_once(ws, unique, capsys):
    compute = ComputeTarget.create(
        ws, unique("c"), AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=2, max_nodes=2)
    )
    compute.wait_for_completion(show_output=True, min_node_count=2)
    assert "Minimum number of nodes requested have been provisioned" in capsys.readouterr().out
    nodes = compute.list_nodes()
    assert [node["nodeState"] for node in nodes] == ["idle", "idle"]
    assert len({node["nodeId"] for node in nodes}) == 2
    compute.delete()


def test_a_deleted_cluster_is_gone(ws, unique):
    compute = make(ws, unique("c"))
    compute.delete()
    compute.wait_for_completion(is_delete_operation=True)
    with pytest.raises(ComputeTargetException, match=f"Compute Target with name {compute.name} not found"):
        ComputeTarget(ws, compute.name)
    with pytest.raises(ComputeTargetException, match="404"):
        compute.delete()


def test_a_missing_compute_is_an_error_with_the_text_of_azure(ws, unique):
    name = unique("c")
    text = f"ComputeTargetNotFound: Compute Target with name {name} not found in provided workspace"
    with pytest.raises(ComputeTargetException, match=text):
        ComputeTarget(ws, name)


def test_the_list_holds_every_cluster(ws, cluster):
    assert cluster.name in ws.compute_targets
    assert cluster.name in [compute.name for compute in ComputeTarget.list(ws)]


def test_update_changes_the_scale_settings_only(ws, cluster):
    cluster.update(min_nodes=0, max_nodes=3, idle_seconds_before_scaledown=300)
    again = ComputeTarget(ws, cluster.name)
    assert again.scale_settings.serialize() == {
        "minNodeCount": 0,
        "maxNodeCount": 3,
        "nodeIdleTimeBeforeScaleDown": "PT300S",
    }
    assert again.tags == {"team": "a"}
    assert again.modified_on > again.created_on


def test_update_to_fewer_nodes_than_the_minimum_is_refused(ws, cluster):
    with pytest.raises(ComputeTargetException, match="minNodeCount 5"):
        cluster.update(min_nodes=5, max_nodes=2)
    assert ComputeTarget(ws, cluster.name).scale_settings.maximum_node_count == 4


def test_creating_it_again_with_other_nodes_changes_it(ws, cluster):
    make(ws, cluster.name, max_nodes=7)
    assert ComputeTarget(ws, cluster.name).scale_settings.maximum_node_count == 7


@pytest.mark.local_only
def test_creating_it_again_with_another_size_is_refused(ws, cluster):
    with pytest.raises(ComputeTargetException, match="vm_size STANDARD_D2_V2, which cannot be changed"):
        make(ws, cluster.name, vm_size="STANDARD_D3_V2")


@pytest.mark.parametrize(
    "settings",
    [
        {"vm_priority": "lowpriority"},
        {"vm_size": "STANDARD_NC6S_V3"},
        {"description": "for nightly runs"},
    ],
)
def test_what_a_config_asks_for_is_kept(ws, unique, settings):
    compute = make(ws, unique("c"), **settings)
    record = compute.serialize()["properties"]
    kept = {**record, **record["properties"], "vm_priority": record["properties"]["vmPriority"].lower()}
    kept["vm_size"] = kept["vmSize"].upper()
    assert {name: kept[name] for name in settings} == settings
    compute.delete()


@pytest.mark.local_only
def test_a_size_that_is_not_given_is_the_default_of_the_sdk(ws, unique):
    compute = make(ws, unique("c"), vm_size="")
    assert compute.vm_size == "STANDARD_NC6"
    compute.delete()


@pytest.mark.local_only
def test_a_password_is_not_kept(ws, unique):
    compute = make(ws, unique("c"), admin_username="eve", admin_user_password="Secret-Password-1")
    assert compute.admin_username == "eve"
    assert ComputeTarget(ws, compute.name).admin_user_password is None
    compute.delete()


@pytest.mark.local_only
def test_an_identity_is_kept_as_a_record(ws, cluster):
    cluster.add_identity("SystemAssigned")
    assert cluster.identity_type == "SystemAssigned"
    cluster.add_identity("UserAssigned", ["/subscriptions/s/x", "/subscriptions/s/y"])
    assert list(ComputeTarget(ws, cluster.name).identity_id) == ["/subscriptions/s/x", "/subscriptions/s/y"]


@pytest.mark.local_only
def test_a_body_that_is_no_object_is_refused(cluster):
    # AmlCompute.remove_identity encodes its body twice.
    cluster.add_identity("SystemAssigned")
    with pytest.raises(ComputeTargetException, match="must be a JSON object"):
        cluster.remove_identity()


@pytest.mark.parametrize("name", ["1abc", "a_b", "ends-", "x" * 33, "a", "AmlCompute"])
def test_a_wrong_name_is_refused(ws, name):
    with pytest.raises(ComputeTargetException, match=r"Compute name .* is invalid"):
        make(ws, name)


def test_a_reserved_name_is_refused_by_the_sdk(ws):
    with pytest.raises(UserErrorException, match="reserved name"):
        make(ws, "local")


def test_a_cluster_without_nodes_is_refused(ws, unique):
    with pytest.raises(ComputeTargetException, match="maxNodeCount 0"):
        make(ws, unique("c"), max_nodes=0)


def test_a_size_that_does_not_exist_is_refused(ws, unique):
    name = unique("c")
    with pytest.raises(ComputeTargetException, match=r"NICE_AND_BIG.* does not exist"):
        make(ws, name, vm_size="nice_and_big")
    assert name not in ws.compute_targets


@pytest.mark.local_only
@pytest.mark.parametrize(
    "config",
    [ComputeInstance.provisioning_configuration(vm_size="STANDARD_D2_V2"), AksCompute.provisioning_configuration()],
    ids=["ComputeInstance", "AksCompute"],
)
def test_other_kinds_of_compute_are_not_pretended(ws, unique, config):
    with pytest.raises(ComputeTargetException, match="only AmlCompute clusters of Linux machines"):
        ComputeTarget.create(ws, unique("c"), config)


def test_supported_sizes_tell_cores_and_processors(ws):
    sizes = {size["name"].upper(): size for size in AmlCompute.supported_vmsizes(ws)}
    assert sizes["STANDARD_D2_V2"]["vCPUs"] == 2
    assert sizes["STANDARD_NC6S_V3"]["gpus"] == 1


@pytest.mark.local_only
def test_the_token_of_a_run_makes_and_removes_nothing(ws, cluster):
    service = Home().read_service()
    token = Tokens(service.secret).run(ws.get_details()["workspaceid"], "some-run")
    answer = requests.delete(
        f"http://127.0.0.1:{service.port}{cluster.id}", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    assert answer.status_code == 403
    assert ComputeTarget(ws, cluster.name).name == cluster.name
