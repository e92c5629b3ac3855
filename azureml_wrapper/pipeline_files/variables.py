"""The environment variables of pipeline configuration files: where the data is, and which cluster to use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.errors import BadValue, MissingKey

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
