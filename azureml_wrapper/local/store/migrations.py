"""Migrations: the steps that bring the database of an earlier version to the tables that today's stores expect.

`PRAGMA user_version` holds a database's version: the number of the last step that was applied to it, or 0 if it was
made before versions existed. The stores create missing tables themselves, so a step is needed only when the shape or
the meaning of something that exists changes. To add one, append it to `STEPS`; never edit a released step. Add a home
of the version before it to tests/homes, so that a test opens it.

Before the first step, the database is copied to a file beside it. All steps are one transaction: a migration that
fails leaves a database that the earlier version can still open.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import azureml_wrapper
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.faultpoints import fault_point

# Which azureml_wrapper last opened the database, for the message of an earlier one that cannot.
WRITER = "CREATE TABLE IF NOT EXISTS writer (only INTEGER PRIMARY KEY CHECK (only = 1), version TEXT NOT NULL)"

log = logging.getLogger("azureml_wrapper.local")


class NewerDatabase(ServiceFault):
    """A later version of azureml_wrapper wrote the database. The message says what to do."""


@dataclass(frozen=True)
class Step:
    """One change. `apply` runs in the transaction of the migration, which also sets the version."""

    version: int
    what: str
    apply: Callable[[sqlite3.Connection], None]


def migrate(connection: sqlite3.Connection, path: str, steps: tuple[Step, ...] | None = None) -> None:
    """Apply the steps that a database lacks, in order, after copying it. A new one gets the latest version at once.

    Raises:
        NewerDatabase: The database has a higher version than the last step.
        OSError, sqlite3.Error: The copy or a step failed; the database is unchanged.
    """
    steps = STEPS if steps is None else steps
    latest, found = steps[-1].version, version_of(connection)
    if found > latest:
        raise NewerDatabase(_newer(connection, path, found, latest))
    pending = [step for step in steps if step.version > found]
    if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        connection.execute(f"PRAGMA user_version = {latest:d}")
    elif pending:
        copy = copy_before(connection, path, found)
        _apply(connection, pending)
        kept = f"; the database as it was is {copy}" if copy else ""
        log.warning("migrated %s from version %s to %s%s", path, found, latest, kept)
    _sign(connection)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a database; 0 if none was ever set."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def writer_of(connection: sqlite3.Connection) -> str | None:
    """The version of the azureml_wrapper that last opened a database; None if it was one that did not say so."""
    if not _has_table(connection, "writer"):
        return None
    row = connection.execute("SELECT version FROM writer").fetchone()
    return str(row[0]) if row else None


def copies(path: Path) -> list[Path]:
    """The copies of a database that migrations made."""
    return sorted(path.parent.glob(f"{path.name}.version-*"))


def copy_before(connection: sqlite3.Connection, path: str, version: int) -> Path | None:
    """Copy a database to `<path>.version-<version>`, and delete earlier copies; None if it is in memory."""
    if path == ":memory:":
        return None
    target = Path(f"{path}.version-{version}")
    temporary = Path(f"{path}.copying")
    temporary.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(temporary)) as copy:
            connection.backup(copy)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for other in copies(Path(path)):
        if other != target:
            other.unlink()
    return target


def _newer(connection: sqlite3.Connection, path: str, found: int, latest: int) -> str:
    writer = writer_of(connection)
    made_by = f", made by azureml_wrapper {writer}" if writer else ""
    return (
        f"{path} has version {found}{made_by}. This is azureml_wrapper {azureml_wrapper.__version__}, which reads "
        f"versions up to {latest}. Install the azureml_wrapper that last used this home folder, or set "
        "AZUREML_WRAPPER_HOME to another folder."
    )


def _apply(connection: sqlite3.Connection, steps: list[Step]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps:
            step.apply(connection)
            fault_point("database.migrate")
        connection.execute(f"PRAGMA user_version = {steps[-1].version:d}")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _sign(connection: sqlite3.Connection) -> None:
    if writer_of(connection) != azureml_wrapper.__version__:
        connection.execute(WRITER)
        connection.execute(
            "INSERT OR REPLACE INTO writer (only, version) VALUES (1, ?)", (azureml_wrapper.__version__,)
        )


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


def _make_room_for_sealed_keys(connection: sqlite3.Connection) -> None:
    # The stores encrypt what they find in clear: they have the key. Earlier versions cannot read it any more.
    if _has_table(connection, "storage_accounts"):
        connection.execute("ALTER TABLE storage_accounts ADD COLUMN sealed BLOB")


STEPS = (
    Step(1, "Keep the definitions of runs in a table of their own.", _separate_definitions),
    Step(2, "Encrypt account keys and SAS tokens.", _make_room_for_sealed_keys),
)
