"""How jobs are, asked for many of them at once: a query for all runs of an experiment, and the end of each log."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.connection.connections import access
from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.jobs.record import JobRecord
from azureml_wrapper.run import ENDS, SCRIPT_LOG_FOLDERS, script_logs
from azureml_wrapper.runs.history_client import BATCH, PARALLEL, Client

GONE = "Gone"
UNKNOWN = "Unknown"
# Of a log, so much is read to find its last line; of a long log the beginning tells the length.
TAIL = 4096
# Colours and the like, which a table is not to hand on to a terminal.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
# What the service, and the SDK when it leaves a process (azureml/_run_impl/run_base.py), write into the log.
_NOT_THE_SCRIPTS = re.compile(
    r"\[local\] |Cleaning up all outstanding Run operations|\d+ items cleaning up|Cleanup took "
)
# Pipelines and Azure's older services have other words.
_WORDS = {"Finished": "Completed", "Cancelled": "Canceled", "CancelRequested": "Canceling"}


@dataclass(frozen=True, kw_only=True)
class State:
    """A run as it is now. `seconds` from its start to its end or to now; `problem` says why nothing is known."""

    status: str
    seconds: float | None = None
    last_line: str = ""
    problem: str = ""

    @classmethod
    def gone(cls, record: JobRecord) -> State:
        """That of a run which its workspace does not have."""
        problem = (
            f"Its run is gone: workspace {record.ws_name} has no run {record.run_id}. Submit the job again with "
            "--force, or remove the folder."
        )
        return cls(status=GONE, problem=problem)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDS


def states(
    records: Iterable[JobRecord], *, lines: bool = True, known: Mapping[str, str] | None = None
) -> dict[str, State]:
    """Run id -> state. A run that its workspace does not have is `Gone`, one that cannot be asked for `Unknown`.

    With `lines`, the last line of each log that has one; those in `known` (run id -> line) are not fetched.
    """
    places: dict[tuple[Any, ...], list[JobRecord]] = defaultdict(list)
    for record in records:
        places[record.scope, record.target, record.address].append(record)
    found: dict[str, State] = {}
    for (scope, target, address), here in places.items():
        try:
            client = Client(access(scope, target=target, address=address), scope)
            found |= _of_workspace(client, here, known or {}, lines=lines)
        except ConnectionFailed as error:
            found |= {record.run_id: State(status=UNKNOWN, problem=str(error)) for record in here}
    return found


def client_of(record: JobRecord) -> Client:
    """What asks the services of a job's workspace."""
    return Client(access(record.scope, target=record.target, address=record.address), record.scope)


def _of_workspace(
    client: Client, records: Sequence[JobRecord], known: Mapping[str, str], *, lines: bool
) -> dict[str, State]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = pool.map(lambda batch: list(client.runs(batch[0], batch[1])), _batches(records))
        runs = {str(run["runId"]): run for run in itertools.chain.from_iterable(answers)}
        found = {record.run_id: _state(record, runs.get(record.run_id), known) for record in records}
        if lines:
            started = [record.run_id for record in records if found[record.run_id].seconds is not None]
            unread = [run_id for run_id in started if not found[run_id].last_line]
            ends = dict(pool.map(lambda run_id: (run_id, last_line(client, run_id)), unread))
            found |= {run_id: _with_line(found[run_id], line) for run_id, line in ends.items()}
    return found


def _batches(records: Sequence[JobRecord]) -> Iterator[tuple[str, list[str]]]:
    of_experiment: dict[str, list[str]] = defaultdict(list)
    for record in records:
        of_experiment[record.experiment].append(record.run_id)
    for experiment, run_ids in of_experiment.items():
        for start in range(0, len(run_ids), BATCH):
            yield experiment, run_ids[start : start + BATCH]


def _state(record: JobRecord, run: dict[str, Any] | None, known: Mapping[str, str]) -> State:
    if run is None:
        return State.gone(record)
    status = str(run.get("status"))
    begin, end = _instant(run.get("startTimeUtc")), _instant(run.get("endTimeUtc"))
    until = end or datetime.now(timezone.utc)
    return State(
        status=_WORDS.get(status, status),
        seconds=max(0.0, (until - begin).total_seconds()) if begin else None,
        last_line=known.get(record.run_id, ""),
    )


def _with_line(state: State, line: str) -> State:
    return State(status=state.status, seconds=state.seconds, last_line=line)


def last_line(client: Client, run_id: str) -> str:
    """What the script's log ends with; empty where it has written nothing."""
    files = log_files(client, run_id)
    if not files:
        return ""
    address = files[sorted(files)[0]]
    content, size = client.read(address, 0, TAIL)
    if size > TAIL:
        start = max(TAIL, size - TAIL)
        rest, _ = client.read(address, start)
        content = content + rest if start == TAIL else rest
    lines = content.decode("utf-8", errors="replace").replace("\r", "\n").split("\n")
    said = filter(None, (_CONTROLS.sub("", line).strip() for line in reversed(lines)))
    return next((line for line in said if not _NOT_THE_SCRIPTS.match(line)), "")


def log_files(client: Client, run_id: str) -> dict[str, str]:
    """The files that the script writes what it prints into, with an address to read each at."""
    for folder in SCRIPT_LOG_FOLDERS:
        files = client.files(run_id, folder)
        if names := script_logs(files):
            return {name: files[name] for name in names}
    return {}


def _instant(text: Any) -> datetime | None:
    """`2022-10-05T18:03:07.340605Z`; Azure drops zeros at the end, and has seven digits in some places."""
    if not text:
        return None
    whole, _, fraction = str(text).rstrip("Z").partition("+")[0].partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment
