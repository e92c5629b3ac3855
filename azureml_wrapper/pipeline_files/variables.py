"""The environment variables of pipeline configuration files, and the cluster and datastores that they describe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster, find_compute, register_compute
from azureml_wrapper.assets.datastores import find_datastore
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import BadPipeline, BadValue, MissingKey
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Workspace

ENVIRONMENT_FILE = ".env"
# The documentation of these files: "If not specified, defaults to Standard_NC6".
DEFAULT_SKU = "Standard_NC6"
_BLOB = ("BLOB_ACCOUNT_NAME", "BLOB_CONTAINER_NAME", "BLOB_ACCOUNT_KEY", "BLOB_SUB_ID")
_CLUSTER = tuple(f"AML_COMPUTE_CLUSTER_{name}" for name in ("NAME", "MIN_NODES", "MAX_NODES", "SKU"))


@dataclass(frozen=True)
class Blob:
    """A container of a storage account."""

    account_name: str
    container_name: str
    account_key: str = field(repr=False)
    subscription_id: str | None = None


@dataclass(frozen=True)
class ClusterVariables:
    """A cluster; None for what is not set."""

    name: str
    min_nodes: int | None = None
    max_nodes: int | None = None
    sku: str | None = None


class Variables:
    """The values in the environment, or else in the nearest .env.

    The .env is searched for in the current folder, then in the config's folder and above it.
    """

    def __init__(self, folder: Path) -> None:
        self.file = next((file for file in _places(folder) if file.is_file()), None)
        self._values = _read(self.file) | {name: os.environ[name] for name in _BLOB + _CLUSTER if name in os.environ}

    def blob(self, datastore: str) -> Blob:
        """The container for a datastore that is not registered yet; raises `MissingKey` for unset variables."""
        account, container, key, subscription = (self._values.get(name, "") for name in _BLOB)
        if missing := [name for name in _BLOB[:3] if not self._values.get(name)]:
            raise MissingKey(
                f"The datastore {datastore!r} is not registered and cannot be: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set {self._searched()}."
            )
        return Blob(account, container, key, subscription or None)

    def stated_blob(self) -> dict[str, str]:
        """The settings of the container that are set: attribute of the SDK's datastore -> value."""
        names = ("account_name", "container_name", "account_key")
        return {name: self._values[key] for name, key in zip(names, _BLOB, strict=False) if self._values.get(key)}

    @property
    def cluster_name(self) -> str | None:
        """The name of the cluster; None if it is not set."""
        return self._values.get(_CLUSTER[0]) or None

    def cluster(self) -> ClusterVariables:
        """The cluster; raises `MissingKey` without a name, `BadValue` for an invalid number of nodes."""
        name, low, high, sku = (self._values.get(each, "") for each in _CLUSTER)
        if not name:
            raise MissingKey(
                f"{_CLUSTER[0]} is not set {self._searched()}. Set it to the name of the cluster that runs the steps."
            )
        least, most = _nodes(_CLUSTER[1], low), _nodes(_CLUSTER[2], high)
        if least is not None and most is not None and least > most:
            raise BadValue(f"{_CLUSTER[1]} is {least}, which is more than {_CLUSTER[2]} ({most}).")
        return ClusterVariables(name, least, most, sku or None)

    def _searched(self) -> str:
        return f"in the environment or in {self.file or f'a {ENVIRONMENT_FILE} file'}"


def _places(folder: Path) -> Iterator[Path]:
    above = folder.resolve()
    for place in (Path.cwd(), above, *above.parents):
        yield place / ENVIRONMENT_FILE


def _read(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    from dotenv import dotenv_values

    found: Mapping[str, str | None] = dotenv_values(file)
    return {name: value for name, value in found.items() if value is not None}


def _nodes(name: str, value: str) -> int | None:
    if not value:
        return None
    if not value.strip().isdecimal():
        raise BadValue(f"{name} must be a number of nodes, got {value!r}.")
    return int(value)


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
