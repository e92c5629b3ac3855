"""Records with a name, a body and little else: computes, modules, published pipelines …

A document is identified by kind, key and version. `alias` is an optional second key (a module's hash).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.computes import Compute, Priority, check_compute
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.store.database import Database, Remembered, Row, dump, known, load

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    alias      TEXT,
    created    TEXT NOT NULL,
    modified   TEXT NOT NULL,
    body       TEXT NOT NULL,
    UNIQUE (workspace, kind, key, version)
);
CREATE INDEX IF NOT EXISTS documents_alias ON documents (workspace, kind, alias) WHERE alias IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_newest ON documents (workspace, kind, sequence);
CREATE INDEX IF NOT EXISTS documents_endpoint_name
    ON documents (workspace, json_extract(body, '$.name'), sequence) WHERE kind = 'pipeline endpoint';
"""
PORTION = 100


@dataclass(frozen=True, kw_only=True)
class Document:
    """One stored record; `created` and `modified` are ISO times in UTC."""

    key: str
    version: int
    body: dict[str, Any]
    created: str
    modified: str
    alias: str | None = None


class Documents:
    """All documents of one kind, e.g. `Documents(database, clock, "environment")`."""

    def __init__(self, database: Database, clock: Clock, kind: str) -> None:
        self._database, self._clock, self._kind = database, clock, kind
        database.ensure(SCHEMA)

    def add(
        self,
        workspace: str,
        key: str,
        body: dict[str, Any],
        *,
        version: int = 1,
        alias: str | None = None,
    ) -> Document:
        """Store a new document; raise `Conflict` if key and version exist."""
        now = offset_time(self._clock.now()) or ""
        with self._database.transaction() as database:
            if self.find(workspace, key, version=version):
                raise Conflict(f"The {self._kind} {key!r}, version {version}, already exists.")
            database.execute(
                "INSERT INTO documents (workspace, kind, key, version, alias, created, modified, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (workspace, self._kind, key, version, alias, now, now, dump(body)),
            )
        return Document(key=key, version=version, body=body, created=now, modified=now, alias=alias)

    def add_version(self, workspace: str, key: str, body: dict[str, Any]) -> Document:
        """Store the next version of a key, starting with 1."""
        with self._database.transaction():
            latest = self.find(workspace, key)
            return self.add(workspace, key, body, version=latest.version + 1 if latest else 1)

    def put(self, workspace: str, key: str, body: dict[str, Any], *, version: int = 1) -> Document:
        """Store a document, replacing an earlier one."""
        with self._database.transaction() as database:
            found = self.find(workspace, key, version=version)
            if found is None:
                return self.add(workspace, key, body, version=version)
            now = offset_time(self._clock.now()) or ""
            database.execute(
                "UPDATE documents SET body = ?, modified = ?"
                " WHERE workspace = ? AND kind = ? AND key = ? AND version = ?",
                (dump(body), now, workspace, self._kind, key, version),
            )
        return Document(key=key, version=version, body=body, created=found.created, modified=now, alias=found.alias)

    def find(self, workspace: str, key: str, *, version: int | None = None) -> Document | None:
        """The given version, or the latest; None if not found."""
        row = self._database.one(
            "SELECT * FROM documents WHERE workspace = ? AND kind = ? AND key = ?"
            " AND (? IS NULL OR version = ?) ORDER BY version DESC LIMIT 1",
            (workspace, self._kind, key, version, version),
        )
        return _document(row) if row else None

    def get(self, workspace: str, key: str, *, version: int | None = None) -> Document:
        """Like `find`, but raise `NotFound` if it is missing."""
        found = self.find(workspace, key, version=version)
        if found is None:
            raise NotFound(f"Could not find {self._kind} with name or id {key!r}.")
        return found

    def find_alias(self, workspace: str, alias: str) -> Document | None:
        """The newest document with this alias."""
        row = self._database.one(
            "SELECT * FROM documents WHERE workspace = ? AND kind = ? AND alias = ? ORDER BY sequence DESC LIMIT 1",
            (workspace, self._kind, alias),
        )
        return _document(row) if row else None

    def keys_of(self, workspace: str, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> key of the newest document with it, for those that have one."""
        rows = self._database.all(
            "SELECT alias, key FROM documents WHERE workspace = ? AND kind = ?"
            " AND alias IN (SELECT value FROM json_each(?)) ORDER BY sequence",
            (workspace, self._kind, dump(list(aliases))),
        )
        return {row["alias"]: row["key"] for row in rows}

    def newest(self, workspace: str) -> Iterator[Document]:
        """Every document, newest first. They are read in portions, when they are asked for."""
        before = sys.maxsize
        while True:
            rows = self._database.all(
                "SELECT * FROM documents WHERE workspace = ? AND kind = ? AND sequence < ?"
                " ORDER BY sequence DESC LIMIT ?",
                (workspace, self._kind, before, PORTION),
            )
            yield from map(_document, rows)
            if len(rows) < PORTION:
                return
            before = rows[-1]["sequence"]

    def latest(self, workspace: str) -> list[Document]:
        """The latest version of every key, oldest key first."""
        rows = self._database.all(
            "SELECT *, MAX(version) FROM documents WHERE workspace = ? AND kind = ? GROUP BY key ORDER BY sequence",
            (workspace, self._kind),
        )
        return [_document(row) for row in rows]

    def versions(self, workspace: str, key: str) -> list[Document]:
        """Every version of a key, oldest first."""
        rows = self._database.all(
            "SELECT * FROM documents WHERE workspace = ? AND kind = ? AND key = ? ORDER BY version",
            (workspace, self._kind, key),
        )
        return [_document(row) for row in rows]

    def delete(self, workspace: str, key: str) -> bool:
        """Delete every version of a key. Returns whether there was one."""
        changed = self._database.execute(
            "DELETE FROM documents WHERE workspace = ? AND kind = ? AND key = ?", (workspace, self._kind, key)
        )
        return changed > 0


def _document(row: Row) -> Document:
    return Document(
        key=row["key"],
        version=row["version"],
        body=load(row["body"]),
        created=row["created"],
        modified=row["modified"],
        alias=row["alias"],
    )


class ComputeStore:
    """Computes by name, ignoring case."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._documents = Documents(database, clock, "compute")
        self._clock = clock
        self._known: Remembered[Compute] = Remembered(database)

    def find(self, workspace: str, name: str) -> Compute | None:
        def read() -> Compute | None:
            document = self._documents.find(workspace, name.lower())
            return _compute(document) if document else None

        return self._known.get((workspace, name.lower()), read)

    def get(self, workspace: str, name: str) -> Compute:
        """Like `find`, but raise `NotFound`, in the words of Azure's execution service, if it is missing."""
        found = self.find(workspace, name)
        if found is None:
            raise NotFound(f"Unknown compute target '{name}'.")
        return found

    def all(self, workspace: str) -> list[Compute]:
        """Every compute, oldest first."""
        return [_compute(document) for document in self._documents.latest(workspace)]

    def put(self, workspace: str, compute: Compute) -> bool:
        """Create or change a compute. Returns whether it is new; raise `Invalid` for what Azure refuses."""
        check_compute(compute)
        before = self.find(workspace, compute.name)
        if before:
            _check_change(before, compute)
            compute = replace(compute, created=before.created, modified=self._clock.now())
        self._documents.put(workspace, compute.name.lower(), _body(compute))
        self._known.forget()
        return before is None

    def delete(self, workspace: str, name: str) -> None:
        self.get(workspace, name)
        self._documents.delete(workspace, name.lower())
        self._known.forget()


def _check_change(before: Compute, after: Compute) -> None:
    for name in ("vm_size", "priority", "subnet"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            raise Invalid(
                f"Compute {before.name} exists with {name} {old!s}, which cannot be changed to {new!s}. "
                "Only scale settings, tags and identity can be changed. Delete it first, or use another name."
            )


def _body(compute: Compute) -> dict[str, Any]:
    times = {"created": offset_time(compute.created), "modified": offset_time(compute.modified)}
    return {**asdict(compute), **times, "priority": compute.priority.value}


def _compute(document: Document) -> Compute:
    body = document.body
    times = {name: stored_time(body[name]) for name in ("created", "modified")}
    return known(Compute, {**body, **times, "priority": Priority(body["priority"])})
