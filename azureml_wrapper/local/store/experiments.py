"""Experiments."""

from __future__ import annotations

from collections.abc import Callable

from azureml_wrapper.local.domain.clock import Clock, Ids, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.limits import check_experiment_name
from azureml_wrapper.local.domain.runs import Experiment
from azureml_wrapper.local.store.database import Database, Row, dump, load
from azureml_wrapper.local.store.query import Fields, Page, Query, page, select

SCHEMA = """
CREATE TABLE IF NOT EXISTS experiments (
    workspace     TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    name          TEXT NOT NULL COLLATE NOCASE,
    created       TEXT NOT NULL,
    description   TEXT,
    tags          TEXT NOT NULL,
    archived      TEXT,
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    UNIQUE (workspace, experiment_id)
);
-- An archived experiment gives its name free.
CREATE UNIQUE INDEX IF NOT EXISTS experiments_active ON experiments (workspace, name) WHERE archived IS NULL;
CREATE INDEX IF NOT EXISTS experiments_name ON experiments (workspace, name, sequence);
CREATE INDEX IF NOT EXISTS experiments_created ON experiments (workspace, COALESCE(created, ''), sequence);
CREATE INDEX IF NOT EXISTS experiments_newest ON experiments (workspace, sequence);
"""

EXPERIMENT_FIELDS = Fields(
    columns={"name": "name", "experimentid": "experiment_id", "createdutc": "created"},
    maps={"tags": "json_each(tags)"},
    times=frozenset({"createdutc"}),
)


class ExperimentStore:
    """Experiments by name (ignoring case, as Azure does) or id."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        database.ensure(SCHEMA)

    def ensure(self, workspace: str, name: str) -> Experiment:
        """The active experiment of that name, created if missing; raise `Invalid` for a name that Azure refuses."""
        check_experiment_name(name)
        with self._database.transaction() as database:
            found = self.find(workspace, name)
            if found:
                return found
            made = Experiment(experiment_id=self._ids.guid(), name=name, created=self._clock.now())
            database.execute(
                "INSERT INTO experiments (workspace, experiment_id, name, created, tags) VALUES (?, ?, ?, ?, '{}')",
                (workspace, made.experiment_id, name, offset_time(made.created)),
            )
        return made

    def find(self, workspace: str, name: str) -> Experiment | None:
        """The active experiment of that name."""
        return self._one("name = ? AND archived IS NULL", workspace, name)

    def get(self, workspace: str, name_or_id: str) -> Experiment:
        """By name (active ones only) or id; raise `NotFound` if it is missing."""
        found = self._one("experiment_id = ?", workspace, name_or_id) or self.find(workspace, name_or_id)
        if found is None:
            raise NotFound(f"Experiment {name_or_id} was not found")
        return found

    def get_any(self, workspace: str, name: str) -> Experiment:
        """Like `get` by name, but the newest archived one if none is active: its runs can still be read."""
        found = self.find(workspace, name) or self._one("name = ? ORDER BY sequence DESC", workspace, name)
        if found is None:
            raise NotFound(f"Experiment {name} was not found")
        return found

    def all(self, workspace: str, *, limit: int = -1) -> list[Experiment]:
        """Every experiment, newest first; with `limit`, only the newest."""
        rows = self._database.all(
            "SELECT * FROM experiments WHERE workspace = ? ORDER BY sequence DESC LIMIT ?", (workspace, limit)
        )
        return [_experiment(row) for row in rows]

    def page(self, workspace: str, query: Query, *, archived: bool | None = False) -> Page[Experiment]:
        """One page of experiments: active, archived, or with `archived=None` both."""
        kind = {None: "1", False: "archived IS NULL", True: "archived IS NOT NULL"}[archived]
        sql, values = select(query, EXPERIMENT_FIELDS, "experiments", [("workspace = ?", [workspace]), (kind, [])])
        return page(query, self._database.all(sql, values), _experiment)

    def change(self, workspace: str, experiment_id: str, amendment: Callable[[Experiment], Experiment]) -> Experiment:
        """Read, change and store an experiment in one transaction."""
        with self._database.transaction():
            changed = amendment(self.get(workspace, experiment_id))
            self.put(workspace, changed)
        return changed

    def delete(self, workspace: str, experiment_id: str) -> None:
        """Delete an experiment; raise `Conflict` if it has runs, as in Azure."""
        with self._database.transaction() as database:
            if database.one(
                "SELECT 1 FROM runs WHERE workspace = ? AND experiment_id = ?", (workspace, experiment_id)
            ):
                raise Conflict(f"Experiment {experiment_id} has runs; only an empty experiment can be deleted.")
            database.execute(
                "DELETE FROM experiments WHERE workspace = ? AND experiment_id = ?", (workspace, experiment_id)
            )

    def put(self, workspace: str, experiment: Experiment) -> None:
        """Replace description, tags and archival of an experiment; raise `Conflict` if its name is in use again."""
        active = self.find(workspace, experiment.name)
        if active and not experiment.archived and active.experiment_id != experiment.experiment_id:
            raise Conflict(f"Another active experiment has the name {experiment.name}.")
        self._database.execute(
            "UPDATE experiments SET description = ?, tags = ?, archived = ?"
            " WHERE workspace = ? AND experiment_id = ?",
            (
                experiment.description,
                dump(experiment.tags),
                offset_time(experiment.archived),
                workspace,
                experiment.experiment_id,
            ),
        )

    def _one(self, condition: str, workspace: str, *values: str) -> Experiment | None:
        sql = f"SELECT * FROM experiments WHERE workspace = ? AND {condition}"  # noqa: S608 - conditions come from code
        row = self._database.one(sql, (workspace, *values))
        return _experiment(row) if row else None


def _experiment(row: Row) -> Experiment:
    return Experiment(
        experiment_id=row["experiment_id"],
        name=row["name"],
        created=stored_time(row["created"]),
        description=row["description"],
        tags=load(row["tags"]),
        archived=stored_time(row["archived"]),
    )
