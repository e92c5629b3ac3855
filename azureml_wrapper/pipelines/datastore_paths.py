"""Files and folders of a datastore that a step reads, and the parameters that name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from azureml_wrapper.assets.datastores import get_datastore
from azureml_wrapper.errors import BadParameter, BadPipeline

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.data.datapath import DataPath


class PathInput(Protocol):
    """What a step says about a path: of a config or of a definition."""

    @property
    def datastore(self) -> str | None:
        """The name of the datastore."""

    @property
    def path(self) -> str:
        """The path on the datastore."""

    @property
    def parameter(self) -> str | None:
        """The parameter by which a run may be given another path."""


@dataclass(frozen=True)
class DatastorePath:
    """A path on a datastore; written "datastore/path", as Azure ML returns the values of such parameters."""

    datastore: str
    path: str

    @classmethod
    def read(cls, text: str) -> DatastorePath:
        """Read a path that is written "datastore/path"."""
        datastore, _, path = text.partition("/")
        return cls(datastore, path)

    def replaced(self, name: str, value: Any) -> DatastorePath:
        """The path that a run is given for the parameter `name`: one on the same datastore, or one with another.

        Raises `BadParameter` if the value is neither.
        """
        if isinstance(value, str) and value:
            return DatastorePath(self.datastore, value)
        if isinstance(value, Mapping) and set(value) == {"datastore", "path"} and all(map(_is_text, value.values())):
            return DatastorePath(value["datastore"], value["path"])
        raise BadParameter(
            f"The parameter {name} must be a path on a datastore, like its default {str(self)!r}; got {value!r}. "
            f"Give a path on {self.datastore}, or {{'datastore': …, 'path': …}}."
        )

    def to_sdk(self, ws: Workspace) -> DataPath:
        """The SDK's form; raises `UnregisteredDatastore` if the workspace does not have the datastore."""
        from azureml.data.datapath import DataPath

        return DataPath(get_datastore(ws, self.datastore), self.path)

    def __str__(self) -> str:
        return f"{self.datastore}/{self.path}"


def path_parameters(inputs: Iterable[PathInput]) -> dict[str, DatastorePath]:
    """Parameter -> default; raises `BadPipeline` if two steps give one parameter two defaults."""
    found: dict[str, DatastorePath] = {}
    for each in inputs:
        default = DatastorePath(each.datastore or "", each.path)
        if each.parameter and found.setdefault(each.parameter, default) != default:
            raise BadPipeline(
                f"The path parameter {each.parameter!r} is {found[each.parameter]} in one step and {default} in "
                "another; a parameter has one default."
            )
    return found


def assign_paths(defaults: Mapping[str, DatastorePath], given: Mapping[str, Any]) -> dict[str, DatastorePath]:
    """The paths for a run; values for other parameters are ignored."""
    return {name: default.replaced(name, given[name]) for name, default in defaults.items() if name in given}


def to_sdk(ws: Workspace, paths: Mapping[str, DatastorePath]) -> dict[str, DataPath]:
    """Parameter -> the SDK's DataPath."""
    return {name: path.to_sdk(ws) for name, path in paths.items()}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
