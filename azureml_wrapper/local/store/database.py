"""The database: one SQLite file, one connection, one lock.

SQLite in WAL mode keeps every acknowledged transaction through a kill -9 of the process. Transactions are short
(well under a millisecond), so one connection behind a lock is simpler than a pool, and as fast on a small machine.

Migrations bring the database of an earlier version to the tables that today's stores expect. `PRAGMA user_version`
holds its version: the number of the last step that was applied to it, or 0 if it was made before versions existed.
The stores create missing tables themselves, so a step is needed only when the shape or the meaning of something that
exists changes. To add one, append it to `STEPS`; never edit a released step. Add a home of the version before it to
tests/homes, so that a test opens it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import Locked, OutOfSpace, ServiceFault

Row = sqlite3.Row
Values = Sequence[Any] | dict[str, Any]


class Database:
    """SQL for the stores. Opening a file brings it to today's version first (`migrate`).

    `path` may be ":memory:" in unit tests. Raises `NewerDatabase` if a later version wrote the file.
    """

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")
        migrate(self._connection, str(path))

    def ensure(self, schema: str) -> None:
        """Create a store's missing tables. Each store calls this in its constructor."""
        with self._lock, faults():
            self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """A transaction; nested calls join the outer one."""
        with self._lock:
            if self._connection.in_transaction:
                yield self
                return
            self._run("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                # SQLite ends a transaction itself after some errors, such as a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._run("COMMIT")

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement. Returns the number of changed rows."""
        with self._lock:
            return self._run(sql, values).rowcount

    def execute_many(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row, in one transaction."""
        with self.transaction(), faults():
            self._connection.executemany(sql, rows)

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        with self._lock:
            cursor = self._run(sql, values)
            with faults():
                row: Row | None = cursor.fetchone()
            return row

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Every row."""
        with self._lock:
            cursor = self._run(sql, values)
            with faults():
                return cursor.fetchall()

    def forget(self, workspace_id: str) -> None:
        """Delete a workspace's rows from every table that has a column named `workspace`."""
        with self.transaction():
            self._run("PRAGMA defer_foreign_keys=ON")
            tables = self.all(
                "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c"
                " WHERE m.type = 'table' AND c.name = 'workspace'"
            )
            for table in tables:
                self._run(f'DELETE FROM "{table["name"]}" WHERE workspace = ?', (workspace_id,))  # noqa: S608

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        with faults():
            try:
                return self._connection.execute(sql, values)
            except sqlite3.Error:
                if self._connection.in_transaction and sql == "COMMIT":
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def faults() -> Iterator[None]:
    """Turn SQLite's errors into faults of the service."""
    try:
        yield
    except sqlite3.IntegrityError:
        # The caller breaks a rule of a table: a defect, or what the caller expects.
        raise
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text:
            raise OutOfSpace(
                "Cannot write to the local service's home folder: no space left on the disk. Nothing was changed."
            ) from error
        if "locked" in text or "busy" in text:
            raise Locked(
                "Another program has locked the database of the local service (state.sqlite in its home folder). "
                "Nothing was changed. End that program, or try again later."
            ) from error
        raise ServiceFault(f"The database of the local service reports: {text}. Nothing was changed.") from error


def dump(value: Any) -> str:
    """Compact JSON for a column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(text: str | None) -> Any:
    """What `dump` wrote; None stays None."""
    return None if text is None else json.loads(text)


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
