"""Files and folders of a datastore that a step reads, and the parameters that name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import get_datastore
from azureml_wrapper.errors import BadParameter, BadPipeline

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.data.datapath import DataPath

    from azureml_wrapper.config.models import PathInput


@dataclass(frozen=True)
class Place:
    """A path on a datastore; written "datastore/path", as Azure ML tells the values of such parameters."""

    datastore: str
    path: str

    @classmethod
    def read(cls, text: str) -> Place:
        datastore, _, path = text.partition("/")
        return cls(datastore, path)

    def moved(self, name: str, value: Any) -> Place:
        """The place that a run is given for the parameter `name`: a path on the same datastore, or both.

        `BadParameter` where it is neither.
        """
        if isinstance(value, str) and value:
            return Place(self.datastore, value)
        if isinstance(value, Mapping) and set(value) == {"datastore", "path"} and all(map(_is_text, value.values())):
            return Place(value["datastore"], value["path"])
        raise BadParameter(
            f"The parameter {name} is a path on a datastore, as its default {str(self)!r}; not {value!r}. "
            f"Give a path on {self.datastore}, or {{'datastore': …, 'path': …}}."
        )

    def to_sdk(self, ws: Workspace) -> DataPath:
        """`UnregisteredDatastore` where the workspace does not have it."""
        from azureml.data.datapath import DataPath

        return DataPath(get_datastore(ws, self.datastore), self.path)

    def __str__(self) -> str:
        return f"{self.datastore}/{self.path}"


def place_of(given: PathInput) -> Place:
    return Place(given.datastore, given.path)


def path_parameters(inputs: Iterable[PathInput]) -> dict[str, Place]:
    """Parameter -> default; `BadPipeline` where two steps give one parameter two defaults."""
    found: dict[str, Place] = {}
    for each in inputs:
        if each.parameter and found.setdefault(each.parameter, place_of(each)) != place_of(each):
            raise BadPipeline(
                f"The path parameter {each.parameter!r} is {found[each.parameter]} in one step and {place_of(each)} "
                "in another; a parameter has one default."
            )
    return found


def assign_paths(defaults: Mapping[str, Place], given: Mapping[str, Any]) -> dict[str, Place]:
    """The places for a run; what is given for other parameters is left alone."""
    return {name: default.moved(name, given[name]) for name, default in defaults.items() if name in given}


def to_sdk(ws: Workspace, places: Mapping[str, Place]) -> dict[str, DataPath]:
    return {name: place.to_sdk(ws) for name, place in places.items()}


class PathBuilder:
    """The SDK's form of path inputs, for all steps of one build: a parameter is one object, however many use it."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._parameters: dict[str, Any] = {}
        self._datastores: dict[str, Any] = {}

    def build(self, given: PathInput, name: str) -> Any:
        """An argument of a step, which is one of its inputs, too; `name` is the input's."""
        if given.parameter is None:
            from azureml.data.data_reference import DataReference

            return DataReference(self._datastore(given.datastore), name, given.path, mode=given.mode)
        from azureml.data.datapath import DataPathComputeBinding

        return (self._parameter(given.parameter, given), DataPathComputeBinding(mode=given.mode))

    def _parameter(self, name: str, given: PathInput) -> Any:
        from azureml.data.datapath import DataPath
        from azureml.pipeline.core import PipelineParameter

        if name not in self._parameters:
            default = DataPath(self._datastore(given.datastore), given.path)
            self._parameters[name] = PipelineParameter(name, default)
        return self._parameters[name]

    def _datastore(self, name: str) -> Any:
        if name not in self._datastores:
            self._datastores[name] = get_datastore(self._ws, name)
        return self._datastores[name]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
