"""Looks up what a pipeline names in its workspace, each once; suggests similar names for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import find_compute
from azureml_wrapper.assets.csv_datasets import find_dataset
from azureml_wrapper.assets.environments import find_environment
from azureml_wrapper.errors import (
    NotRegistered,
    UnregisteredCompute,
    UnregisteredDataset,
    UnregisteredEnvironment,
    did_you_mean,
)

if TYPE_CHECKING:
    from azureml.core import Workspace

# Azure's own environments, dozens in every workspace.
_CURATED = "AzureML-"
_REMEDIES = {
    "dataset": "Register one with WorkspaceWrapper.register_csv.",
    "environment": "Register one with WorkspaceWrapper.register_env or `aml environment create -f FILE`.",
    "compute target": "Create one with WorkspaceWrapper.register_compute or `aml compute create -f FILE`.",
}


class Lookup:
    """The datasets, environments and computes of a workspace at one moment; each build of a pipeline uses its own."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._found: dict[tuple[str, str], Any] = {}

    def datasets(self, names: Iterable[str]) -> dict[str, Any]:
        """Name -> newest version; `UnregisteredDataset` lists all that are missing."""
        return self._all("dataset", names, find_dataset, UnregisteredDataset)

    def environments(self, names: Iterable[str]) -> dict[str, Any]:
        """Name -> newest version; `UnregisteredEnvironment` lists all that are missing."""
        return self._all("environment", names, find_environment, UnregisteredEnvironment)

    def computes(self, names: Iterable[str]) -> dict[str, Any]:
        """Name -> compute target; `UnregisteredCompute` lists all that are missing."""
        return self._all("compute target", names, find_compute, UnregisteredCompute)

    def check(self, *, datasets: Iterable[str], environments: Iterable[str], computes: Iterable[str]) -> None:
        """Look up all of them; one error, of the class of the first, lists everything that is missing."""
        missed: list[NotRegistered] = []
        asked = ((self.datasets, datasets), (self.environments, environments), (self.computes, computes))
        for find, names in asked:
            try:
                find(names)
            except NotRegistered as error:
                missed.append(error)
        if missed:
            raise type(missed[0])("\n".join(map(str, missed)))

    def _all(
        self,
        noun: str,
        names: Iterable[str],
        find: Callable[[Workspace, str], Any],
        error: type[NotRegistered],
    ) -> dict[str, Any]:
        found = {name: self._one(noun, name, find) for name in dict.fromkeys(names)}
        missing = [name for name, item in found.items() if item is None]
        if missing:
            raise error(self._miss(noun, missing))
        return found

    def _one(self, noun: str, name: str, find: Callable[[Workspace, str], Any]) -> Any:
        if (noun, name) not in self._found:
            self._found[noun, name] = find(self.ws, name)
        return self._found[noun, name]

    def _miss(self, noun: str, missing: list[str]) -> str:
        known = self._names(noun)
        parts = [f"{noun} {name!r}.{did_you_mean(name, known)}" for name in missing]
        own = sorted(name for name in known if not name.startswith(_CURATED))
        listed = f" Registered: {', '.join(own[:20])}." if own else f" No {noun} is registered."
        return f"Workspace {self.ws.name} has no " + " And no ".join(parts) + listed + f" {_REMEDIES[noun]}"

    def _names(self, noun: str) -> list[str]:
        # Listed once, and only if something is missing.
        known = {
            "dataset": lambda: self.ws.datasets,
            "environment": lambda: self.ws.environments,
            "compute target": lambda: self.ws.compute_targets,
        }
        return [str(name) for name in known[noun]()]
