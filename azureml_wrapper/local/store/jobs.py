"""Which jobs wait or run, and as which processes. A service finds here what a killed one left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from azureml_wrapper.local.store.database import Database, Row, dump

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    mark      TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    run_id    TEXT NOT NULL,
    pid       INTEGER,
    ticks     INTEGER
);
"""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job that waits or runs. `pid` and `ticks` (its start, since boot) are known once its process runs."""

    job_key: str
    workspace_id: str
    run_id: str
    pid: int | None = None
    ticks: int | None = None


class JobStore:
    """The jobs that have not ended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(self, job_key: str, workspace: str, run_id: str) -> None:
        """Record an accepted job; `job_key` is unique."""
        self._database.execute(
            "INSERT INTO jobs (mark, workspace, run_id) VALUES (?, ?, ?)", (job_key, workspace, run_id)
        )

    def set_process(self, job_key: str, pid: int, ticks: int) -> None:
        self._database.execute("UPDATE jobs SET pid = ?, ticks = ? WHERE mark = ?", (pid, ticks, job_key))

    def remove(self, job_key: str) -> None:
        self._database.execute("DELETE FROM jobs WHERE mark = ?", (job_key,))

    def remove_all(self, job_keys: Sequence[str]) -> None:
        self._database.execute("DELETE FROM jobs WHERE mark IN (SELECT value FROM json_each(?))", (dump(job_keys),))

    def all(self) -> list[JobRecord]:
        return [_record(row) for row in self._database.all("SELECT * FROM jobs ORDER BY rowid")]


def _record(row: Row) -> JobRecord:
    return JobRecord(
        job_key=row["mark"], workspace_id=row["workspace"], run_id=row["run_id"], pid=row["pid"], ticks=row["ticks"]
    )
