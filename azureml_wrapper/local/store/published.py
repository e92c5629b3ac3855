"""Published pipelines and pipeline endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.pipelines import ACTIVE, PipelineEndpoint, PublishedPipeline, Schedule, Values
from azureml_wrapper.local.store.database import Database, Row, dump, known, load
from azureml_wrapper.local.store.documents import Document, Documents


class PublishedStore:
    """Published pipelines and endpoints by workspace and id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._pipelines = Documents(database, clock, "published pipeline")
        self._endpoints = Documents(database, clock, "pipeline endpoint")

    def add(self, workspace: str, pipeline: PublishedPipeline) -> Document:
        return self._pipelines.add(workspace, pipeline.pipeline_id, _body(pipeline, "pipeline_id"))

    def put(self, workspace: str, pipeline: PublishedPipeline) -> Document:
        return self._pipelines.put(workspace, pipeline.pipeline_id, _body(pipeline, "pipeline_id"))

    def document(self, workspace: str, pipeline_id: str) -> Document:
        """A published pipeline with its times, for `read_pipeline`; raise `NotFound` if it is missing."""
        return self._pipelines.get(workspace, pipeline_id)

    def pipeline(self, workspace: str, pipeline_id: str) -> PublishedPipeline:
        """Raise `NotFound` if it is missing."""
        return read_pipeline(self.document(workspace, pipeline_id))

    def all(self, workspace: str, *, active_only: bool) -> list[Document]:
        """Published pipelines, newest first."""
        return list(_chosen(self._pipelines.newest(workspace), active_only))

    def add_endpoint(self, workspace: str, endpoint: PipelineEndpoint) -> Document:
        """Store a new endpoint; raise `Conflict` if its name is taken."""
        with self._database.transaction():
            self._check_name(workspace, endpoint)
            return self._endpoints.add(workspace, endpoint.endpoint_id, _body(endpoint, "endpoint_id"))

    def put_endpoint(self, workspace: str, endpoint: PipelineEndpoint) -> Document:
        """Like `add_endpoint`, replacing its earlier state. All of its versions must be published."""
        with self._database.transaction():
            self._check_name(workspace, endpoint)
            return self._endpoints.put(workspace, endpoint.endpoint_id, _body(endpoint, "endpoint_id"))

    def endpoint_document(self, workspace: str, endpoint_id: str) -> Document:
        """Raise `NotFound` if it is missing."""
        return self._endpoints.get(workspace, endpoint_id)

    def endpoint(self, workspace: str, endpoint_id: str) -> PipelineEndpoint:
        """Raise `NotFound` if it is missing."""
        return read_endpoint(self.endpoint_document(workspace, endpoint_id))

    def endpoint_by_name(self, workspace: str, name: str) -> Document:
        """The active endpoint of that name; raise `NotFound` if it is missing or disabled."""
        for key in self._named(workspace, name):
            document = self._endpoints.get(workspace, key)
            if document.body["status"] == ACTIVE:
                return document
        raise NotFound(f"Could not find pipeline endpoint with name {name!r}.")

    def endpoints(self, workspace: str, *, active_only: bool, limit: int | None = None) -> list[Document]:
        """Endpoints, newest first."""
        return list(islice(_chosen(self._endpoints.newest(workspace), active_only), limit))

    def _check_name(self, workspace: str, endpoint: PipelineEndpoint) -> None:
        for other in self._named(workspace, endpoint.name):
            if other != endpoint.endpoint_id:
                # Azure's words, also if the endpoint is disabled.
                raise Conflict(
                    f"Failed to add item to collection: PipelineEndpoint, id: {other}, error code: Conflict"
                )
        for pipeline_id in endpoint.versions.values():
            self._pipelines.get(workspace, pipeline_id)

    def _named(self, workspace: str, name: str) -> list[str]:
        """The ids of the endpoints of a name, newest first."""
        rows = self._database.all(
            "SELECT key FROM documents WHERE workspace = ? AND kind = 'pipeline endpoint'"
            " AND json_extract(body, '$.name') = ? ORDER BY sequence DESC",
            (workspace, name),
        )
        return [row["key"] for row in rows]


def _chosen(found: Iterator[Document], active_only: bool) -> Iterator[Document]:
    return (document for document in found if not active_only or document.body["status"] == ACTIVE)


def read_pipeline(document: Document) -> PublishedPipeline:
    values = known(Values, document.body["values"])
    return known(PublishedPipeline, {**document.body, "pipeline_id": document.key, "values": values})


def read_endpoint(document: Document) -> PipelineEndpoint:
    return known(PipelineEndpoint, {**document.body, "endpoint_id": document.key})


def _body(item: PublishedPipeline | PipelineEndpoint, key: str) -> dict[str, Any]:
    fields = asdict(item)
    del fields[key]
    return fields


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
CREATE INDEX IF NOT EXISTS schedules_next ON schedules (is_active, next_fire);
CREATE INDEX IF NOT EXISTS schedules_pipeline ON schedules (workspace, pipeline_id, sequence);
CREATE INDEX IF NOT EXISTS schedules_endpoint ON schedules (workspace, endpoint_id, sequence);
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
        return self._select("is_active = 1")

    def is_any_active(self) -> bool:
        """Whether any schedule of any workspace is enabled."""
        return self._database.one("SELECT 1 FROM schedules WHERE is_active = 1 LIMIT 1") is not None

    def due(self, now: datetime) -> list[Schedule]:
        """The enabled schedules whose next time has come."""
        return self._select("is_active = 1 AND next_fire <= ?", offset_time(now))

    def next_after(self, now: datetime) -> datetime | None:
        """The next time of any enabled schedule."""
        sql = "SELECT MIN(next_fire) AS next_fire FROM schedules WHERE is_active = 1 AND next_fire > ?"
        row = self._database.one(sql, (offset_time(now),))
        return stored_time(row["next_fire"]) if row else None

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
            "INSERT INTO schedule_blobs (workspace, schedule_id, name, etag, is_waiting) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (workspace, schedule_id, name)"
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
