"""A pipeline run: a graph, values for its parameters, and the words for its state.

Run history's words differ from those of the pipeline service: Completed there is Finished here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from azureml_wrapper.local.domain.graphs import Graph
from azureml_wrapper.local.domain.runs import RunStatus

JSON = dict[str, Any]

PIPELINE_RUN_TYPE = "azureml.PipelineRun"
STEP_RUN_TYPE = "azureml.StepRun"

EXECUTION_LOG = "logs/azureml/executionlogs.txt"
OUT_LOG = "logs/azureml/stdoutlogs.txt"
ERROR_LOG = "logs/azureml/stderrlogs.txt"
# The order in which logFiles shows them.
LOGS = (EXECUTION_LOG, ERROR_LOG, OUT_LOG)

# Properties with which the wrapper marks a run that tries a failed step again: "2 of 3", and why.
TRY, RETRY_REASON = "azureml_wrapper.try", "azureml_wrapper.retry_reason"

NOT_STARTED, RUNNING, FINISHED, FAILED, CANCELED = "NotStarted", "Running", "Finished", "Failed", "Canceled"
_WORDS = {
    RunStatus.NOT_STARTED: NOT_STARTED,
    RunStatus.COMPLETED: FINISHED,
    RunStatus.FAILED: FAILED,
    RunStatus.CANCELED: CANCELED,
}


def word_of(status: RunStatus) -> str:
    """The pipeline service's word for a status. Real pipelines never say Queued or Preparing, only Running."""
    return _WORDS.get(status, RUNNING)


def word_of_unstarted(pipeline: RunStatus) -> str:
    """The word for a step that has no run: what was not let go before a cancel is canceled with the pipeline."""
    return CANCELED if pipeline is RunStatus.CANCELED else NOT_STARTED


@dataclass(frozen=True, kw_only=True)
class Values:
    """What a pipeline's parameters stand for. `data_paths` and `datasets` are in the SDK's form."""

    parameters: Mapping[str, str | None] = field(default_factory=dict)
    data_paths: Mapping[str, JSON] = field(default_factory=dict)
    datasets: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """What was asked for; how it goes is in run history, under the same id.

    `assigned` has a value for every parameter: what the client gave, and the graph's defaults for the others.
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


def values_of(interface: JSON, assigned: Values) -> Values:
    """The assigned values, and the defaults of the graph's interface for all others."""
    return Values(
        parameters={**_defaults(interface.get("Parameters")), **assigned.parameters},
        data_paths={**_defaults(interface.get("DataPathParameters")), **assigned.data_paths},
        datasets={**_defaults(interface.get("DataPathParameterList")), **assigned.datasets},
    )


def run_properties(record: PipelineRun, own: Mapping[str, str]) -> dict[str, str]:
    """The properties of a pipeline's run in run history (dumps of 2022), before the client's own."""
    given = {name: str(value) for name, value in record.assigned.parameters.items() if value is not None}
    return {
        "azureml.runsource": "azureml.PipelineRun",
        "runSource": record.run_source or "Unavailable",
        "runType": record.run_type or "HTTP",
        "azureml.parameters": json.dumps(given, separators=(",", ":")),
        "azureml.continue_on_step_failure": str(record.continue_on_failure),
        "azureml.continue_on_failed_optional_input": "True",
        "azureml.pipelineComponent": "pipelinerun",
        # Of published pipelines only (dump of 2020).
        **({"azureml.pipelineid": record.pipeline_id} if record.pipeline_id else {}),
        **own,
    }


def _defaults(items: list[JSON] | None) -> dict[str, Any]:
    return {item["Name"]: item.get("DefaultValue") for item in items or ()}


class PipelineExecutor(Protocol):
    """Runs graphs. A pipeline's run advances in run history; nobody waits for it."""

    def recover(self) -> None:
        """Called once, after the jobs' own recovery: fail what an earlier process of the service left."""

    def check(self, workspace_id: str, graph: Graph, values: Values) -> None:
        """Raise a fault for what is known to fail before anything runs: types of steps, parameters, sources."""

    def submit(self, workspace_id: str, run_id: str) -> None:
        """Begin a stored pipeline run, and return at once; `Conflict` where it was begun before."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a pipeline run and all its steps; False where no such pipeline run waits or runs."""

    def is_busy(self) -> bool:
        """Whether any pipeline runs."""

    def close(self) -> None:
        """Begin no further step, because the service ends. To be called before the jobs are stopped."""


def retry_notes(properties: Mapping[str, str]) -> tuple[str, ...]:
    """What the log of a step says that runs because an earlier try has failed."""
    if TRY not in properties:
        return ()
    reason = properties.get(RETRY_REASON, "").strip()
    return (f"Try {properties[TRY]}. The one before it failed: {reason}",)
