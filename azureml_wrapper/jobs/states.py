"""The states of jobs, queried for many at once: all runs of an experiment in one request, and the end of each log."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.connection.connections import access
from azureml_wrapper.errors import BadValue, ConnectionFailed
from azureml_wrapper.jobs.record import JobRecord
from azureml_wrapper.run import ENDS
from azureml_wrapper.runs.history_client import BATCH, PARALLEL, HistoryClient, history_time
from azureml_wrapper.runs.logs import last_line

GONE = "Gone"
UNKNOWN = "Unknown"
# Pipelines and Azure's older services use other words.
_WORDS = {"Finished": "Completed", "Cancelled": "Canceled", "CancelRequested": "Canceling"}


@dataclass(frozen=True, kw_only=True)
class JobState:
    """The state of a job's run.

    Attributes:
        status: Azure ML's word, such as "Running" or "Completed"; "Gone" if the workspace does not have the run,
            "Unknown" if it does not answer.
        seconds: How long the run took, or has taken so far; None if it has not started.
        last_line: The last line that the script has printed, if it was asked for.
        problem: Why the status is "Gone" or "Unknown".
    """

    status: str
    seconds: float | None = None
    last_line: str = ""
    problem: str = ""

    @classmethod
    def gone(cls, record: JobRecord) -> JobState:
        """Return the state of a run that its workspace does not have.

        Args:
            record: The record of the job.
        """
        problem = (
            f"Its run is gone: workspace {record.ws_name} has no run {record.run_id}. Submit the job again with "
            "--force, or remove the folder."
        )
        return cls(status=GONE, problem=problem)

    @property
    def has_ended(self) -> bool:
        """Whether the run has completed, failed or been canceled."""
        return self.status in ENDS

    @property
    def may_run(self) -> bool:
        """Whether the run may still use its compute target: it has neither ended nor is it gone."""
        return not (self.has_ended or self.status == GONE)


def states(
    records: Iterable[JobRecord], *, lines: bool = True, known: Mapping[str, str] | None = None
) -> dict[str, JobState]:
    """Query the states of jobs, with at most one request per workspace, experiment and 50 jobs.

    Args:
        lines: Also read the last line of each log.
        known: Run id -> last line, for logs that need not be read again.

    Returns:
        Run id -> state. A workspace that does not answer makes its jobs "Unknown"; nothing is raised.
    """
    of_workspace: dict[tuple[Any, ...], list[JobRecord]] = defaultdict(list)
    for record in records:
        of_workspace[record.scope, record.target, record.address].append(record)
    found: dict[str, JobState] = {}
    for here in of_workspace.values():
        try:
            found |= _of_workspace(client_of(here[0]), here, known or {}, lines=lines)
        except (ConnectionFailed, BadValue) as error:
            found |= {record.run_id: JobState(status=UNKNOWN, problem=str(error)) for record in here}
    return found


def client_of(record: JobRecord) -> HistoryClient:
    """Return a client of the services of a job's workspace."""
    return HistoryClient(access(record.scope, target=record.target, address=record.address), record.scope)


def _of_workspace(
    client: HistoryClient, records: Sequence[JobRecord], known: Mapping[str, str], *, lines: bool
) -> dict[str, JobState]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = pool.map(lambda batch: list(client.runs(batch[0], batch[1])), _batches(records))
        runs = {str(run["runId"]): run for run in itertools.chain.from_iterable(answers)}
        found = {record.run_id: _state(record, runs.get(record.run_id), known) for record in records}
        if lines:
            started = [record.run_id for record in records if found[record.run_id].seconds is not None]
            unread = [run_id for run_id in started if not found[run_id].last_line]
            ends = dict(pool.map(lambda run_id: (run_id, last_line(client, run_id)), unread))
            found |= {run_id: replace(found[run_id], last_line=line) for run_id, line in ends.items()}
    return found


def _batches(records: Sequence[JobRecord]) -> Iterator[tuple[str, list[str]]]:
    of_experiment: dict[str, list[str]] = defaultdict(list)
    for record in records:
        of_experiment[record.experiment].append(record.run_id)
    for experiment, run_ids in of_experiment.items():
        for start in range(0, len(run_ids), BATCH):
            yield experiment, run_ids[start : start + BATCH]


def _state(record: JobRecord, run: dict[str, Any] | None, known: Mapping[str, str]) -> JobState:
    if run is None:
        return JobState.gone(record)
    status = str(run.get("status"))
    begin, end = history_time(run.get("startTimeUtc")), history_time(run.get("endTimeUtc"))
    until = end or datetime.now(timezone.utc)
    return JobState(
        status=_WORDS.get(status, status),
        seconds=max(0.0, (until - begin).total_seconds()) if begin else None,
        last_line=known.get(record.run_id, ""),
    )
