"""The database: one SQLite file, one connection, one lock.

SQLite in WAL mode keeps every acknowledged transaction through a kill -9 of the process. Transactions are short
(well under a millisecond), so one connection behind a lock is simpler than a pool, and as fast on a small machine.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import OutOfSpace
from azureml_wrapper.local.store.migrations import migrate

Row = sqlite3.Row
Values = Sequence[Any] | dict[str, Any]


class Database:
    """SQL for the stores. Opening a file brings it to today's version first (migrations.py).

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
        with self._lock:
            self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """A transaction; nested calls join the outer one."""
        with self._lock:
            if self._connection.in_transaction:
                yield self
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._run("COMMIT")

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement. Returns the number of changed rows."""
        with self._lock:
            return self._run(sql, values).rowcount

    def execute_many(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row, in one transaction."""
        with self.transaction():
            self._connection.executemany(sql, rows)

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        with self._lock:
            row: Row | None = self._run(sql, values).fetchone()
            return row

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Every row."""
        with self._lock:
            return self._run(sql, values).fetchall()

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
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            if self._connection.in_transaction and sql == "COMMIT":
                self._connection.execute("ROLLBACK")
            raise OutOfSpace(
                "Cannot write to the local service's home folder: no space left on the disk. Nothing was changed."
            ) from error


def dump(value: Any) -> str:
    """Compact JSON for a column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(text: str | None) -> Any:
    """What `dump` wrote; None stays None."""
    return None if text is None else json.loads(text)
