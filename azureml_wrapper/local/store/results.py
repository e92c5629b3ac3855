"""Completed step runs and what they were made from, so that a later step can reuse their outputs."""

from __future__ import annotations

from dataclasses import dataclass

from azureml_wrapper.local.domain.reuse import JSON, Recipe
from azureml_wrapper.local.store.database import Database, Row, dump, known, load

SCHEMA = """
CREATE TABLE IF NOT EXISTS step_results (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    run_id    TEXT NOT NULL,
    step      TEXT NOT NULL,
    key       TEXT,
    recipe    TEXT,
    outputs   TEXT NOT NULL,
    UNIQUE (workspace, run_id)
);
CREATE INDEX IF NOT EXISTS step_results_key ON step_results (workspace, key, sequence) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS step_results_step ON step_results (workspace, step, sequence);
"""
# Maximum number of equal runs to look at when the outputs of some are gone.
MOST_CANDIDATES = 10


@dataclass(frozen=True, kw_only=True)
class Result:
    """A completed step run. `outputs` are the files of each output, as domain/reuse.py describes files.

    `recipe` is None if the step did not allow reuse.
    """

    run_id: str
    step: str
    recipe: Recipe | None
    outputs: JSON


class ResultStore:
    """Completed step runs by the key of their recipe, and by the name of their step."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(self, workspace: str, result: Result, *, is_reusable: bool) -> None:
        """Store a run. If it is not reusable, later runs are only compared with it, to say what changed."""
        recipe = result.recipe
        self._database.execute(
            "INSERT INTO step_results (workspace, run_id, step, key, recipe, outputs) VALUES (?, ?, ?, ?, ?, ?)",
            (
                workspace,
                result.run_id,
                result.step,
                recipe.key if recipe and is_reusable else None,
                dump(recipe.content) if recipe else None,
                dump(result.outputs),
            ),
        )

    def by_key(self, workspace: str, key: str) -> list[Result]:
        """The newest runs with this key, newest first."""
        rows = self._database.all(
            "SELECT * FROM step_results WHERE workspace = ? AND key = ? ORDER BY sequence DESC LIMIT ?",
            (workspace, key, MOST_CANDIDATES),
        )
        return [_result(row) for row in rows]

    def latest(self, workspace: str, step: str) -> Result | None:
        """The last completed run of the step of that name; None if not found."""
        row = self._database.one(
            "SELECT * FROM step_results WHERE workspace = ? AND step = ? ORDER BY sequence DESC LIMIT 1",
            (workspace, step),
        )
        return _result(row) if row else None


def _result(row: Row) -> Result:
    recipe = load(row["recipe"])
    return Result(
        run_id=row["run_id"],
        step=row["step"],
        recipe=known(Recipe, recipe) if recipe else None,
        outputs=load(row["outputs"]),
    )
