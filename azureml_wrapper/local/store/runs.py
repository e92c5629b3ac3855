"""Runs and their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.odata import Order
from azureml_wrapper.local.domain.runs import JSON, Run, RunStatus, check_transition
from azureml_wrapper.local.store.database import Database, Row, Values, dump, known, load
from azureml_wrapper.local.store.query import PAGE_SIZE, Fields, Page, Query, page, select, token_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace     TEXT NOT NULL,
    run_id        TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    parent_id     TEXT,
    root_id       TEXT NOT NULL,
    number        INTEGER NOT NULL,
    status        TEXT NOT NULL,
    run_type      TEXT,
    created       TEXT NOT NULL,
    started       TEXT,
    ended         TEXT,
    body          TEXT NOT NULL,
    UNIQUE (workspace, run_id)
);
CREATE INDEX IF NOT EXISTS runs_experiment
    ON runs (workspace, experiment_id, COALESCE(started, created), sequence);
CREATE INDEX IF NOT EXISTS runs_parent ON runs (workspace, parent_id, COALESCE(started, created), sequence);
CREATE INDEX IF NOT EXISTS runs_root ON runs (workspace, root_id);
CREATE INDEX IF NOT EXISTS runs_status ON runs (status);
CREATE INDEX IF NOT EXISTS runs_experiment_status
    ON runs (workspace, experiment_id, status, COALESCE(started, created), sequence);
CREATE INDEX IF NOT EXISTS runs_top ON runs (workspace, sequence) WHERE parent_id IS NULL;
CREATE INDEX IF NOT EXISTS runs_experiment_top ON runs (workspace, experiment_id, sequence) WHERE parent_id IS NULL;
CREATE TABLE IF NOT EXISTS run_definitions (
    workspace  TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (workspace, run_id)
) WITHOUT ROWID;
"""

RUN_FIELDS = Fields(
    columns={
        "runid": "run_id",
        "parentrunid": "parent_id",
        "rootrunid": "root_id",
        "experimentid": "experiment_id",
        "status": "status",
        "runtype": "run_type",
        "runnumber": "number",
        "createdutc": "created",
        "starttimeutc": "started",
        "endtimeutc": "ended",
        "target": "json_extract(body, '$.target')",
        "name": "json_extract(body, '$.name')",
        "displayname": "json_extract(body, '$.display_name')",
        "runtypev2/orchestrator": "json_extract(body, '$.run_type_v2.orchestrator')",
    },
    # A waiting run has no start yet, and sorts as the newest.
    sorts={"starttimeutc": "COALESCE(started, created)"},
    maps={"tags": "json_each(body, '$.tags')", "properties": "json_each(body, '$.properties')"},
    lists={"runtypev2/traits": "json_each(body, '$.run_type_v2.traits')"},
    times=frozenset({"createdutc", "starttimeutc", "endtimeutc"}),
)
# Columns, because queries filter or sort by them; all other fields are in `body`.
_COLUMNS = ("run_id", "experiment_id", "parent_id", "root_id", "number", "status", "run_type")
_TIMES = ("created", "started", "ended")
_FIELDS = tuple(field.name for field in fields(Run))
_OPEN = tuple(status.value for status in RunStatus if not status.is_terminal)

# How much a clock may be corrected during a run without any change of its times.
CLOCK_TOLERANCE = timedelta(minutes=1)

Listener = Callable[[Run], None]
ListenerOfMany = Callable[[list[Run]], None]


class RunStore:
    """Runs of every kind. All writes of a run go through `add`, `change` and `advance`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._listeners: list[tuple[Listener, ListenerOfMany | None, Attempts]] = []
        # When runs started, by a clock that does not jump; those that this process has seen.
        self._begun: dict[tuple[str, str], float] = {}
        database.ensure(SCHEMA)

    def listen(self, listener: Listener, of_many: ListenerOfMany | None = None) -> None:
        """Call `listener` with each run whose status changed, once the change is stored.

        The error of a listener is logged, and costs neither the other listeners nor the change.

        Args:
            of_many: Called instead, once, with runs of a workspace that were canceled together.
        """
        self._listeners.append((listener, of_many, Attempts("a listener to the changes of runs")))

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction, for changes of several stores that belong together."""
        return self._database.transaction()

    def add(self, run: Run, definition: JSON | None = None, *, parent: Run | None = None) -> Run:
        """Store a new run, with its number and root filled in; raise `Conflict` if the id is taken.

        `parent` saves reading it, if the caller has.
        """
        with self._database.transaction() as database:
            root = parent.root_id if parent else self._root(run)
            # Since 2022-12 Azure numbers runs by the second of their creation.
            run = replace(run, root_id=root, number=run.number or int(run.created.timestamp()))
            added = database.execute(
                "INSERT INTO runs (workspace, run_id, experiment_id, parent_id, root_id, number, status, run_type,"
                " created, started, ended, body) VALUES (:workspace, :run_id, :experiment_id, :parent_id, :root_id,"
                " :number, :status, :run_type, :created, :started, :ended, :body)"
                " ON CONFLICT (workspace, run_id) DO NOTHING",
                _values(run),
            )
            if not added:
                raise Conflict(f"Run {run.run_id} already exists.")
            if definition is not None:
                self.define(run.workspace_id, run.run_id, definition)
        return run

    def define(self, workspace: str, run_id: str, definition: JSON) -> None:
        """Store a run's definition, as `get_details()` shows it; it replaces an earlier one.

        It has a table of its own: it is two thirds of what is known of a run, and hardly ever read.
        """
        self._database.execute(
            "INSERT OR REPLACE INTO run_definitions (workspace, run_id, definition) VALUES (?, ?, ?)",
            (workspace, run_id, dump(definition)),
        )

    def definition(self, workspace: str, run_id: str) -> JSON | None:
        """A run's definition; None if it has none, as interactive runs."""
        sql = "SELECT definition FROM run_definitions WHERE workspace = ? AND run_id = ?"
        row = self._database.one(sql, (workspace, run_id))
        return load(row["definition"]) if row else None

    def find(self, workspace: str, run_id: str) -> Run | None:
        row = self._database.one("SELECT * FROM runs WHERE workspace = ? AND run_id = ?", (workspace, run_id))
        return _run(row) if row else None

    def get(self, workspace: str, run_id: str) -> Run:
        found = self.find(workspace, run_id)
        if found is None:
            raise NotFound(f"Run {run_id} was not found")
        return found

    def amend(self, workspace: str, run_id: str, amendment: Callable[[Run], Run]) -> Run:
        """Read, change and store a run in one transaction. For its status, use `advance`."""
        with self._database.transaction():
            run = self.get(workspace, run_id)
            changed = amendment(run)
            # A job without datasets sets what is empty already.
            if changed != run:
                self._update(changed)
        return changed

    def change(
        self,
        workspace: str,
        run_id: str,
        *,
        tags: dict[str, str] | None = None,
        properties: dict[str, str] | None = None,
        **fields: Any,
    ) -> Run:
        """Set fields of a run; tags and properties are merged with existing ones. For its status, use `advance`."""
        return self.amend(
            workspace,
            run_id,
            lambda run: replace(
                run,
                tags={**run.tags, **(tags or {})},
                properties={**run.properties, **(properties or {})},
                **fields,
            ),
        )

    def remove_tags(self, workspace: str, run_id: str, names: list[str]) -> Run:
        return self.amend(
            workspace,
            run_id,
            lambda run: replace(run, tags={key: value for key, value in run.tags.items() if key not in names}),
        )

    def advance(
        self,
        workspace: str,
        run_id: str,
        status: RunStatus,
        *,
        error: JSON | None = None,
        at: datetime | None = None,
        again: bool = False,
        **fields: Any,
    ) -> Run:
        """Set the next status of a run, and when it started or ended; with `again`, an ended run may change.

        `fields` are set with it. Setting the same status again changes nothing. A run that asked to fail
        (`Run.requested_failure`) becomes Failed instead of Completed.

        Raises:
            Conflict: `TRANSITIONS` does not allow the step.
        """
        with self._database.transaction():
            run = self.get(workspace, run_id)
            if status is RunStatus.COMPLETED and run.requested_failure:
                status, error = RunStatus.FAILED, run.requested_failure
            if run.status is status:
                return run
            check_transition(run_id, run.status, status, again=again)
            changed = _advanced(replace(run, **fields), status, at or self._clock.now(), error)
            changed = changed if at else self._timed(run, changed)
            self._update(changed)
        self._tell(changed)
        return changed

    def cancel_waiting(self, workspace: str, run_ids: Sequence[str]) -> set[str]:
        """Set those runs Canceled that have neither started nor ended, in two statements; return their ids."""
        condition = (
            "workspace = ? AND run_id IN (SELECT value FROM json_each(?)) AND started IS NULL AND ended IS NULL"
        )
        with self._database.transaction() as database:
            now, values = self._clock.now(), (workspace, dump(run_ids))
            changed = [_advanced(run, RunStatus.CANCELED, now, None) for run in self.select(condition, values)]
            sql = f"UPDATE runs SET status = 'Canceled', ended = ? WHERE {condition}"  # noqa: S608
            database.execute(sql, (offset_time(now), *values))
        self._tell(*changed)
        return {run.run_id for run in changed}

    def abandon(self, workspace: str, run_id: str, error: JSON) -> None:
        """Set a run Failed in one statement that needs nothing else, not even a record that can be read.

        For what could not end it in another way. A run that has ended stays as it is.
        """
        changed = self._database.execute(
            "UPDATE runs SET status = 'Failed', ended = :ended, body = CASE WHEN json_valid(body)"
            " THEN json_set(body, '$.error', json(:error)) ELSE body END"
            " WHERE workspace = :workspace AND run_id = :run_id"
            " AND status NOT IN ('Completed', 'Failed', 'Canceled')",
            {
                "workspace": workspace,
                "run_id": run_id,
                "ended": offset_time(self._clock.now()),
                "error": dump(error),
            },
        )
        if changed:
            Attempts(f"reading run {run_id}").attempt(lambda: self._tell(self.get(workspace, run_id)))

    def _timed(self, before: Run, run: Run) -> Run:
        """The run, with a start that moves along if the clock was set while it ran: its duration must stay true."""
        key = run.workspace_id, run.run_id
        if run.started and not before.started:
            self._begun[key] = self._clock.steady()
        if not run.ended or not run.started:
            return run
        begun = self._begun.pop(key, None)
        if begun is None:
            return replace(run, started=min(run.started, run.ended))
        passed = timedelta(seconds=self._clock.steady() - begun)
        is_set = abs(run.ended - run.started - passed) > CLOCK_TOLERANCE
        return replace(run, started=run.ended - passed) if is_set else run

    def _tell(self, *runs: Run) -> None:
        for listener, of_many, attempts in self._listeners:
            together = [partial(of_many, [*runs])] if of_many and len(runs) > 1 else []
            for call in together or [partial(listener, run) for run in runs]:
                attempts.attempt(call)

    def page(
        self,
        workspace: str,
        query: Query,
        *,
        experiment_id: str | None = None,
        parent_id: str | None = None,
        target: str | None = None,
    ) -> Page[Run]:
        """One page of the runs of an experiment, a parent or a compute, filtered and sorted by the database."""
        scope = {
            "workspace": workspace,
            "experiment_id": experiment_id,
            "parent_id": parent_id,
            RUN_FIELDS.columns["target"]: target,
        }
        conditions = [(f"{column} = ?", [value]) for column, value in scope.items() if value is not None]
        sql, values = select(query, RUN_FIELDS, "runs", [*conditions])
        return page(query, self._database.all(sql, values), _run)

    def count_by_status(self, workspace: str, experiment_id: str) -> dict[str, int]:
        rows = self._database.all(
            "SELECT status, COUNT(*) AS runs FROM runs WHERE workspace = ? AND experiment_id = ? GROUP BY status",
            (workspace, experiment_id),
        )
        return {row["status"]: row["runs"] for row in rows}

    def of_experiment(
        self, workspace: str, experiment_id: str, after: str | None = None, *, portion: int = PAGE_SIZE
    ) -> Iterator[list[tuple[str, Run]]]:
        """The runs of an experiment, the latest start first, each with the token of those that follow it.

        They are read when they are asked for, in portions of that many.
        """
        while True:
            query = Query(order=Order("starttimeutc", descending=True), top=portion, after=after)
            scope = "workspace = ? AND experiment_id = ?", [workspace, experiment_id]
            rows = self._database.all(*select(query, RUN_FIELDS, "runs", [scope]))
            yield [(token_of(row), _run(row)) for row in rows[: query.size]]
            if len(rows) <= query.size:
                return
            after = token_of(rows[query.size - 1])

    def children(self, workspace: str, *run_ids: str) -> list[Run]:
        """Direct children of one or more runs, newest first."""
        condition = "workspace = ? AND parent_id IN (SELECT value FROM json_each(?))"
        return self.select(condition, (workspace, dump(run_ids)))

    def unfinished(self) -> list[Run]:
        """Every run of every workspace that has not ended."""
        # Not "NOT IN" the others: no index helps to find those.
        return self.select(f"status IN ({', '.join('?' * len(_OPEN))})", _OPEN)

    def select(self, condition: str, values: Values, *, order: str = "sequence DESC", limit: int = -1) -> list[Run]:
        """Runs that match an SQL condition on the columns of `SCHEMA`. Condition and order must come from code."""
        sql = f"SELECT * FROM runs WHERE {condition} ORDER BY {order} LIMIT {limit:d}"  # noqa: S608
        return [_run(row) for row in self._database.all(sql, values)]

    def are_related(self, workspace: str, one: str, other: str) -> bool:
        """Whether a run is the other one, its ancestor or its descendant: then the token of one may write to it."""
        return self._is_above(workspace, one, other) or self._is_above(workspace, other, one)

    def _is_above(self, workspace: str, ancestor: str, run_id: str) -> bool:
        """Whether a run is another one or its ancestor. Looks upwards only: a run may have any number of children."""
        sql = """
            WITH RECURSIVE above(id) AS (
                SELECT ?2 UNION
                SELECT parent_id FROM runs JOIN above ON run_id = id WHERE workspace = ?1 AND parent_id IS NOT NULL
            )
            SELECT 1 FROM above WHERE id = ?3
            """
        return self._database.one(sql, (workspace, run_id, ancestor)) is not None

    def _root(self, run: Run) -> str:
        parent = self.find(run.workspace_id, run.parent_id) if run.parent_id else None
        return parent.root_id if parent else run.root_id or run.run_id

    def _update(self, run: Run) -> None:
        self._database.execute(
            "UPDATE runs SET experiment_id = :experiment_id, parent_id = :parent_id, root_id = :root_id,"
            " number = :number, status = :status, run_type = :run_type, created = :created, started = :started,"
            " ended = :ended, body = :body WHERE workspace = :workspace AND run_id = :run_id",
            _values(run),
        )


def _advanced(run: Run, status: RunStatus, at: datetime, error: JSON | None) -> Run:
    return replace(
        run,
        status=status,
        started=run.started or (at if status is RunStatus.RUNNING else None),
        ended=at if status.is_terminal else None,
        error=error if error is not None else run.error,
    )


def _values(run: Run) -> dict[str, Any]:
    # Not asdict(), which copies every nested value.
    body = {name: getattr(run, name) for name in _FIELDS}
    values: dict[str, Any] = {"workspace": body.pop("workspace_id")}
    values.update({name: body.pop(name) for name in _COLUMNS})
    values.update({name: offset_time(body.pop(name)) for name in _TIMES})
    values["status"] = run.status.value
    values["body"] = dump(body)
    return values


def _run(row: Row) -> Run:
    fields = {name: row[name] for name in _COLUMNS}
    fields.update({name: stored_time(row[name]) for name in _TIMES})
    fields.update(load(row["body"]), status=RunStatus(row["status"]), workspace_id=row["workspace"])
    return known(Run, fields)
