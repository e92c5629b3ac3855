"""A pipeline run: a graph, values for its parameters, and the pipeline service's words for its state.

They differ from those of run history: Completed there is Finished here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from azureml_wrapper.local.domain.runs import RunStatus

JSON = dict[str, Any]

PIPELINE_RUN_TYPE = "azureml.PipelineRun"
STEP_RUN_TYPE = "azureml.StepRun"

EXECUTION_LOG = "logs/azureml/executionlogs.txt"
OUT_LOG = "logs/azureml/stdoutlogs.txt"
ERROR_LOG = "logs/azureml/stderrlogs.txt"
# The order in which logFiles shows them.
LOGS = (EXECUTION_LOG, ERROR_LOG, OUT_LOG)

# Properties with which the wrapper marks a run that retries a failed step: "2 of 3", and why.
TRY, RETRY_REASON = "azureml_wrapper.try", "azureml_wrapper.retry_reason"

NOT_STARTED, RUNNING, FINISHED, FAILED, CANCELED = "NotStarted", "Running", "Finished", "Failed", "Canceled"
_WORDS = {
    RunStatus.NOT_STARTED: NOT_STARTED,
    RunStatus.COMPLETED: FINISHED,
    RunStatus.FAILED: FAILED,
    RunStatus.CANCELED: CANCELED,
}


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
