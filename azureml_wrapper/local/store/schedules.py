"""Schedules, when each fires next, and the blobs that it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from azureml_wrapper.local.domain.clock import offset_time, stored_time
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.schedules import Schedule
from azureml_wrapper.local.store.database import Database, Row, dump, load

# `anchor`: the time from which a recurrence without a start time counts.
SCHEMA = """
CREATE TABLE IF NOT EXISTS schedules (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace   TEXT NOT NULL,
    schedule_id TEXT NOT NULL,
    pipeline_id TEXT,
    endpoint_id TEXT,
    is_active   INTEGER NOT NULL,
    created     TEXT NOT NULL,
    modified    TEXT NOT NULL,
    anchor      TEXT NOT NULL,
    next_fire   TEXT,
    last_fire   TEXT,
    body        TEXT NOT NULL,
    UNIQUE (workspace, schedule_id)
);
CREATE INDEX IF NOT EXISTS schedules_active ON schedules (is_active);
CREATE TABLE IF NOT EXISTS schedule_blobs (
    workspace   TEXT NOT NULL,
    schedule_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    etag        TEXT NOT NULL,
    is_waiting  INTEGER NOT NULL,
    PRIMARY KEY (workspace, schedule_id, name)
) WITHOUT ROWID;
"""


class ScheduleStore:
    """Schedules of every workspace. `read` makes a schedule of what the client has sent."""

    def __init__(self, database: Database, *, read: Callable[..., Schedule]) -> None:
        self._database, self._read = database, read
        database.ensure(SCHEMA)

    def put(self, schedule: Schedule) -> None:
        """Store a schedule, replacing its earlier state."""
        self._database.execute(
            "INSERT INTO schedules (workspace, schedule_id, pipeline_id, endpoint_id, is_active, created, modified,"
            " anchor, next_fire, last_fire, body) VALUES (:workspace, :schedule_id, :pipeline_id, :endpoint_id,"
            " :is_active, :created, :modified, :anchor, :next_fire, :last_fire, :body)"
            " ON CONFLICT (workspace, schedule_id) DO UPDATE SET is_active = :is_active, modified = :modified,"
            " anchor = :anchor, next_fire = :next_fire, last_fire = :last_fire, body = :body",
            {
                "workspace": schedule.workspace_id,
                "schedule_id": schedule.schedule_id,
                "pipeline_id": schedule.pipeline_id,
                "endpoint_id": schedule.endpoint_id,
                "is_active": schedule.is_active,
                "created": offset_time(schedule.created),
                "modified": offset_time(schedule.modified),
                "anchor": offset_time(schedule.anchor),
                "next_fire": offset_time(schedule.next_fire),
                "last_fire": offset_time(schedule.last_fire),
                "body": dump(schedule.body),
            },
        )

    def find(self, workspace: str, schedule_id: str) -> Schedule | None:
        found = self._select("workspace = ? AND schedule_id = ?", workspace, schedule_id)
        return found[0] if found else None

    def get(self, workspace: str, schedule_id: str) -> Schedule:
        """Like `find`, but raise `NotFound` if it is missing."""
        found = self.find(workspace, schedule_id)
        if found is None:
            raise NotFound(f"Could not find schedule with id {schedule_id!r}.")
        return found

    def all(self, workspace: str, *, active_only: bool) -> list[Schedule]:
        """A workspace's schedules, newest first."""
        return self._select("workspace = ? AND is_active >= ?", workspace, int(active_only))

    def of_pipeline(self, workspace: str, pipeline_id: str) -> list[Schedule]:
        return self._select("workspace = ? AND pipeline_id = ?", workspace, pipeline_id)

    def of_endpoint(self, workspace: str, endpoint_id: str) -> list[Schedule]:
        return self._select("workspace = ? AND endpoint_id = ?", workspace, endpoint_id)

    def active(self) -> list[Schedule]:
        """The enabled schedules of every workspace."""
        return self._select("is_active")

    def plan(self, schedule: Schedule, next_fire: datetime | None, last_fire: datetime | None) -> None:
        """Store when a schedule fires next, and the time that it last fired for."""
        self._database.execute(
            "UPDATE schedules SET next_fire = ?, last_fire = ? WHERE workspace = ? AND schedule_id = ?",
            (offset_time(next_fire), offset_time(last_fire), schedule.workspace_id, schedule.schedule_id),
        )

    def blobs(self, schedule: Schedule, *, waiting_only: bool = False) -> dict[str, str]:
        """The blobs that a schedule has seen: name → ETag."""
        rows = self._database.all(
            "SELECT name, etag FROM schedule_blobs WHERE workspace = ? AND schedule_id = ? AND is_waiting >= ?"
            " ORDER BY name",
            (schedule.workspace_id, schedule.schedule_id, int(waiting_only)),
        )
        return {row["name"]: row["etag"] for row in rows}

    def see(self, schedule: Schedule, blobs: Mapping[str, str], *, waiting: bool) -> None:
        """Mark blobs as seen. Those that are waiting have not triggered a run yet."""
        self._database.execute_many(
            "INSERT INTO schedule_blobs VALUES (?, ?, ?, ?, ?) ON CONFLICT (workspace, schedule_id, name)"
            " DO UPDATE SET etag = excluded.etag, is_waiting = excluded.is_waiting",
            [(schedule.workspace_id, schedule.schedule_id, name, etag, int(waiting)) for name, etag in blobs.items()],
        )

    def stop_waiting(self, schedule: Schedule) -> None:
        """Mark the waiting blobs as handled: they have triggered a run."""
        self._database.execute(
            "UPDATE schedule_blobs SET is_waiting = 0 WHERE workspace = ? AND schedule_id = ?",
            (schedule.workspace_id, schedule.schedule_id),
        )

    def forget(self, schedule: Schedule, names: list[str] | None = None) -> None:
        """Forget deleted blobs (None: all), so that a new blob of the same name counts as new."""
        if names is None:
            key = (schedule.workspace_id, schedule.schedule_id)
            self._database.execute("DELETE FROM schedule_blobs WHERE workspace = ? AND schedule_id = ?", key)
            return
        self._database.execute_many(
            "DELETE FROM schedule_blobs WHERE workspace = ? AND schedule_id = ? AND name = ?",
            [(schedule.workspace_id, schedule.schedule_id, name) for name in names],
        )

    def _select(self, condition: str, *values: object) -> list[Schedule]:
        sql = f"SELECT * FROM schedules WHERE {condition} ORDER BY sequence DESC"  # noqa: S608
        return [self._schedule(row) for row in self._database.all(sql, values)]

    def _schedule(self, row: Row) -> Schedule:
        return self._read(
            load(row["body"]),
            workspace_id=row["workspace"],
            schedule_id=row["schedule_id"],
            is_active=bool(row["is_active"]),
            created=stored_time(row["created"]),
            modified=stored_time(row["modified"]),
            anchor=stored_time(row["anchor"]),
            next_fire=stored_time(row["next_fire"]),
            last_fire=stored_time(row["last_fire"]),
        )
