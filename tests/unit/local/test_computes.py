"""Clusters: what Azure would make, what it would not, and what this machine cannot give."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local.domain.computes import (
    DEFAULT_IDLE_SECONDS,
    VM_SIZES,
    Compute,
    Priority,
    check_compute,
    parse_duration,
    parse_priority,
)
from azureml_wrapper.local.domain.errors import Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.services.compute import wire
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.documents import ComputeStore

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
WORKSPACE = Workspace(
    workspace_id="w", subscription="s", resource_group="g", name="n", location="eastus", created=NOW
)


class MovingClock:
    """Each look at it is a minute later."""

    def __init__(self):
        self.time = NOW

    def now(self):
        self.time += timedelta(minutes=1)
        return self.time


def make(name="cpu", **fields):
    return Compute(name=name, created=NOW, modified=NOW, **fields)


@pytest.fixture
def store():
    return ComputeStore(Database(":memory:"), MovingClock())


@pytest.mark.parametrize("name", ["cpu", "a1", "cpu-cluster-1", "x" * 32, "GPU"])
def test_names_that_azure_takes(name):
    check_compute(make(name))


@pytest.mark.parametrize(
    "name", ["", "a", "1cpu", "-cpu", "cpu-", "cpu_1", "x" * 33, "cpu\n", "../x", "Local", "çpu"]
)
def test_names_that_azure_does_not_take(name):
    with pytest.raises(Invalid, match="is invalid"):
        check_compute(make(name))


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 0), (0, -1), (3, 2)])
def test_numbers_of_nodes_that_make_no_cluster(low, high):
    with pytest.raises(Invalid, match=f"minNodeCount {low}"):
        check_compute(make(min_nodes=low, max_nodes=high))


def test_every_listed_size_can_be_asked_for():
    for size in VM_SIZES:
        check_compute(make(vm_size=size.name.upper()))
        assert make(vm_size=size.name.upper()).has_gpu == (size.gpus > 0)


@pytest.mark.parametrize("size", ["STANDARD_M128-32MS", "STANDARD_NC80ADIS_H100_V5", "STANDARD_E4DS_V4"])
def test_sizes_that_are_not_listed_are_taken_too(size):
    check_compute(make(vm_size=size))


@pytest.mark.parametrize("size", ["", "D2_V2", "STANDARD", "STANDARD_", "STANDARD_D2 V2", "big"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(Invalid, match="does not exist"):
        check_compute(make(vm_size=size))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT120S", 120),
        ("PT2M", 120),
        ("PT1H30M", 5400),
        ("P1DT1S", 86401),
        ("PT1.5S", 1),
        ("", DEFAULT_IDLE_SECONDS),
        (None, DEFAULT_IDLE_SECONDS),
    ],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["120", "PT", "P", "PT-5S", "two minutes"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(Invalid, match="must be a duration"):
        parse_duration(text)


def test_priorities_are_read_whatever_their_case():
    assert parse_priority("lowpriority") is Priority.LOW_PRIORITY
    assert parse_priority("Dedicated") is parse_priority(None) is Priority.DEDICATED
    with pytest.raises(Invalid, match="expected dedicated or lowpriority"):
        parse_priority("spot")


def test_the_differences_name_what_is_not_given():
    plain = make(vm_size="STANDARD_D2_V2").differences
    assert len(plain) == 1
    assert "GPU" not in plain[0]
    full = make(
        vm_size="STANDARD_NC6", priority=Priority.LOW_PRIORITY, subnet="/x", identity={"type": "SystemAssigned"}
    )
    text = " ".join(full.differences)
    assert all(word in text for word in ("GPU", "low priority", "virtual network", "identity"))


def test_the_store_gives_back_what_it_was_given(store):
    given = make(priority=Priority.LOW_PRIORITY, max_nodes=3, tags={"a": "b"}, identity={"type": "SystemAssigned"})
    assert store.put("w", given)
    assert store.get("w", "CPU") == given
    assert store.all("w") == [given]
    assert store.all("other") == []


def test_a_missing_compute_is_told_in_the_words_of_azure(store):
    with pytest.raises(NotFound, match=r"^Unknown compute target 'gpu'\.$"):
        store.get("w", "gpu")
    with pytest.raises(NotFound):
        store.delete("w", "gpu")


def test_a_change_keeps_the_time_of_creation(store):
    store.put("w", make())
    assert not store.put("w", make(max_nodes=9))
    changed = store.get("w", "cpu")
    assert (changed.max_nodes, changed.created) == (9, NOW)
    assert changed.modified > NOW


@pytest.mark.parametrize("change", [{"vm_size": "STANDARD_D2_V2"}, {"priority": Priority.LOW_PRIORITY}])
def test_a_change_that_azure_does_not_make_is_refused(store, change):
    store.put("w", make())
    with pytest.raises(Invalid, match="cannot be changed"):
        store.put("w", make(**change))
    assert store.get("w", "cpu") == make()


@pytest.mark.parametrize(
    ("low", "high", "running", "nodes"), [(0, 4, 0, 0), (2, 4, 0, 2), (2, 4, 3, 3), (0, 2, 5, 2), (1, 1, 1, 1)]
)
def test_nodes_are_there_for_running_jobs_within_the_bounds(low, high, running, nodes):
    compute = make(min_nodes=low, max_nodes=high)
    assert wire.node_count(compute, running) == nodes
    states = [node["nodeState"] for node in wire.nodes(compute, [f"r{number}" for number in range(running)])]
    assert states == ["running"] * min(running, nodes) + ["idle"] * (nodes - min(running, nodes))
    counts = wire.compute(compute, WORKSPACE, running)["properties"]["properties"]["nodeStateCounts"]
    assert counts["runningNodeCount"] == states.count("running")
    assert counts["idleNodeCount"] == states.count("idle")


def test_the_answer_leaves_out_an_identity_that_is_not_there():
    assert "identity" not in wire.compute(make(), WORKSPACE, 0)
    assert wire.compute(make(identity={"type": "X"}), WORKSPACE, 0)["identity"] == {"type": "X"}


def test_a_body_without_anything_but_a_type_gets_the_defaults():
    made = wire.parse_compute("cpu", {"properties": {"computeType": "AmlCompute"}}, WORKSPACE, NOW)
    assert (made.vm_size, made.min_nodes, made.max_nodes, made.location) == ("STANDARD_NC6", 0, 1, "eastus")


@pytest.mark.parametrize(
    "properties",
    [{"computeType": "ComputeInstance"}, {"computeType": "AmlCompute", "properties": {"osType": "Windows"}}, {}],
)
def test_other_kinds_are_unsupported(properties):
    with pytest.raises(Unsupported, match="only AmlCompute clusters of Linux machines"):
        wire.parse_compute("cpu", {"properties": properties}, WORKSPACE, NOW)


@pytest.mark.parametrize("value", ["2", 2.5, True, [1]])
def test_a_number_of_nodes_that_is_none_is_refused(value):
    body = {"properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": {"maxNodeCount": value}}}}
    with pytest.raises(Invalid, match="maxNodeCount"):
        wire.parse_compute("cpu", body, WORKSPACE, NOW)


def test_an_update_changes_what_it_names_and_nothing_else():
    before = make(min_nodes=1, max_nodes=2, idle_seconds=60, tags={"a": "b"})
    body = {"properties": {"properties": {"scaleSettings": {"maxNodeCount": 5}}}}
    assert wire.parse_update(before, body) == replace(before, max_nodes=5)
    assert wire.parse_update(before, {}) == before


def test_identities_are_added_and_taken():
    user = {"type": "UserAssigned", "userAssignedIdentities": {"x": {}, "y": {}}}
    given = wire.parse_update(make(), {"identity": user})
    assert given.identity == user
    fewer = wire.parse_update(given, {"identity": {"type": "UserAssigned", "userAssignedIdentities": {"x": None}}})
    assert fewer.identity == {"type": "UserAssigned", "userAssignedIdentities": {"y": {}}}
    assert wire.parse_update(given, {"identity": {"type": "None"}}).identity is None
