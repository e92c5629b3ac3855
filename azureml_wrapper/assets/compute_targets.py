"""Compute clusters: the work of `register_compute`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import AlreadyRegistered
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.core.compute import AmlCompute

# The size that Azure ML's studio suggests for a cluster without GPU.
DEFAULT_SIZE = "STANDARD_DS3_V2"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The settings of an AmlCompute cluster; an idle node is released after `idle_seconds`."""

    vm_size: str = DEFAULT_SIZE
    min_nodes: int = 0
    max_nodes: int = 1
    vm_priority: str = "dedicated"
    idle_seconds: int = 1800

    def differences(self, compute: Any) -> list[str]:
        """Describe how an existing compute target differs; empty if it does not."""
        if compute.type != "AmlCompute":
            return [f"its type is {compute.type}"]
        scale = compute.scale_settings
        there = {
            "compute_size": compute.vm_size.upper(),
            "compute_min_nodes": scale.minimum_node_count,
            "compute_max_nodes": scale.maximum_node_count,
            "vm_priority": compute.vm_priority.lower(),
            "idle_seconds": _seconds(scale.idle_seconds_before_scaledown),
        }
        wanted = (self.vm_size.upper(), self.min_nodes, self.max_nodes, self.vm_priority.lower(), self.idle_seconds)
        return [
            f"{key} is {is_}, not {to_be}"
            for (key, is_), to_be in zip(there.items(), wanted, strict=True)
            if is_ != to_be
        ]


def register_compute(ws: Workspace, name: str, wanted: Cluster) -> AmlCompute:
    """The cluster, created if it does not exist; `AlreadyRegistered` if it has other settings."""
    from azureml.core.compute import AmlCompute, ComputeTarget

    found = find_compute(ws, check_compute_name(name))
    if found is None:
        configuration = AmlCompute.provisioning_configuration(
            vm_size=wanted.vm_size,
            vm_priority=wanted.vm_priority,
            min_nodes=wanted.min_nodes,
            max_nodes=wanted.max_nodes,
            idle_seconds_before_scaledown=wanted.idle_seconds,
        )
        compute = ComputeTarget.create(ws, name, configuration)
        await_cluster(compute)
        return compute
    differences = wanted.differences(found)
    if differences:
        raise AlreadyRegistered(
            f"Compute target {name!r} exists with other settings: {'; '.join(differences)}. Use another name, or "
            "change it with its own update() or delete()."
        )
    inform(f"Compute target {name!r} already exists, unchanged.")
    return found


def await_cluster(compute: AmlCompute) -> None:
    """Wait until a cluster is provisioned; raises what the SDK raises.

    The SDK's `wait_for_completion` does the same, but prints the end of the operation even with show_output=False
    (azureml/core/compute/compute.py). Without an operation it only waits for the nodes.
    """
    if compute._operation_endpoint:
        state, _ = compute._wait_for_completion(show_output=False)
        if state == "Succeeded":
            compute._operation_endpoint = None
            compute.refresh_state()
    compute.wait_for_completion(show_output=False)


def find_compute(ws: Workspace, name: str) -> Any:
    """The compute target of that name, or None."""
    from azureml.core.compute import ComputeTarget
    from azureml.exceptions import ComputeTargetException

    try:
        return ComputeTarget(ws, name)
    except ComputeTargetException as error:
        if "ComputeTargetNotFound" not in str(error):
            raise
        return None


def _seconds(duration: Any) -> int | None:
    """Seconds of a duration in ISO 8601, as Azure answers ("PT120S"), or of a number, as the SDK parses it."""
    if duration is None or isinstance(duration, (int, float)):
        return None if duration is None else int(duration)
    from isodate import parse_duration  # type: ignore[import-untyped]

    return int(parse_duration(str(duration)).total_seconds())
