"""References: from one value of a file to another, and to assets of the workspace.

The former (`${{inputs.lr}}`, `${{parent.jobs.prepare.outputs.table}}`) are called bindings; the latter are
`azureml:name:version` and `azureml:name@latest`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from azureml_wrapper.v2.yaml_keys import Place, text

_BINDING = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_NAME = r"[A-Za-z_][\w-]*"
_KINDS = {
    "input": re.compile(rf"inputs\.(?P<name>{_NAME})"),
    "output": re.compile(rf"outputs\.(?P<name>{_NAME})"),
    "search": re.compile(rf"search_space\.(?P<name>{_NAME})"),
    "parent input": re.compile(rf"parent\.inputs\.(?P<name>{_NAME})"),
    "parent output": re.compile(rf"parent\.outputs\.(?P<name>{_NAME})"),
    "job output": re.compile(rf"parent\.jobs\.(?P<job>{_NAME})\.outputs\.(?P<name>{_NAME})"),
}
_REFERENCE = re.compile(r"azureml:(?!//)(?P<name>[^:@/\s]+)(?::(?P<version>[^:@/\s]+)|@(?P<label>[^:@/\s]+))?")
# Microsoft's own registry. A workspace has its environments under their name with this prefix.
_CURATED = re.compile(
    r"azureml://registries/azureml/environments/(?P<name>[^/@:]+)(/(versions/(?P<version>[^/]+)|labels/latest))?"
)
CURATED = "AzureML-"
_FORMS = "azureml:NAME:VERSION or azureml:NAME@latest"


@dataclass(frozen=True)
class Binding:
    """`kind` is one of those above, or "unknown"; then `name` is everything between the braces."""

    kind: str
    name: str
    job: str = ""

    def __str__(self) -> str:
        words = {
            "input": "inputs.",
            "output": "outputs.",
            "search": "search_space.",
            "parent input": "parent.inputs.",
            "parent output": "parent.outputs.",
            "job output": f"parent.jobs.{self.job}.outputs.",
        }
        return f"${{{{{words.get(self.kind, '')}{self.name}}}}}"


def parse(inner: str) -> Binding:
    """Parse what is between `${{` and `}}`."""
    for kind, pattern in _KINDS.items():
        found = pattern.fullmatch(inner)
        if found:
            return Binding(kind, found["name"], found.groupdict().get("job") or "")
    return Binding("unknown", inner)


def whole(text: object) -> Binding | None:
    """Return the binding if the whole value is one, else None."""
    found = _BINDING.fullmatch(text.strip()) if isinstance(text, str) else None
    return parse(found[1]) if found else None


def within(text: str) -> Iterator[Binding]:
    """Iterate over the bindings in a string."""
    return (parse(found[1]) for found in _BINDING.finditer(text))


def fill(text: str, value: Callable[[Binding], str]) -> str:
    """Return the string with each binding replaced."""
    return _BINDING.sub(lambda found: value(parse(found[1])), text)


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


def environment_reference(place: Place) -> Reference | None:
    """Read a reference to an environment, which may be in Microsoft's registry."""
    found = _CURATED.fullmatch(place.value) if isinstance(place.value, str) else None
    if found is None:
        return reference(place)
    return Reference(f"{CURATED}{found['name'].removeprefix(CURATED)}", found["version"])


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
