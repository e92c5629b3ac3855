"""The database: one SQLite file, one connection, one lock.

SQLite in WAL mode keeps every acknowledged transaction through a kill -9 of the process. Transactions are short
(well under a millisecond), so one connection behind a lock is simpler than a pool, and as fast on a small machine.

Opening a file checks it, and brings it to today's version (migrations.py). Reading is tolerant: fields and columns
that this version does not know are ignored (`known`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from azureml_wrapper.local.domain.errors import Damaged, Locked, OutOfSpace, ReadOnly, ServiceFault, Temporary
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.migrations import copies, migrate

Row = sqlite3.Row
Values = Sequence[Any] | dict[str, Any]
Made = TypeVar("Made")

MEMORY = ":memory:"
# A database up to this size is checked whenever it is opened, in about 30 ms; a larger one only after a kill.
CHECKED_BYTES = 16 * 1024 * 1024
# The write-ahead log is copied into the database when it is larger than this: 1,000 pages, SQLite's own default.
CHECKPOINT_BYTES = 1000 * 4096
# Free pages that are given back at once: a few milliseconds, in which others wait.
VACUUMED_PAGES = 1000
# What a large transaction may leave of the write-ahead log.
LOG_BYTES = 16 * 1024 * 1024
# Rows of one kind that are kept in memory (`Remembered`).
REMEMBERED = 256
WHERE = "state.sqlite in its home folder"


class Database:
    """SQL for the stores. Opening a file checks it and brings it to today's version first.

    `path` may be ":memory:" in unit tests.

    Raises:
        NewerDatabase: A later version wrote the file.
        Damaged: The file is not a whole database.
        Locked, OutOfSpace: It cannot be opened now.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._lock = threading.RLock()
        self._changes = 0
        self._changed: Callable[[], object] = _nothing
        self._remembered: list[Remembered[Any]] = []
        is_checked = self._path != MEMORY and _needs_check(Path(path))
        with faults(self._path):
            self._connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            # The first one counts for a new file only; it gives back what is deleted to `compact`.
            settings = (
                "auto_vacuum=INCREMENTAL",
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "temp_store=MEMORY",
            )
            for pragma in (*settings, f"journal_size_limit={LOG_BYTES}"):
                self._connection.execute(f"PRAGMA {pragma}")
            if is_checked:
                _check(self._connection, self._path)
            migrate(self._connection, self._path)

    def ensure(self, schema: str) -> None:
        """Create a store's missing tables. Each store calls this in its constructor.

        Raises:
            Damaged: A table lacks a column.
        """
        with self._lock, faults(self._path):
            if self._path != MEMORY:
                self._check_columns(schema)
            self._connection.executescript(schema)

    def _check_columns(self, schema: str) -> None:
        with closing(sqlite3.connect(MEMORY)) as expected:
            expected.executescript(schema)
            wanted, found = columns(expected), columns(self._connection)
        for table, names in wanted.items():
            missing = names - found.get(table, names)
            if missing:
                raise Damaged(damage(self._path, f"the table {table} has no column {sorted(missing)[0]}"))

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
            fault_point("database.commit")
            self._run("COMMIT")
            fault_point("database.committed")

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
            for remembered in self._remembered:
                remembered.forget()

    def compact(self) -> None:
        """Give back the space of what was deleted, in portions, and empty the write-ahead log.

        A file of an earlier version keeps its size; its free pages are used again.
        """
        free = 0
        while (left := self._free_pages()) and left != free:
            free = left
            self.all(f"PRAGMA incremental_vacuum({VACUUMED_PAGES:d})")
        self.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def _free_pages(self) -> int:
        row = self.one("PRAGMA freelist_count")
        return int(row[0]) if row else 0

    def checkpoint_by(self, changed: Callable[[], object]) -> None:
        """Leave the flushing of the write-ahead log to `flush_log`; `changed` is called after each change."""
        with self._lock, faults(self._path):
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._changed = changed

    def flush_log(self) -> None:
        """Write everything that was committed to the disk."""
        log = Path(f"{self._path}-wal")
        # Not under the lock: SQLite keeps no locks in this file, which it only appends to.
        with suppress(FileNotFoundError):
            descriptor = os.open(log, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if log.stat().st_size > CHECKPOINT_BYTES:
                self.all("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the database; the last connection to it empties the write-ahead log."""
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        with faults():
            try:
                cursor = self._connection.execute(sql, values)
                if self._connection.total_changes != self._changes and not self._connection.in_transaction:
                    self._changes = self._connection.total_changes
                    self._changed()
                return cursor
            except sqlite3.Error:
                if self._connection.in_transaction and sql == "COMMIT":
                    self._connection.execute("ROLLBACK")
                raise


class Remembered(Generic[Made]):
    """Values of rows that are read for every job, and hardly ever change. Who changes them calls `forget`."""

    def __init__(self, database: Database, most: int = REMEMBERED) -> None:
        self._database, self._most = database, most
        self._known: dict[Hashable, Made] = {}
        database._remembered.append(self)

    def get(self, key: Hashable, read: Callable[[], Made | None]) -> Made | None:
        """The value of a key, which `read` reads if it is not known."""
        if (known_one := self._known.get(key)) is not None:
            return known_one
        # Under the lock: no other thread changes the row, and forgets, between the two.
        with self._database._lock:
            found = read()
            # What a transaction has changed may be taken back.
            if found is not None and not self._database._connection.in_transaction:
                if len(self._known) >= self._most:
                    self._known.clear()
                self._known[key] = found
        return found

    def forget(self) -> None:
        """Forget everything, because something changes."""
        with self._database._lock:
            self._known.clear()


def _nothing() -> None:
    """No listener for changes."""


@contextmanager
def faults(path: str = WHERE) -> Iterator[None]:
    """Turn SQLite's errors into faults of the service. `path` is what they call the database."""
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
                f"Another program has locked the database of the local service ({path}). "
                "Nothing was changed. End that program, or try again later."
            ) from error
        if "readonly" in text:
            raise ReadOnly(
                f"Cannot write to the database of the local service ({path}): it is read-only. Nothing was changed. "
                "Make the home folder writable again; the service does not have to be restarted."
            ) from error
        if "unable to open" in text or "disk I/O error" in text:
            # No descriptor is left, or the disk does not answer.
            raise Temporary(
                f"The database of the local service ({path}) cannot be read or written: {text}. Nothing was changed. "
                "Try again later."
            ) from error
        if "malformed" in text or "not a database" in text:
            raise Damaged(damage(path, text)) from error
        raise ServiceFault(f"The database of the local service reports: {text}. Nothing was changed.") from error


def damage(path: str, what: str) -> str:
    """What to do about a damaged database."""
    found = copies(Path(path))
    copy = f" (such as {found[-1]}, from before the last migration)" if found else ""
    return (
        f"Damaged: {path} ({what}). Stop the service with `aml local down` and restore a copy of the file{copy}, or "
        "delete everything that the service keeps with `aml local reset`."
    )


def columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """The names of the columns of each table."""
    sql = (
        "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    )
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(sql):
        found.setdefault(table, set()).add(column)
    return found


def _needs_check(path: Path) -> bool:
    """Whether to look at every page: the database is small, or its last service was killed."""
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        return True
    if not path.exists():
        return False
    _check_size(path)
    return path.stat().st_size <= CHECKED_BYTES


def _check_size(path: Path) -> None:
    """Compare a file's size with that in its header (https://sqlite.org/fileformat.html); its log is empty."""
    with path.open("rb") as file:
        header = file.read(100)
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    expected, size = pages * (65536 if page == 1 else page), path.stat().st_size
    if header[:15] == b"SQLite format 3" and size < expected:
        raise Damaged(damage(str(path), f"it has {size} of its {expected} bytes"))


def _check(connection: sqlite3.Connection, path: str) -> None:
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise Damaged(damage(path, str(result).splitlines()[-1]))


def known(kind: type[Made], values: Mapping[str, Any]) -> Made:
    """An object of a dataclass from what is stored of it, without the fields of later versions.

    Raises:
        Damaged: A field is missing that has no default.
    """
    names, required = _fields(kind)  # type: ignore[arg-type] # mypy: a type is not hashable
    missing = required - values.keys()
    if missing:
        raise Damaged(damage(WHERE, f"a stored {kind.__name__} has no {min(missing)}"))
    return kind(**{name: value for name, value in values.items() if name in names})


@cache
def _fields(kind: type[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of a dataclass's fields, and of those without a default."""
    found = fields(kind)
    required = (item.name for item in found if item.default is MISSING and item.default_factory is MISSING)
    return frozenset(item.name for item in found), frozenset(required)


def dump(value: Any) -> str:
    """Compact JSON for a column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(text: str | None) -> Any:
    """What `dump` wrote; None stays None.

    Raises:
        Damaged: It is not JSON.
    """
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise Damaged(damage(WHERE, f"invalid JSON: {error}")) from error
