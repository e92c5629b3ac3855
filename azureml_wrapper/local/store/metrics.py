"""Metrics of runs: one row for each series, one for each point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.errors import NotFound, ServiceFault
from azureml_wrapper.local.domain.metrics import Point, RunSeries, Series, merge
from azureml_wrapper.local.store.database import Database, Row, Values, dump, load
from azureml_wrapper.local.store.query import Fields, Page, Query, page, select

SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    series    INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    run_id    TEXT NOT NULL,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    columns   TEXT NOT NULL,
    UNIQUE (workspace, run_id, name)
);
CREATE INDEX IF NOT EXISTS metrics_run ON metrics (workspace, run_id, series);
CREATE TABLE IF NOT EXISTS metric_points (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    series   INTEGER NOT NULL REFERENCES metrics (series) ON DELETE CASCADE,
    point_id TEXT NOT NULL,
    created  TEXT NOT NULL,
    step     INTEGER,
    data     TEXT NOT NULL,
    UNIQUE (series, created, point_id)
);
"""
# Ids are random: with them first, 45 points would go to 45 places of the index instead of one.

# The metrics of runs; a reused step has those of the run that it reuses (domain/runs.py, origin_id).
_OF_RUNS = """(
    SELECT metrics.series AS sequence, metrics.name, metrics.kind, metrics.columns,
        runs.workspace, runs.experiment_id, runs.run_id, metrics.run_id AS origin,
        (SELECT MAX(created) FROM metric_points WHERE series = metrics.series) AS latest
    FROM runs JOIN metrics ON metrics.workspace = runs.workspace
        AND metrics.run_id = CASE runs.run_type WHEN 'azureml.StepRun'
            THEN COALESCE(json_extract(runs.body, '$.properties."azureml.reusedrunid"'), runs.run_id)
            ELSE runs.run_id END
)"""
_RUN_FIELDS = Fields(
    columns={"runid": "run_id", "name": "name", "metrictype": "kind", "createdutc": "latest"},
    times=frozenset({"createdutc"}),
)

PAGE_SIZE = 10_000
# Where a page begins: behind this time and, among the points of one time, behind this sequence.
Place = tuple[str, int]
BEGINNING: Place = ("", 0)
Listener = Callable[[str, str, str], None]


class MetricStore:
    """Series by run and name. Points are returned in the order of logging, not of arrival."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[tuple[Listener, Attempts]] = []
        database.ensure(SCHEMA)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the workspace, run and name of each logged metric once it is stored.

        The error of a listener is logged, and costs neither the other listeners nor the metric.
        """
        self._listeners.append((listener, Attempts("a listener to the metrics of runs")))

    def add(self, workspace: str, run_id: str, series: Series, points: list[Point]) -> None:
        """Add points to a series, which is created if missing. Existing points stay unchanged."""
        (fault,) = self.add_all(workspace, run_id, [(series, points)])
        if fault:
            raise fault

    def add_all(
        self, workspace: str, run_id: str, items: Sequence[tuple[Series, list[Point]]]
    ) -> list[ServiceFault | None]:
        """Like `add` for each, in one transaction. Returns the fault of each that could not be added.

        The SDK sends a separate series for every point: 45 in one request when a script logs in a loop.
        """
        known: dict[str, tuple[int, Series]] = {}
        faults: list[ServiceFault | None] = []
        rows: list[Values] = []
        with self._database.transaction():
            for series, points in items:
                try:
                    key, _ = known[series.name] = self._put_series(workspace, run_id, series, known.get(series.name))
                except ServiceFault as fault:
                    faults.append(fault)
                    continue
                faults.append(None)
                points = self._without_repeated(key, points)
                rows += [(key, point.point_id, point.created, point.step, dump(point.data)) for point in points]
            # The SDK's queue repeats a request with the same ids if the response was lost.
            self._database.execute_many(
                "INSERT OR IGNORE INTO metric_points (series, point_id, created, step, data) VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        for name in known:
            for listener, attempts in self._listeners:
                attempts.attempt(partial(listener, workspace, run_id, name))
        return faults

    def _without_repeated(self, key: int, points: list[Point]) -> list[Point]:
        """Drop existing points that have no time: the unique index has the time before the id, and NULLs differ."""
        untimed = {point.point_id for point in points if not point.is_timed}
        if not untimed:
            return points
        marks = ", ".join("?" * len(untimed))
        rows = self._database.all(
            f"SELECT point_id FROM metric_points WHERE series = ? AND point_id IN ({marks})",  # noqa: S608
            (key, *untimed),
        )
        there = {row["point_id"] for row in rows}
        return [point for point in points if point.is_timed or point.point_id not in there]

    def series(self, workspace: str, run_id: str, *, limit: int = -1) -> list[Series]:
        """Every series of a run, in the order of their first points; with `limit`, only the first."""
        rows = self._database.all(
            "SELECT * FROM metrics WHERE workspace = ? AND run_id = ? ORDER BY series LIMIT ?",
            (workspace, run_id, limit),
        )
        return [_series(row) for row in rows]

    def get(self, workspace: str, run_id: str, name: str) -> Series:
        row = self._row(workspace, run_id, name)
        if row is None:
            raise NotFound(f"The metric {name!r} of run {run_id} was not found.")
        return _series(row)

    def points(
        self,
        workspace: str,
        run_id: str,
        name: str,
        *,
        after: Place = BEGINNING,
        since: str = "",
        until: str = "~",
    ) -> tuple[list[Point], Place | None]:
        """A page of points, and `after` of the next page; None at the end."""
        rows = self._points((workspace, run_id, name), after, since, until, PAGE_SIZE + 1)
        shown = rows[:PAGE_SIZE]
        more = _place(shown[-1]) if len(rows) > PAGE_SIZE else None
        return [_point(row) for row in shown], more

    def rest(self, workspace: str, run_id: str, name: str, after: Place = BEGINNING) -> tuple[list[Point], Place]:
        """Every point behind a place, and the place behind the last one."""
        rows = self._points((workspace, run_id, name), after)
        return [_point(row) for row in rows], _place(rows[-1]) if rows else after

    def newest(self, workspace: str, run_id: str, name: str, limit: int) -> list[Point]:
        """The last points, in the order of logging."""
        rows = self._database.all(
            "SELECT points.* FROM metric_points AS points JOIN metrics USING (series)"
            " WHERE workspace = ? AND run_id = ? AND name = ? ORDER BY created DESC, sequence DESC LIMIT ?",
            (workspace, run_id, name, limit),
        )
        return [_point(row) for row in reversed(rows)]

    def count(self, workspace: str, run_id: str, name: str, limit: int) -> int:
        """The number of points; `limit` if there are more. Counting a million takes a while."""
        row = self._database.one(
            "SELECT COUNT(*) AS number FROM (SELECT 1 FROM metric_points JOIN metrics USING (series)"
            " WHERE workspace = ? AND run_id = ? AND name = ? LIMIT ?)",
            (workspace, run_id, name, limit),
        )
        return int(row["number"]) if row else 0

    def _points(
        self, series: tuple[str, str, str], after: Place, since: str = "", until: str = "~", limit: int = -1
    ) -> list[Row]:
        # SQLite does not search an index by a pair if the time also has its own bound; by that bound it does.
        since = max(since, after[0])
        return self._database.all(
            "SELECT points.* FROM metric_points AS points JOIN metrics USING (series)"
            " WHERE workspace = ? AND run_id = ? AND name = ? AND created >= ? AND created <= ?"
            " AND (created, sequence) > (?, ?) ORDER BY created, sequence LIMIT ?",
            (*series, since, until, *after, limit),
        )

    def query(self, workspace: str, experiment_id: str, query: Query) -> Page[RunSeries]:
        """Metrics of an experiment's runs, each with all of its points."""
        condition = "workspace = ? AND experiment_id = ?", [workspace, experiment_id]
        rows = self._database.all(*select(query, _RUN_FIELDS, _OF_RUNS, [condition]))
        return page(query, rows, self._run_series)

    def _run_series(self, row: Row) -> RunSeries:
        points, _ = self.rest(row["workspace"], row["origin"], row["name"])
        return RunSeries(run_id=row["run_id"], series=_series(row), points=points)

    def latest(self, workspace: str, run_id: str) -> list[tuple[str, Point]]:
        """The last point of every series of a run, sorted by name."""
        rows = self._database.all(
            "SELECT name, points.* FROM metrics JOIN metric_points AS points ON points.sequence = (SELECT sequence"
            " FROM metric_points WHERE series = metrics.series ORDER BY created DESC, sequence DESC LIMIT 1)"
            " WHERE workspace = ? AND run_id = ? ORDER BY metrics.series",
            (workspace, run_id),
        )
        return [(row["name"], _point(row)) for row in rows]

    def latest_of(self, workspace: str, run_ids: Sequence[str]) -> dict[str, list[tuple[str, Point]]]:
        """Like `latest`, of up to some hundred runs; those without metrics are missing."""
        marks = ", ".join("?" * len(run_ids))
        rows = self._database.all(
            "SELECT run_id, name, points.* FROM metrics JOIN metric_points AS points ON points.sequence ="  # noqa: S608
            " (SELECT sequence FROM metric_points WHERE series = metrics.series"
            " ORDER BY created DESC, sequence DESC LIMIT 1)"
            f" WHERE workspace = ? AND run_id IN ({marks}) ORDER BY metrics.series",
            (workspace, *run_ids),
        )
        found: dict[str, list[tuple[str, Point]]] = {}
        for row in rows:
            found.setdefault(row["run_id"], []).append((row["name"], _point(row)))
        return found

    def _put_series(
        self, workspace: str, run_id: str, series: Series, known: tuple[int, Series] | None
    ) -> tuple[int, Series]:
        """The row of a series, and the series with its new columns; `known` are its columns, if known."""
        key, before = known or self._find_or_add(workspace, run_id, series)
        if series.kind == before.kind and series.columns == before.columns:
            return key, before
        merged = merge(before, series)
        if merged != before:
            self._database.execute("UPDATE metrics SET columns = ? WHERE series = ?", (dump(merged.columns), key))
        return key, merged

    def _find_or_add(self, workspace: str, run_id: str, series: Series) -> tuple[int, Series]:
        self._database.execute(
            "INSERT OR IGNORE INTO metrics (workspace, run_id, name, kind, columns) VALUES (?, ?, ?, ?, ?)",
            (workspace, run_id, series.name, series.kind, dump(series.columns)),
        )
        row = self._row(workspace, run_id, series.name)
        assert row is not None  # noqa: S101 - inserted above, in the same transaction
        return row["series"], _series(row)

    def _row(self, workspace: str, run_id: str, name: str) -> Row | None:
        return self._database.one(
            "SELECT * FROM metrics WHERE workspace = ? AND run_id = ? AND name = ?", (workspace, run_id, name)
        )


def _series(row: Row) -> Series:
    return Series(name=row["name"], kind=row["kind"], columns=load(row["columns"]))


def _place(row: Row) -> Place:
    return row["created"], row["sequence"]


def _point(row: Row) -> Point:
    return Point(point_id=row["point_id"], created=row["created"], step=row["step"], data=load(row["data"]))
