"""`azureml:name:version` and `azureml:name@latest`: references to assets of the workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass

from azureml_wrapper.v2.yaml_keys import Place, text

_REFERENCE = re.compile(r"azureml:(?!//)(?P<name>[^:@/\s]+)(?::(?P<version>[^:@/\s]+)|@(?P<label>[^:@/\s]+))?")
_FORMS = "azureml:NAME:VERSION or azureml:NAME@latest"


@dataclass(frozen=True)
class Reference:
    """A name, and a version unless the latest one is meant."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return f"azureml:{self.name}" + (f":{self.version}" if self.version else "@latest")


def is_reference(value: object) -> bool:
    """Whether a value refers to something registered, such as `azureml:name:1`."""
    return isinstance(value, str) and value.startswith("azureml:") and not value.startswith("azureml://")


def reference(place: Place) -> Reference | None:
    """Read a reference; add a problem if it is invalid or has a label that SDK v1 does not support."""
    value = text(place)
    if value is None:
        return None
    found = _REFERENCE.fullmatch(value)
    if found is None:
        registry = value.startswith("azureml://registries/")
        why = (
            "SDK v1 does not support registries: use azureml:AzureML-… of the workspace, or the image"
            if registry
            else f"must be {_FORMS}"
        )
        place.fail(f"{place} is {value!r}; {why}.")
        return None
    if found["label"] not in (None, "latest"):
        place.fail(f"{place} is {value!r}; the only label that SDK v1 supports is @latest. Use a version instead.")
    return Reference(found["name"], found["version"])


def compute_name(place: Place) -> str | None:
    """Read `azureml:cluster`, or the name alone; `az ml` accepts both."""
    value = text(place)
    if value is None:
        return None
    if value in ("local", "azureml:local"):
        place.fail(
            f"{place} is refused: SDK v1 needs Docker for jobs on this machine. Use the name of a cluster, and "
            "`--local` to run on this machine."
        )
    if value.startswith(("/", "azureml:/", "azureml://")) or value in ("serverless", "azureml:serverless"):
        place.fail(f"{place} is {value!r}; SDK v1 supports only the name of a cluster: azureml:NAME.")
    return value.removeprefix("azureml:")
