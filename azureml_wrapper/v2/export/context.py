"""What all documents of one export are written from: a definition, what the caller chose, and the packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from azureml_wrapper.assets import environments
from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.assets.names import check_compute_name, input_name
from azureml_wrapper.assets.requirements import with_pip, with_python
from azureml_wrapper.config.parameters import Parameter
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import BadArgument, BadPipeline, BadSchedule, did_you_mean
from azureml_wrapper.pip_lines import masked
from azureml_wrapper.pipeline_files.variables import new_cluster
from azureml_wrapper.pipelines.definition import Definition, Step
from azureml_wrapper.publishing.schedule import DETAILS, OnBlobChange, Recurring, Schedule
from azureml_wrapper.v2.export.syntax import free, node_names

REFUSE, POLL, EVENT_GRID = "refuse", "poll", "event-grid"
BLOB_CHANGES = (REFUSE, POLL, EVENT_GRID)
_COMPUTE = {
    "compute_size": "vm_size",
    "compute_min_nodes": "min_nodes",
    "compute_max_nodes": "max_nodes",
    "vm_priority": "vm_priority",
    "idle_seconds": "idle_seconds",
}
# Not the interpreter's, as for `register_env`: the file would change with the machine that writes it.
DEFAULT_PYTHON = "3.10"
# SDK v1's image for environments that name none (azureml/core/environment.py, DEFAULT_CPU_IMAGE); the SDK appends a
# date.
DEFAULT_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
# Any time will do: nothing that depends on the current time is written.
_NO_TIME = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the caller chose. `packages` is None if they were not given; `cluster` has the settings that were."""

    experiment: str | None = None
    name: str | None = None
    file_datasets: frozenset[str] = frozenset()
    shim: bool = True
    packages: Packages | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    schedule: Recurring | OnBlobChange | None = None
    has_start: bool = False
    blob_change: str = REFUSE
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def cluster_upon(self, default: Cluster) -> Cluster:
        """The default cluster with the settings that were given."""
        return replace(default, **self.cluster)


def packages_of(given: Mapping[str, Any] | None) -> Packages | None:
    """The keywords of `register_env` as packages."""
    known = {"dependencies", "requirements", "conda_file", "docker_image", "python_version"}
    _check("environment", given or {}, known)
    return environments.packages(**{"dependencies": None, **given}) if given else None


def cluster_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keywords of `register_compute` as settings of a cluster."""
    _check("compute", given or {}, set(_COMPUTE))
    return {_COMPUTE[name]: value for name, value in (given or {}).items()}


def schedule_of(given: Schedule | Mapping[str, Any] | None, blob_change: str) -> Recurring | OnBlobChange | None:
    """A schedule, or the keywords of `register` for one; `BadSchedule` for On_blob_change without a choice."""
    if blob_change not in BLOB_CHANGES:
        raise BadArgument(f"blob_change must be one of {', '.join(BLOB_CHANGES)}, got {blob_change!r}.")
    if isinstance(given, Mapping):
        _check("schedule", given, {"schedule", *DETAILS})
        given = Schedule.of(**{"schedule": None, **given})
    found = given.plan(_NO_TIME) if given else None
    if isinstance(found, OnBlobChange) and blob_change == REFUSE:
        raise BadSchedule(
            "SDK v2 has no schedule that watches blobs, so On_blob_change cannot be exported as it is. Use "
            f"--blob-change {POLL} for one that starts a run every {found.polling_interval} minutes, whether or not "
            f"a blob has changed, or --blob-change {EVENT_GRID} for none; the report explains how Azure Event Grid "
            "starts runs."
        )
    return found


def _check(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f" Expected one of {', '.join(sorted(known))}."
            raise BadArgument(f"{what} has no {name!r}.{hint}")


@dataclass(frozen=True, kw_only=True)
class ExportContext:
    """A definition, its workspace, the choices, and the folder that the files will be in."""

    definition: Definition
    scope: Scope
    choices: Choices
    folder: Path

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Parameter of the pipeline -> default."""
        return self.definition.parameters

    @cached_property
    def nodes(self) -> dict[str, str]:
        """Step -> name of its node."""
        return node_names(step.name for step in self.definition.steps)

    @cached_property
    def inputs(self) -> dict[tuple[str, str], str]:
        """(kind, name) -> input of the pipeline; parameters keep their names, by which runs are given values."""
        named = {("parameter", name): name for name in self.parameters}
        named |= {("path", name): name for name in self.definition.path_parameters}
        for dataset in self.definition.datasets:
            named["dataset", dataset] = free(input_name(dataset), named.values())
        return named

    @cached_property
    def waits_for(self) -> dict[str, Step]:
        """Step -> the step that must end before it although it reads nothing from it."""
        if not self.definition.in_sequence:
            return {}
        pairs = self.definition.before()
        return {
            step.name: before
            for step, before in pairs
            if before is not None and before.name not in (step.reads or {}).values()
        }

    @cached_property
    def waited_for(self) -> set[str]:
        """The names of steps for which another one waits."""
        return {step.name for step in self.waits_for.values()}

    @cached_property
    def compute_name(self) -> str:
        """The default compute target; `MissingKey` if AML_COMPUTE_CLUSTER_NAME is to name it and does not."""
        variables = self.definition.variables
        return check_compute_name(variables.cluster().name) if variables else self.definition.compute or ""

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """Compute target -> the cluster to create if it does not exist."""
        variables = self.definition.variables
        if variables is None:
            return {name: self.choices.cluster_upon(Cluster()) for name in self.definition.computes}
        made = new_cluster(variables.cluster(), [step.nodes for step in self.definition.steps])
        return {self.compute_name: self.choices.cluster_upon(made)}


def content_of_environment(packages: Packages) -> dict[str, Any]:
    """The image and its packages; an image without packages is complete."""
    image = packages.docker_image or DEFAULT_IMAGE
    return {"image": image} if packages.is_image else {"image": image, "conda_file": _conda(packages)}


def _conda(packages: Packages) -> dict[str, Any]:
    content, pip = packages.pip()
    if secret := next((line for line in pip if masked(line) != line), None):
        raise BadPipeline(
            f"The package line {masked(secret)!r} has a login or a token in its address. Exported files are meant to "
            "be committed, so nothing was written. Take it out, and store it as a connection of the workspace."
        )
    if content is not None:
        return with_python(with_pip(content, pip), packages.python_version)
    version = packages.python_version or DEFAULT_PYTHON
    return {"channels": ["conda-forge"], "dependencies": [f"python={version}", "pip", {"pip": pip}]}
