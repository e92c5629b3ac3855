"""Published pipelines, endpoints (a name for several versions of one), and requests to run either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.pipelines import Values

ACTIVE, DEPRECATED, DISABLED = "Active", "Deprecated", "Disabled"
STATUSES = (ACTIVE, DEPRECATED, DISABLED)

# A schedule's parameter of this name is not a parameter of the pipeline: the local service collects the changes of
# that many seconds into one run. `Schedule.create(pipeline_parameters={BATCH_SECONDS: 30})` needs no change to the
# SDK, and `Schedule.update()` keeps it.
BATCH_SECONDS = "azureml_wrapper.batch_seconds"


@dataclass(frozen=True, kw_only=True)
class PublishedPipeline:
    """A graph that can be run by its id. `values` win over the defaults of the graph's parameters."""

    pipeline_id: str
    graph_id: str
    name: str
    description: str | None = None
    version: str | None = None
    status: str = ACTIVE
    total_steps: int = 0
    continue_on_failure: bool = False
    notifies: bool | None = None
    values: Values = field(default_factory=Values)
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def check_active(self) -> None:
        """Raise `Conflict` if the pipeline has been disabled."""
        if self.status == DISABLED:
            raise Conflict(
                f"The published pipeline {self.name} ({self.pipeline_id}) is {self.status}; enable it to run it."
            )


@dataclass(frozen=True, kw_only=True)
class PipelineEndpoint:
    """A name for several published pipelines: version → pipeline id, oldest first."""

    endpoint_id: str
    name: str
    default_version: str
    versions: Mapping[str, str]
    description: str | None = None
    status: str = ACTIVE
    properties: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.default_version not in self.versions:
            raise Invalid(
                f"Pipeline endpoint {self.name} has no version {self.default_version!r}; it has {self._known}."
            )

    @property
    def _known(self) -> str:
        return ", ".join(self.versions)

    def pipeline_id(self, version: str | None = None) -> str:
        """The pipeline of a version (None: the default). `Invalid` if it is unknown, `Conflict` if it is disabled."""
        if self.status != ACTIVE:
            raise Conflict(f"The pipeline endpoint {self.name} ({self.endpoint_id}) is {self.status}.")
        found = self.versions.get(version or self.default_version)
        if found is None:
            raise Invalid(f"Pipeline endpoint {self.name} has no version {version!r}; it has {self._known}.")
        return found


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A request for a run, by a client or by a schedule."""

    experiment: str
    values: Values = field(default_factory=Values)
    description: str | None = None
    continue_on_failure: bool | None = None
    run_source: str | None = None
    run_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    parent_id: str | None = None
    pipeline_id: str | None = None
    schedule_id: str | None = None
    display_name: str | None = None


def check_status(status: object) -> str:
    """A status in the service's words, or `Invalid`."""
    if status not in STATUSES:
        raise Invalid(f"Unknown status {status!r}; expected one of {', '.join(STATUSES)}.")
    return str(status)


def unknown_names(defaults: Values, given: Values) -> list[str]:
    """The assigned names that are not parameters of the pipeline, whose `defaults` name all of them."""
    known = {*defaults.parameters, *defaults.data_paths, *defaults.datasets}
    return sorted({*given.parameters, *given.data_paths, *given.datasets} - known - {BATCH_SECONDS})
