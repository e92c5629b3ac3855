"""Published pipelines, the endpoints that gather versions of them, and what is asked of a run of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from azureml_wrapper.local.domain.errors import Conflict, Invalid, Unsupported
from azureml_wrapper.local.domain.graphs import ASSIGNMENTS
from azureml_wrapper.local.domain.limits import check_experiment_name
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.shapes import Needed, check_shape

JSON = dict[str, Any]

ACTIVE, DEPRECATED, DISABLED = "Active", "Deprecated", "Disabled"
STATUSES = (ACTIVE, DEPRECATED, DISABLED)

# A schedule's parameter of this name is none of the pipeline's: the local service gathers the changes of so many
# seconds into one run. `Schedule.create(pipeline_parameters={BATCH_SECONDS: 30})` needs no change to the SDK, and
# `Schedule.update()` keeps it.
BATCH_SECONDS = "azureml_wrapper.batch_seconds"

_SUBMISSION = {
    **{name: shape for name, shape in ASSIGNMENTS.items() if name != "ParameterAssignments"},
    "ParameterAssignments": dict,
    "ExperimentName": Needed(str),
    "RunSource": str,
    "RunType": str,
    "ContinueRunOnStepFailure": bool,
}
# What Azure does with them has no counterpart here.
_UNSUPPORTED = ("StepTags", "AzDevOpsCallBackInfo")


@dataclass(frozen=True, kw_only=True)
class PublishedPipeline:
    """A graph that can be run by its id. `values` stand before the defaults of the graph's interface."""

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
        """Raise `Conflict` where the pipeline has been disabled."""
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
        """The pipeline of a version (None: the default); `Invalid` where there is none, `Conflict` where disabled."""
        if self.status != ACTIVE:
            raise Conflict(f"The pipeline endpoint {self.name} ({self.endpoint_id}) is {self.status}.")
        found = self.versions.get(version or self.default_version)
        if found is None:
            raise Invalid(f"Pipeline endpoint {self.name} has no version {version!r}; it has {self._known}.")
        return found


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What is asked of a run, by a client or by a schedule."""

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
    """A status in the service's words; `Invalid` for another one."""
    if status not in STATUSES:
        raise Invalid(f"Status {status!r} is not known; allowed are {', '.join(STATUSES)}.")
    return str(status)


def read_submission(body: JSON) -> Submission:
    """A PipelineSubmissionInfo; `Invalid` where it is none.

    Programs write its keys by hand, and Azure reads them in upper and lower case alike.
    """
    known = {name.lower(): name for name in (*_SUBMISSION, *_UNSUPPORTED)}
    given = {known.get(name.lower(), name): value for name, value in body.items()}
    for name in _UNSUPPORTED:
        if given.get(name):
            raise Unsupported(f"The local service cannot honour {name} of a submission.")
    check_shape(given, _SUBMISSION, "The submission")
    check_experiment_name(given["ExperimentName"])
    return Submission(
        experiment=given["ExperimentName"],
        values=read_values(given),
        description=given.get("Description"),
        continue_on_failure=given.get("ContinueRunOnStepFailure"),
        run_source=given.get("RunSource"),
        run_type=given.get("RunType"),
        tags=given.get("tags") or {},
        properties=given.get("Properties") or {},
    )


def read_values(body: JSON) -> Values:
    """The assignments of a submission or a publication; numbers become texts, as in Azure."""
    return Values(
        parameters={name: _text(name, value) for name, value in (body.get("ParameterAssignments") or {}).items()},
        data_paths=body.get("DataPathAssignments") or {},
        datasets=body.get("DataSetDefinitionValueAssignments") or {},
    )


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, (str, int, float)):
        raise Invalid(f"ParameterAssignments.{name} must be a text or a number.")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def over(below: Values, above: Values) -> Values:
    """Values, and those that stand before them."""
    return Values(
        parameters={**below.parameters, **above.parameters},
        data_paths={**below.data_paths, **above.data_paths},
        datasets={**below.datasets, **above.datasets},
    )


def unknown_names(interface: JSON, given: Values) -> list[str]:
    """The assigned names that the pipeline has no parameter for."""
    lists = ("Parameters", "DataPathParameters", "DataPathParameterList")
    known = {item["Name"] for name in lists for item in interface.get(name) or ()}
    return sorted({*given.parameters, *given.data_paths, *given.datasets} - known - {BATCH_SECONDS})
