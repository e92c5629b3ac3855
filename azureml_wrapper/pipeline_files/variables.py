"""The environment variables that pipeline configuration files go with: where the data are, and which cluster runs."""

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
    """A cluster; None stands for what was not said."""

    name: str
    min_nodes: int | None = None
    max_nodes: int | None = None
    sku: str | None = None


class Variables:
    """The values of the environment, and of the nearest .env where the environment has none.

    The .env is looked for in the current folder, then beside the config and above it.
    """

    def __init__(self, folder: Path) -> None:
        self.file = next((file for file in _places(folder) if file.is_file()), None)
        self._values = _read(self.file) | {name: os.environ[name] for name in _BLOB + _CLUSTER if name in os.environ}

    def blob(self, datastore: str) -> Blob:
        """The container for a datastore that is not registered yet; `MissingKey` names the variables not set."""
        account, container, key, subscription = (self._values.get(name, "") for name in _BLOB)
        if missing := [name for name in _BLOB[:3] if not self._values.get(name)]:
            raise MissingKey(
                f"The datastore {datastore!r} is not registered yet, and cannot be made: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set, {self._where()}."
            )
        return Blob(account, container, key, subscription or None)

    def stated_blob(self) -> dict[str, str]:
        """What is set of the container: attribute of the SDK's datastore -> value."""
        names = ("account_name", "container_name", "account_key")
        return {name: self._values[key] for name, key in zip(names, _BLOB, strict=False) if self._values.get(key)}

    def cluster(self) -> ClusterVariables:
        """The cluster; `MissingKey` without a name, `BadValue` for what is no number of nodes."""
        name, low, high, sku = (self._values.get(each, "") for each in _CLUSTER)
        if not name:
            raise MissingKey(f"{_CLUSTER[0]} is not set, {self._where()}: it names the cluster that runs the steps.")
        least, most = _nodes(_CLUSTER[1], low), _nodes(_CLUSTER[2], high)
        if least is not None and most is not None and least > most:
            raise BadValue(f"{_CLUSTER[1]} is {least}, more than {_CLUSTER[2]}, which is {most}.")
        return ClusterVariables(name, least, most, sku or None)

    def _where(self) -> str:
        return f"neither in the environment nor in {self.file or f'a file {ENVIRONMENT_FILE}'}"


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
        raise BadValue(f"{name} is {value!r}; it is to be a number of nodes.")
    return int(value)
