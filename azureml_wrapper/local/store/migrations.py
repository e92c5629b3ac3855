"""Migrations: bring the database of an earlier version to the tables that today's stores expect.

`PRAGMA user_version` holds the version of a database: the number of the last step that was applied to it, or 0 if it
was made before versions existed. The stores create missing tables themselves, so a step is needed only when the shape
or the meaning of something that exists changes. To add one, append it to `STEPS`; never edit a released step. Add a
home of the version before it to tests/homes, so that a test opens it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass


class NewerDatabase(RuntimeError):
    """A later version of azureml_wrapper wrote the database. The message says what to do."""


@dataclass(frozen=True)
class Step:
    """One change. `apply` runs in a transaction of its own, which also sets the version."""

    version: int
    what: str
    apply: Callable[[sqlite3.Connection], None]


def migrate(connection: sqlite3.Connection, path: str, steps: tuple[Step, ...] | None = None) -> None:
    """Apply the steps that a database lacks, in order. A new database gets the latest version at once.

    Raises:
        NewerDatabase: The database has a higher version than the last step.
    """
    steps = STEPS if steps is None else steps
    latest, found = steps[-1].version, version_of(connection)
    if found > latest:
        raise NewerDatabase(
            f"{path} has version {found}, but this azureml_wrapper reads versions up to {latest}. Install "
            "the azureml_wrapper that last used this home folder, or set AZUREML_WRAPPER_HOME to another folder."
        )
    if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        connection.execute(f"PRAGMA user_version = {latest:d}")
        return
    pending = [step for step in steps if step.version > found]
    # The place to copy the database before a step that is hard to undo: nothing has changed yet.
    for step in pending:
        _apply(connection, step)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a database; 0 if none was ever set."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _apply(connection: sqlite3.Connection, step: Step) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        step.apply(connection)
        connection.execute(f"PRAGMA user_version = {step.version:d}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _separate_definitions(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE run_definitions (workspace TEXT NOT NULL, run_id TEXT NOT NULL, definition TEXT NOT NULL,"
        " PRIMARY KEY (workspace, run_id)) WITHOUT ROWID"
    )
    if not _has_table(connection, "runs"):
        return
    for (sequence,) in connection.execute("SELECT sequence FROM runs").fetchall():
        workspace, run_id, text = connection.execute(
            "SELECT workspace, run_id, body FROM runs WHERE sequence = ?", (sequence,)
        ).fetchone()
        # Not with SQLite's JSON functions: they refuse NaN, which Python writes and reads.
        body = json.loads(text)
        definition = body.pop("definition", None)
        connection.execute("UPDATE runs SET body = ? WHERE sequence = ?", (_dump(body), sequence))
        if definition is not None:
            connection.execute("INSERT INTO run_definitions VALUES (?, ?, ?)", (workspace, run_id, _dump(definition)))


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    """A service that was killed during its first start may have created only some of the tables."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(sql, (name,)).fetchone() is not None


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


STEPS = (Step(1, "Keep the definitions of runs in a table of their own.", _separate_definitions),)
