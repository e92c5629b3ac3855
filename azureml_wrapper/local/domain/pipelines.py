"""Pipelines: runs of graphs, published pipelines, endpoints (a name for several versions of one), schedules.

The pipeline service's words for a run's state differ from those of run history: Completed there is Finished here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.runs import JSON, RunStatus

PIPELINE_RUN_TYPE = "azureml.PipelineRun"
STEP_RUN_TYPE = "azureml.StepRun"

EXECUTION_LOG = "logs/azureml/executionlogs.txt"
OUT_LOG = "logs/azureml/stdoutlogs.txt"
ERROR_LOG = "logs/azureml/stderrlogs.txt"
# The order in which logFiles shows them.
LOGS = (EXECUTION_LOG, ERROR_LOG, OUT_LOG)

# The SDK creates a run and submits it at once; it repeats a request for two minutes at most.
UNSUBMITTED = timedelta(minutes=10)

# Properties with which the wrapper marks a run that retries a failed step: "2 of 3", and why.
TRY, RETRY_REASON = "azureml_wrapper.try", "azureml_wrapper.retry_reason"

NOT_STARTED, RUNNING, FINISHED, FAILED, CANCELED = "NotStarted", "Running", "Finished", "Failed", "Canceled"
_WORDS = {
    RunStatus.NOT_STARTED: NOT_STARTED,
    RunStatus.COMPLETED: FINISHED,
    RunStatus.FAILED: FAILED,
    RunStatus.CANCELED: CANCELED,
}

ACTIVE, DEPRECATED, DISABLED = "Active", "Deprecated", "Disabled"
STATUSES = (ACTIVE, DEPRECATED, DISABLED)

# A schedule's parameter of this name is not a parameter of the pipeline: the local service collects the changes of
# that many seconds into one run. `Schedule.create(pipeline_parameters={BATCH_SECONDS: 30})` needs no change to the
# SDK, and `Schedule.update()` keeps it.
BATCH_SECONDS = "azureml_wrapper.batch_seconds"

MAX_BATCH_SECONDS = 86_400.0
DEFAULT_POLLING_MINUTES = 5
# Properties of the runs that a schedule starts.
SCHEDULE_ID, SCHEDULE_NAME = "azureml.scheduleid", "azureml_wrapper.schedule_name"
# When a run was due, and the files that have changed.
SCHEDULE_INSTANT, SCHEDULE_FILES = "azureml_wrapper.schedule_instant", "azureml_wrapper.changed_files"


def word_of(status: RunStatus) -> str:
    """The pipeline service's word for a status. Real pipelines are never Queued or Preparing, only Running."""
    return _WORDS.get(status, RUNNING)


def word_of_unstarted(pipeline: RunStatus) -> str:
    """The word for a step without a run: steps that have not started are canceled with the pipeline."""
    return CANCELED if pipeline is RunStatus.CANCELED else NOT_STARTED


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values of a pipeline's parameters. What a path or a dataset looks like is up to the client's format."""

    parameters: Mapping[str, str | None] = field(default_factory=dict)
    data_paths: Mapping[str, JSON] = field(default_factory=dict)
    datasets: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """A request to run a graph; its state is in run history, under the same id.

    `assigned` has a value for every parameter: the client's, or else the graph's default.
    """

    workspace_id: str
    run_id: str
    graph_id: str
    experiment: str
    created: datetime
    assigned: Values = field(default_factory=Values)
    description: str | None = None
    continue_on_failure: bool = False
    run_source: str | None = None
    run_type: str | None = None
    total_steps: int = 0
    is_submitted: bool = False
    pipeline_id: str | None = None
    schedule_id: str | None = None

    def is_abandoned(self, now: datetime) -> bool:
        """Whether this run, which was not submitted, never will be.

        Those of schedules are submitted by the scheduler, those of published pipelines by the request that stored
        them, and those of the SDK by its next request.
        """
        if self.schedule_id:
            return False
        # Also one from the future: the clock was set back.
        return self.pipeline_id is not None or abs(now - self.created) > UNSUBMITTED


def over(below: Values, above: Values) -> Values:
    """The values of both; those of `above` win."""
    return Values(
        parameters={**below.parameters, **above.parameters},
        data_paths={**below.data_paths, **above.data_paths},
        datasets={**below.datasets, **above.datasets},
    )


class PipelineForms(Protocol):
    """What the stores and the scheduler need of the client's format of pipelines."""

    def defaults(self, interface: JSON) -> Values:
        """The default values of a stored graph's parameters; a parameter without one has None."""

    def data_path(self, datastore: str, path: str) -> JSON:
        """The value of a parameter that stands for a path."""

    def run_properties(self, record: PipelineRun, own: Mapping[str, str]) -> dict[str, str]:
        """The properties of a pipeline's run in run history, before the client's own."""


def retry_notes(properties: Mapping[str, str]) -> tuple[str, ...]:
    """Lines for the log of a step that runs because an earlier try has failed."""
    if TRY not in properties:
        return ()
    reason = properties.get(RETRY_REASON, "").strip()
    return (f"Try {properties[TRY]}. The previous one failed: {reason}",)


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
class NamedModule:
    """A name for several versions of what a step runs: version → id of a module, oldest first."""

    module_id: str
    name: str
    description: str | None = None
    status: str = ACTIVE
    default_version: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def with_versions(self, given: Iterable[tuple[str | None, str]]) -> NamedModule:
        """The module with these versions; one without a name gets the next integer after the highest."""
        versions: dict[str, str] = {}
        for name, module_id in given:
            highest = max((int(each) for each in versions if is_number(each)), default=0)
            version = name or str(highest + 1)
            if version in versions:
                raise Conflict(f"Module {self.name} has two versions {version!r}.")
            versions[version] = module_id
        if self.default_version is not None and self.default_version not in versions:
            known = ", ".join(versions) or "none"
            raise Invalid(f"Module {self.name} has no version {self.default_version!r}; its versions: {known}.")
        return replace(self, versions=versions)


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


class Recurrence(Protocol):
    """When a recurring schedule fires."""

    def after(self, instant: datetime, /) -> Iterator[datetime]:
        """The times (in UTC) at which the schedule fires, without end, all later than the given one."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A folder whose changed blobs each start a run. With `batch`, all changes within that time start one run."""

    datastore: str
    path: str = ""
    polling: timedelta = timedelta(minutes=DEFAULT_POLLING_MINUTES)
    parameter: str | None = None
    batch: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule. It has either a `recurrence` or a `watch`, and either a `pipeline_id` or an `endpoint_id`.

    Args:
        anchor: The time from which a recurrence without a start time counts (`has_start` is False).
        body: What the client sent last, in its own format.
        next_fire: The next time of a recurrence, or the end of a burst of changes; None if nothing is planned.
        last_fire: The time for which the last run was started.
    """

    workspace_id: str
    schedule_id: str
    name: str
    created: datetime
    modified: datetime
    anchor: datetime
    submission: Submission
    body: JSON = field(repr=False)
    pipeline_id: str | None = None
    endpoint_id: str | None = None
    is_active: bool = True
    recurrence: Recurrence | None = None
    has_start: bool = False
    watch: Watch | None = None
    next_fire: datetime | None = None
    last_fire: datetime | None = None


class Scheduler(Protocol):
    """Fires schedules."""

    def start(self) -> None:
        """Resume what an earlier process of the service left, and start firing."""

    def add(self, schedule: Schedule) -> Schedule:
        """Store and plan a new schedule."""

    def change(self, schedule: Schedule) -> Schedule:
        """Store a changed schedule, and plan it again."""

    def is_busy(self) -> bool:
        """Whether any schedule is enabled; the service stays up as long as one is."""

    def close(self) -> None:
        """Stop firing, because the service ends."""
