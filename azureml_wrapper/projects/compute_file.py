"""The file that describes a compute, and the compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from azureml_wrapper.assets.compute_targets import DEFAULT_SIZE, Cluster, find_compute
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.config.loader import load
from azureml_wrapper.config.models import Model, Text
from azureml_wrapper.config.readers import read
from azureml_wrapper.messages import say
from azureml_wrapper.v2.computes import Compute, create
from azureml_wrapper.v2.read import read_compute

if TYPE_CHECKING:
    from azureml.core import Workspace

Count = Annotated[int, Field(ge=0)]


class ComputeFile(Model):
    """A cluster, in the words of `register_compute`."""

    noun: ClassVar[str] = "compute"
    compute_name: Text
    compute_size: Text = DEFAULT_SIZE
    compute_min_nodes: Count = 0
    compute_max_nodes: Annotated[int, Field(ge=1)] = 1
    vm_priority: Literal["dedicated", "lowpriority"] = "dedicated"
    idle_seconds: Count = 1800


def read_file(file: Path) -> Compute:
    """The cluster of a file: with `type: amlcompute` one of `az ml`, else the keys of `ComputeFile`.

    Raises `ConfigError`, which tells all problems with their lines.
    """
    content = read(file).data
    if isinstance(content, dict) and "type" in content:
        compute, notes = read_compute(file)
        for note in notes:
            say(f"{file.name}, {note}")
        return compute
    found, _ = load(ComputeFile, file)
    cluster = Cluster(
        vm_size=found.compute_size,
        min_nodes=found.compute_min_nodes,
        max_nodes=found.compute_max_nodes,
        vm_priority=found.vm_priority,
        idle_seconds=found.idle_seconds,
    )
    return Compute(name=check_compute_name(found.compute_name), cluster=cluster)


def compute_target(ws: Workspace, wanted: Compute | str) -> Any:
    """The compute target of a name, or of a file: created where it is missing, and as it is where it is there."""
    if isinstance(wanted, str):
        return Lookup(ws).computes([wanted])[wanted]
    found = find_compute(ws, check_compute_name(wanted.name))
    if found is None:
        say(create(ws, wanted))
        return find_compute(ws, wanted.name)
    differences = wanted.cluster.differences(found)
    told = f" as it is, though its file says otherwise: {'; '.join(differences)}" if differences else ""
    say(f"Compute {wanted.name!r} is there and is used{told}.")
    return found
