"""`type: amlcompute`: a cluster, created or changed through SDK v1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster, await_cluster, find_compute
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import AlreadyRegistered
from azureml_wrapper.v2.yaml_keys import (
    SCHEMA,
    Key,
    Keys,
    Place,
    Refused,
    one_of,
    read_keys,
    text,
    texts,
    truth,
    whole,
)

if TYPE_CHECKING:
    from azureml.core import Workspace

TYPES = ("amlcompute",)
_IDENTITIES = {"system_assigned": "SystemAssigned", "user_assigned": "UserAssigned"}
_NETWORK: Keys = {
    "vnet_name": Key(read=text, becomes="`vnet_name`, in the workspace's resource group", needed=True),
    "subnet": Key(read=text, becomes="`subnet_name`", needed=True),
}
_SSH: Keys = {
    "admin_username": Key(read=text, becomes="`admin_username`", needed=True),
    "admin_password": Key(read=text, becomes="`admin_user_password`"),
    "ssh_key_value": Key(read=text, becomes="`admin_user_ssh_key`"),
}


def _identities(place: Place) -> list[str]:
    """Read `- resource_id: /subscriptions/…` or the id alone; `az ml` accepts both."""
    if not place.is_a(list):
        return []
    keys: Keys = {"resource_id": Key(read=text, becomes="`identity_id`", needed=True)}
    return [
        str(read_keys(item, keys)["resource_id"] if isinstance(item.value, dict) else text(item))
        for item in place.items()
    ]


_IDENTITY: Keys = {
    "type": Key(read=one_of(*_IDENTITIES), becomes="`identity_type`", needed=True),
    "user_assigned_identities": Key(read=_identities, becomes="`identity_id`", default=()),
}
KEYS: Keys = {
    "$schema": SCHEMA,
    "name": Key(read=text, becomes="the cluster's name", needed=True),
    "type": Key(read=one_of(*TYPES), becomes="AmlCompute", needed=True),
    "size": Key(read=text, becomes="`vm_size`; required", needed=True),
    "tier": Key(read=one_of("dedicated", "low_priority"), becomes="`vm_priority`", default="dedicated"),
    "min_instances": Key(read=whole(0), becomes="`min_nodes`", default=0),
    "max_instances": Key(read=whole(1), becomes="`max_nodes`", default=1),
    "idle_time_before_scale_down": Key(
        read=whole(0), becomes="`idle_seconds_before_scaledown`; 120 unless given", default=120
    ),
    "description": Key(read=text, becomes="`description`"),
    "tags": Key(read=texts, becomes="`tags`"),
    "location": Key(read=text, becomes="`location`"),
    "identity": Key(read=lambda place: read_keys(place, _IDENTITY), becomes="`identity_type`, `identity_id`"),
    "network_settings": Key(read=lambda place: read_keys(place, _NETWORK), becomes="`vnet_name`, `subnet_name`"),
    "ssh_settings": Key(
        read=lambda place: read_keys(place, _SSH), becomes="`admin_username` and its password or key"
    ),
    "ssh_public_access_enabled": Key(read=truth, becomes="`remote_login_port_public_access`"),
    "enable_node_public_ip": Key(read=truth, becomes="`enable_node_public_ip`", default=True),
    "properties": Refused("SDK v1's clusters have no properties; use tags"),
}
NESTED = {"identity": _IDENTITY, "network_settings": _NETWORK, "ssh_settings": _SSH}


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A cluster as the file describes it; `settings` are further keywords of `provisioning_configuration`."""

    name: str
    cluster: Cluster
    settings: dict[str, Any] = field(default_factory=dict)


def read(place: Place) -> Compute:
    """Read a cluster; problems are noted at their keys."""
    found = read_keys(place, KEYS)
    low, high = found["min_instances"], found["max_instances"]
    if low > high:
        place.at("min_instances").fail(f"min_instances is {low}, more than max_instances, {high}.")
    return Compute(
        name=found["name"] or "",
        cluster=Cluster(
            vm_size=found["size"] or "",
            min_nodes=low,
            max_nodes=high,
            vm_priority=found["tier"].replace("_", ""),
            idle_seconds=found["idle_time_before_scale_down"],
        ),
        settings=_settings(found),
    )


def create(ws: Workspace, compute: Compute) -> str:
    """Create the cluster, or change the scale of an existing one; return a sentence that says what was done.

    Raises `AlreadyRegistered` if the existing one differs in what SDK v1 cannot change: its size and its tier.
    """
    found = find_compute(ws, check_compute_name(compute.name))
    if found is None:
        return _make(ws, compute)
    differences = compute.cluster.differences(found)
    kept = _kept(compute)
    if not differences:
        return f"Compute {compute.name!r} already exists, unchanged.{kept}"
    fixed = [text for text in differences if text.startswith(("it is", "compute_size", "vm_priority"))]
    if fixed:
        raise AlreadyRegistered(
            f"Compute {compute.name!r} exists with other settings, which SDK v1 cannot change: {'; '.join(fixed)}. "
            "Use another name, or delete it first."
        )
    cluster = compute.cluster
    found.update(
        min_nodes=cluster.min_nodes,
        max_nodes=cluster.max_nodes,
        idle_seconds_before_scaledown=cluster.idle_seconds,
    )
    return f"Compute {compute.name!r} changed: {_describe(cluster)}.{kept}"


def _kept(compute: Compute) -> str:
    """Name the other settings of the file, which SDK v1 does not change in an existing cluster."""
    given = [name for name, value in compute.settings.items() if value != {}]
    return f" Ignored: {', '.join(given)}, which SDK v1 sets only when it creates a cluster." if given else ""


def _make(ws: Workspace, compute: Compute) -> str:
    from azureml.core.compute import AmlCompute, ComputeTarget

    cluster = compute.cluster
    network = {"vnet_resourcegroup_name": ws.resource_group} if "vnet_name" in compute.settings else {}
    configuration = AmlCompute.provisioning_configuration(
        vm_size=cluster.vm_size,
        vm_priority=cluster.vm_priority,
        min_nodes=cluster.min_nodes,
        max_nodes=cluster.max_nodes,
        idle_seconds_before_scaledown=cluster.idle_seconds,
        **network,
        **compute.settings,
    )
    await_cluster(ComputeTarget.create(ws, compute.name, configuration))
    return f"Compute {compute.name!r} created: {_describe(cluster)}."


def _describe(cluster: Cluster) -> str:
    return (
        f"{cluster.vm_size}, {cluster.vm_priority}, {cluster.min_nodes} to {cluster.max_nodes} nodes, "
        f"idle nodes released after {cluster.idle_seconds} s"
    )


def _settings(found: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of `provisioning_configuration` that the file sets and Cluster does not have."""
    network, ssh, identity = (found[key] or {} for key in ("network_settings", "ssh_settings", "identity"))
    public = found["ssh_public_access_enabled"]
    given = {
        "description": found["description"],
        "tags": found["tags"],
        "location": found["location"],
        "vnet_name": network.get("vnet_name"),
        "subnet_name": network.get("subnet"),
        "admin_username": ssh.get("admin_username"),
        "admin_user_password": ssh.get("admin_password"),
        "admin_user_ssh_key": ssh.get("ssh_key_value"),
        "remote_login_port_public_access": None if public is None else ("Enabled" if public else "Disabled"),
        "identity_type": _IDENTITIES.get(identity.get("type") or ""),
        "identity_id": list(identity.get("user_assigned_identities") or ()) or None,
        "enable_node_public_ip": None if found["enable_node_public_ip"] else False,
    }
    return {name: value for name, value in given.items() if value is not None}
