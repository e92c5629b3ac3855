"""The cluster and the datastores of a pipeline configuration file: found, or made of the environment's variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster, find_compute, register_compute
from azureml_wrapper.assets.datastores import find_datastore
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.messages import say
from azureml_wrapper.pipeline_files.entries import StepEntry
from azureml_wrapper.pipeline_files.variables import DEFAULT_SKU, ClusterVariables, Variables

if TYPE_CHECKING:
    from azureml.core import Workspace

_WORDS = {"account_name": "account", "container_name": "container", "account_key": "account key"}


def set_up_compute(ws: Workspace, variables: Variables, entries: Iterable[StepEntry]) -> Any:
    """The cluster that AML_COMPUTE_CLUSTER_NAME names, made where it is not there.

    At least no node, and at the most as many as a step needs or as always stay, unless the variables say otherwise.
    `BadPipeline` where a step needs more nodes than the cluster may have.
    """
    wanted = variables.cluster()
    steps = list(entries)
    needed = max((step.node_count for step in steps), default=1)
    found = find_compute(ws, check_compute_name(wanted.name))
    if found is None:
        size, least = wanted.sku or DEFAULT_SKU, wanted.min_nodes or 0
        most = max(needed, least) if wanted.max_nodes is None else wanted.max_nodes
        _check_nodes(steps, wanted.name, most)
        say(f"Cluster {wanted.name!r} is created: {size}, {least} to {most} nodes.")
        return register_compute(ws, wanted.name, Cluster(vm_size=size, min_nodes=least, max_nodes=most))
    if found.type == "AmlCompute":
        _check_nodes(steps, wanted.name, found.scale_settings.maximum_node_count)
        _tell_differences(found, wanted)
    return found


def set_up_datastore(ws: Workspace, name: str, variables: Variables) -> Any:
    """The datastore of that name, registered from the BLOB_ variables where it is not there; `MissingKey`."""
    from azureml.core import Datastore

    found = find_datastore(ws, name)
    if found is not None:
        stated = variables.stated_blob().items()
        differing = [_WORDS[key] for key, value in stated if getattr(found, key, value) not in (value, None)]
        if differing:
            say(
                f"Datastore {name!r} is registered with another {' and '.join(differing)} than the BLOB_ variables "
                "name; what is registered counts."
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
    say(f"Datastore {name!r} is registered: container {blob.container_name} of account {blob.account_name}.")
    return made


def _check_nodes(steps: Iterable[StepEntry], name: str, most: int) -> None:
    for step in steps:
        if step.node_count > most:
            raise BadPipeline(
                f"Step {step.name!r} has node_count {step.node_count}, but cluster {name!r} may have {most} node"
                f"{'s' * (most != 1)}. Lower it, or raise AML_COMPUTE_CLUSTER_MAX_NODES (of a cluster that exists: "
                "its own maximum)."
            )


def _tell_differences(found: Any, wanted: ClusterVariables) -> None:
    scale = found.scale_settings
    pairs = (
        ("SKU", wanted.sku and wanted.sku.upper(), found.vm_size.upper()),
        ("MIN_NODES", wanted.min_nodes, scale.minimum_node_count),
        ("MAX_NODES", wanted.max_nodes, scale.maximum_node_count),
    )
    told = [f"{there}, not {value} ({key})" for key, value, there in pairs if value is not None and value != there]
    if told:
        say(f"Cluster {wanted.name!r} exists, and stays as it is: {'; '.join(told)}.")
