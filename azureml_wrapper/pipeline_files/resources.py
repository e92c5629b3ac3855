"""The cluster and the datastores of a pipeline configuration file: found, or created from environment variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster, find_compute, register_compute
from azureml_wrapper.assets.datastores import find_datastore
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.messages import inform
from azureml_wrapper.pipeline_files.variables import DEFAULT_SKU, ClusterVariables, Variables

if TYPE_CHECKING:
    from azureml.core import Workspace

_WORDS = {"account_name": "account", "container_name": "container", "account_key": "account key"}


def set_up_compute(ws: Workspace, variables: Variables, nodes: Mapping[str, int]) -> Any:
    """The cluster that AML_COMPUTE_CLUSTER_NAME names, created if it does not exist.

    `nodes` are those that each step needs. Unless the variables say otherwise, a new cluster has 0 nodes or more, and
    at most the largest number of `nodes`. Raises `BadPipeline` if the cluster may not have enough.
    """
    wanted = variables.cluster()
    found = find_compute(ws, check_compute_name(wanted.name))
    if found is None:
        cluster = new_cluster(wanted, nodes.values())
        _check_nodes(nodes, wanted.name, cluster.max_nodes)
        size = f"{cluster.vm_size}, {cluster.min_nodes} to {cluster.max_nodes} nodes"
        inform(f"Creating cluster {wanted.name!r}: {size}.")
        return register_compute(ws, wanted.name, cluster)
    if found.type == "AmlCompute":
        _check_nodes(nodes, wanted.name, found.scale_settings.maximum_node_count)
        _report_differences(found, wanted)
    return found


def new_cluster(wanted: ClusterVariables, nodes: Iterable[int]) -> Cluster:
    """The cluster to create unless one of that name exists."""
    least = wanted.min_nodes or 0
    most = max([least, *nodes], default=1) if wanted.max_nodes is None else wanted.max_nodes
    return Cluster(vm_size=wanted.sku or DEFAULT_SKU, min_nodes=least, max_nodes=most)


def set_up_datastore(ws: Workspace, name: str, variables: Variables) -> Any:
    """The datastore of that name, registered from the BLOB_ variables if it does not exist; raises `MissingKey`."""
    from azureml.core import Datastore

    found = find_datastore(ws, name)
    if found is not None:
        stated = variables.stated_blob().items()
        differing = [_WORDS[key] for key, value in stated if getattr(found, key, value) not in (value, None)]
        if differing:
            inform(
                f"Datastore {name!r} is registered with another {' and '.join(differing)} than the BLOB_ variables "
                "say; using the registered one."
            )
        return found
    blob = variables.blob(name)
    made = Datastore.register_azure_blob_container(
        ws,
        datastore_name=name,
        container_name=blob.container_name,
        account_name=blob.account_name,
        account_key=blob.account_key,
        subscription_id=blob.subscription_id,
    )
    inform(f"Registered datastore {name!r}: container {blob.container_name} of account {blob.account_name}.")
    return made


def _check_nodes(nodes: Mapping[str, int], name: str, most: int) -> None:
    for step, count in nodes.items():
        if count > most:
            raise BadPipeline(
                f"Step {step!r} has node_count {count}, but cluster {name!r} may have {most} node{'s' * (most != 1)}."
                " Lower node_count, or raise AML_COMPUTE_CLUSTER_MAX_NODES (or the maximum of the existing cluster)."
            )


def _report_differences(found: Any, wanted: ClusterVariables) -> None:
    scale = found.scale_settings
    pairs = (
        ("SKU", wanted.sku and wanted.sku.upper(), found.vm_size.upper()),
        ("MIN_NODES", wanted.min_nodes, scale.minimum_node_count),
        ("MAX_NODES", wanted.max_nodes, scale.maximum_node_count),
    )
    differing = [
        f"{there}, not {value} ({key})" for key, value, there in pairs if value is not None and value != there
    ]
    if differing:
        inform(f"Cluster {wanted.name!r} exists and is not changed: {'; '.join(differing)}.")
