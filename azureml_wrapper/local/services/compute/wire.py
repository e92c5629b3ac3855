"""JSON of computes, as AmlCompute.deserialize reads it and AmlCompute._build_create_payload writes it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.computes import (
    DEFAULT_VM_SIZE,
    VM_SIZES,
    Compute,
    parse_duration,
    parse_priority,
)
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.shapes import MapOf, check_shape
from azureml_wrapper.local.domain.workspaces import Workspace

JSON = dict[str, Any]

_CLUSTER = {
    "vmSize": str,
    "vmPriority": str,
    "osType": str,
    "scaleSettings": {"nodeIdleTimeBeforeScaleDown": str},
    "subnet": {"id": str},
    "userAccountCredentials": {"adminUserName": str},
    "remoteLoginPortPublicAccess": str,
}
_COMPUTE = {
    "tags": MapOf(str),
    "identity": {"type": str, "userAssignedIdentities": dict},
    "properties": {"computeType": str, "computeLocation": str, "description": str, "properties": _CLUSTER},
}


def parse_compute(name: str, body: JSON, workspace: Workspace, now: datetime) -> Compute:
    """The compute in a PUT; raise `Unsupported` for anything but an AmlCompute cluster of Linux machines."""
    check_shape(body, _COMPUTE, "Compute")
    outer = body.get("properties") or {}
    inner = outer.get("properties") or {}
    _check_kind(name, outer, inner)
    scale = inner.get("scaleSettings") or {}
    return Compute(
        name=name,
        created=now,
        modified=now,
        vm_size=(inner.get("vmSize") or DEFAULT_VM_SIZE).upper(),
        priority=parse_priority(inner.get("vmPriority")),
        min_nodes=_count(scale, "minNodeCount", 0),
        max_nodes=_count(scale, "maxNodeCount", 1),
        idle_seconds=parse_duration(scale.get("nodeIdleTimeBeforeScaleDown")),
        location=outer.get("computeLocation") or workspace.location,
        description=outer.get("description"),
        tags=body.get("tags") or {},
        subnet=(inner.get("subnet") or {}).get("id"),
        identity=body.get("identity"),
        # Only the name: the account exists nowhere, so its password is not stored.
        admin=(inner.get("userAccountCredentials") or {}).get("adminUserName"),
        remote_login=inner.get("remoteLoginPortPublicAccess") or "NotSpecified",
    )


def parse_update(before: Compute, body: JSON) -> Compute:
    """`before` with the scale settings, tags and identity of a PATCH."""
    check_shape(body, _COMPUTE, "Compute")
    scale = ((body.get("properties") or {}).get("properties") or {}).get("scaleSettings") or {}
    idle = scale.get("nodeIdleTimeBeforeScaleDown")
    return replace(
        before,
        min_nodes=_count(scale, "minNodeCount", before.min_nodes),
        max_nodes=_count(scale, "maxNodeCount", before.max_nodes),
        idle_seconds=parse_duration(idle) if idle else before.idle_seconds,
        tags=before.tags if body.get("tags") is None else body["tags"],
        identity=_identity(before.identity, body["identity"]) if "identity" in body else before.identity,
    )


def compute(record: Compute, workspace: Workspace, running: int) -> JSON:
    """A compute as Azure shows it while `running` jobs use it."""
    answer = {
        "id": f"{workspace.scope}/computes/{record.name}",
        "name": record.name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": workspace.location,
        "tags": record.tags,
        "properties": {
            "description": record.description,
            "computeType": "AmlCompute",
            "computeLocation": record.location,
            "resourceId": None,
            "provisioningErrors": None,
            "provisioningState": "Succeeded",
            "createdOn": offset_time(record.created),
            "modifiedOn": offset_time(record.modified),
            "isAttachedCompute": False,
            "disableLocalAuth": False,
            "properties": _properties(record, running),
        },
    }
    # The SDK takes the mere presence of the key for an identity; null breaks it.
    return {**answer, "identity": record.identity} if record.identity else answer


def _properties(record: Compute, running: int) -> JSON:
    nodes = node_count(record, running)
    counts = dict.fromkeys(("preparing", "running", "idle", "unusable", "leaving", "preempted"), 0)
    counts |= {"running": min(running, nodes), "idle": max(nodes - running, 0)}
    return {
        "vmSize": record.vm_size,
        "vmPriority": record.priority.value,
        "scaleSettings": {
            "minNodeCount": record.min_nodes,
            "maxNodeCount": record.max_nodes,
            "nodeIdleTimeBeforeScaleDown": f"PT{record.idle_seconds}S",
        },
        # An empty object, not null: AmlCompute._initialize reads its keys.
        "userAccountCredentials": {"adminUserName": record.admin} if record.admin else {},
        "subnet": {"id": record.subnet} if record.subnet else None,
        "remoteLoginPortPublicAccess": record.remote_login,
        "allocationState": "Steady",
        "allocationStateTransitionTime": offset_time(record.modified),
        "errors": None,
        "currentNodeCount": nodes,
        "targetNodeCount": nodes,
        "nodeStateCounts": {f"{state}NodeCount": count for state, count in counts.items()},
    }


def node_count(record: Compute, running: int) -> int:
    """One node for each running job, between the minimum and the maximum of the cluster."""
    return min(max(record.min_nodes, running), record.max_nodes)


def nodes(record: Compute, runs: list[str]) -> list[JSON]:
    """The nodes of a compute, busy ones first."""
    slots = [*runs, *[None] * record.max_nodes][: node_count(record, len(runs))]
    return [_node(record, place, run_id) for place, run_id in enumerate(slots)]


def _node(record: Compute, place: int, run_id: str | None) -> JSON:
    digest = hashlib.sha256(f"{record.name}/{place}".encode()).hexdigest()
    state = {"nodeState": "running", "runId": run_id} if run_id else {"nodeState": "idle"}
    return {
        "nodeId": f"tvmps_{digest}_{'p' if record.is_low_priority else 'd'}",
        "port": 50000 + place,
        "publicIpAddress": "127.0.0.1",
        "privateIpAddress": "127.0.0.1",
        **state,
    }


def vm_sizes() -> list[JSON]:
    return [
        {
            "name": size.name,
            "family": "",
            "vCPUs": size.cores,
            "gpus": size.gpus,
            "memoryGB": size.memory,
            "maxResourceVolumeMB": size.disk,
            "osVhdSizeMB": 1047552,
            "lowPriorityCapable": True,
            "premiumIO": False,
        }
        for size in VM_SIZES
    ]


def other_kind(name: str, kind: str) -> Unsupported:
    """The fault for a compute that is not a cluster of Linux machines."""
    return Unsupported(
        f"Unsupported type {kind} of compute {name}: the local service has only AmlCompute clusters of Linux "
        "machines (AmlCompute.provisioning_configuration)."
    )


def _check_kind(name: str, outer: JSON, inner: JSON) -> None:
    kind, system = outer.get("computeType"), str(inner.get("osType") or "Linux")
    if kind != "AmlCompute" or system.lower() != "linux":
        raise other_kind(name, f"{kind} ({system})" if kind == "AmlCompute" else str(kind))


def _count(scale: JSON, name: str, default: int) -> int:
    value = scale.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(f"{name} must be an integer, got {value!r}.")
    return value


def _identity(before: JSON | None, change: JSON | None) -> JSON | None:
    if not change or change.get("type") in (None, "None"):
        return None
    users = {**((before or {}).get("userAssignedIdentities") or {}), **(change.get("userAssignedIdentities") or {})}
    # null removes an identity (AmlCompute.remove_identity).
    left = {name: value for name, value in users.items() if value is not None}
    return {"type": change["type"], **({"userAssignedIdentities": left} if left else {})}
