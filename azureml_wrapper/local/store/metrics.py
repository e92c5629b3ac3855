"""Metrics of runs: a row per series, a row per point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from azureml_wrapper.local.domain.errors import NotFound, ServiceFault
from azureml_wrapper.local.domain.metrics import Point, Series, merge
from azureml_wrapper.local.store.database import Database, Row, Values, dump, load

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
# Ids are random: an index that began with them would be written to in 45 places for 45 points, not at its end.

PAGE_SIZE = 10_000
# Where a page begins: behind this time and, of the points of one time, behind this one.
Place = tuple[str, int]
BEGINNING: Place = ("", 0)
Listener = Callable[[str, str, str], None]


class MetricStore:
    """Series by run and name. Points come back in the order in which they were logged, however they arrived."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Listener] = []
        database.ensure(SCHEMA)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with workspace, run and name of each metric that was logged, after it is stored."""
        self._listeners.append(listener)

    def add(self, workspace: str, run_id: str, series: Series, points: list[Point]) -> None:
        """Add points to a series, which is made where it is missing. A point that is there already stays as it is."""
        (fault,) = self.add_all(workspace, run_id, [(series, points)])
        if fault:
            raise fault

    def add_all(
        self, workspace: str, run_id: str, items: Sequence[tuple[Series, list[Point]]]
    ) -> list[ServiceFault | None]:
        """As `add` for each, in one transaction; the fault of each that could not be added.

        The SDK sends a series of its own for every point: 45 in a request where a script logs in a loop.
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
            # The SDK's queue repeats a request whose answer was lost, with the same ids.
            self._database.execute_many(
                "INSERT OR IGNORE INTO metric_points (series, point_id, created, step, data) VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        for name in known:
            for listener in self._listeners:
                listener(workspace, run_id, name)
        return faults

    def _without_repeated(self, key: int, points: list[Point]) -> list[Point]:
        """Points less those without a time that are there already: their index has the time before the id."""
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

    def series(self, workspace: str, run_id: str) -> list[Series]:
        """Every series of a run, in the order in which they were first logged."""
        rows = self._database.all(
            "SELECT * FROM metrics WHERE workspace = ? AND run_id = ? ORDER BY series", (workspace, run_id)
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
        """A page of points, and what `after` must be for the next page; None at the end."""
        rows = self._points((workspace, run_id, name), after, since, until, PAGE_SIZE + 1)
        shown = rows[:PAGE_SIZE]
        more = _place(shown[-1]) if len(rows) > PAGE_SIZE else None
        return [_point(row) for row in shown], more

    def rest(self, workspace: str, run_id: str, name: str, after: Place = BEGINNING) -> tuple[list[Point], Place]:
        """Every point behind a place, and the place behind the last of them."""
        rows = self._points((workspace, run_id, name), after)
        return [_point(row) for row in rows], _place(rows[-1]) if rows else after

    def _points(
        self, series: tuple[str, str, str], after: Place, since: str = "", until: str = "~", limit: int = -1
    ) -> list[Row]:
        # SQLite finds no place in an index by a pair where the time has another bound, too; by that bound it does.
        since = max(since, after[0])
        return self._database.all(
            "SELECT points.* FROM metric_points AS points JOIN metrics USING (series)"
            " WHERE workspace = ? AND run_id = ? AND name = ? AND created >= ? AND created <= ?"
            " AND (created, sequence) > (?, ?) ORDER BY created, sequence LIMIT ?",
            (*series, since, until, *after, limit),
        )

    def latest(self, workspace: str, run_id: str) -> list[tuple[str, Point]]:
        """The last point of every series of a run, by name."""
        rows = self._database.all(
            "SELECT name, points.* FROM metrics JOIN metric_points AS points ON points.sequence = (SELECT sequence"
            " FROM metric_points WHERE series = metrics.series ORDER BY created DESC, sequence DESC LIMIT 1)"
            " WHERE workspace = ? AND run_id = ? ORDER BY metrics.series",
            (workspace, run_id),
        )
        return [(row["name"], _point(row)) for row in rows]

    def _put_series(
        self, workspace: str, run_id: str, series: Series, known: tuple[int, Series] | None
    ) -> tuple[int, Series]:
        """The row of a series, and the series with its new columns; `known` are those that it has, where known."""
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
        assert row is not None  # noqa: S101 - made above, in the same transaction
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
