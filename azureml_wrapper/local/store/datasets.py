"""Saved and registered datasets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, Ids, offset_time, stored_time
from azureml_wrapper.local.domain.datasets import (
    DatasetKind,
    DatasetVersion,
    SavedDataset,
    Source,
    check_dataflow,
    check_dataset_name,
    fingerprint,
    folder_definition,
)
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.store.database import Database, Remembered, Row, Values, dump, load
from azureml_wrapper.local.store.workspaces import WorkspaceStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS saved_datasets (
    workspace   TEXT NOT NULL,
    saved_id    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    definition  TEXT NOT NULL,
    properties  TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created     TEXT NOT NULL,
    PRIMARY KEY (workspace, saved_id)
);
CREATE INDEX IF NOT EXISTS saved_datasets_fingerprint ON saved_datasets (workspace, fingerprint);
CREATE TABLE IF NOT EXISTS dataset_versions (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace   TEXT NOT NULL,
    dataset_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    saved_id    TEXT NOT NULL,
    description TEXT,
    tags        TEXT NOT NULL,
    created     TEXT NOT NULL,
    modified    TEXT NOT NULL,
    UNIQUE (workspace, name, version),
    UNIQUE (workspace, saved_id)
);
CREATE INDEX IF NOT EXISTS dataset_versions_id ON dataset_versions (workspace, dataset_id, version);
"""

_SAVED = "SELECT *, created AS saved_created FROM saved_datasets WHERE workspace = ? AND "
_JOINED = """
SELECT v.*, s.kind, s.definition, s.properties, s.created AS saved_created
FROM dataset_versions v JOIN saved_datasets s ON s.workspace = v.workspace AND s.saved_id = v.saved_id
WHERE v.workspace = ?
"""


class DatasetStore:
    """Saved datasets by id or content, registered ones by name and version."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, workspaces: WorkspaceStore) -> None:
        self._database, self._clock, self._ids, self._workspaces = database, clock, ids, workspaces
        # They never change; the steps that read an output ask for it four times each.
        self._known: Remembered[SavedDataset] = Remembered(database)
        database.ensure(SCHEMA)

    def save(
        self,
        workspace: str,
        kind: DatasetKind,
        definition: str,
        properties: dict[str, Any] | None = None,
        *,
        fresh: bool = False,
    ) -> SavedDataset:
        """The saved dataset with this content: an existing one, or a new one. With `fresh`, always a new one."""
        check_dataflow(definition)
        content = fingerprint(kind, definition, properties or {})
        with self._database.transaction():
            found = None if fresh else self._find_saved("fingerprint = ?", workspace, content)
            return found or self._add_saved(workspace, kind, definition, properties or {}, content=content)

    def save_folder(self, workspace: str, datastore: str, path: str) -> SavedDataset:
        """A File dataset of a datastore's folder, as Azure creates one for each output of a step."""
        scope = self._workspaces.by_id(workspace)
        return self.save(workspace, DatasetKind.FILE, folder_definition(scope, datastore, path))

    def saved(self, workspace: str, saved_id: str) -> SavedDataset:
        """The saved dataset with this id; raise `NotFound` if it is missing."""
        found = self._known.get((workspace, saved_id), lambda: self._find_saved("saved_id = ?", workspace, saved_id))
        if found is None:
            raise NotFound(f"Could not find a dataset with id {saved_id}.")
        return found

    def sources(self, saved: SavedDataset) -> list[Source]:
        """The locations of a dataset's data."""
        return saved.sources

    def register(
        self,
        workspace: str,
        name: str,
        saved: SavedDataset,
        *,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        new_version: bool = True,
    ) -> DatasetVersion:
        """Register a saved dataset as the next version of a name.

        Raises:
            Conflict: The name exists and `new_version` is False.
            Invalid: This dataset is registered already. The SDK reads its name and version from the message
                (azureml/data/abstract_dataset.py, _register).
        """
        check_dataset_name(name)
        with self._database.transaction():
            latest = self.find(workspace, name)
            if latest and not new_version:
                raise Conflict(f"There is already a dataset registered under name {name!r}.", code="DatasetExists")
            self._check_not_registered(workspace, saved)
            now = self._clock.now()
            added = DatasetVersion(
                dataset_id=latest.dataset_id if latest else self._ids.guid(),
                name=name,
                version=latest.version + 1 if latest else 1,
                saved=saved,
                description=description,
                tags=tags or {},
                created=now,
                modified=now,
            )
            self._add_version(workspace, added)
        return added

    def find(self, workspace: str, name: str, version: int | None = None) -> DatasetVersion | None:
        """The given version of a name, or the latest; None if not found."""
        return self._version("name", workspace, name, version)

    def by_name(self, workspace: str, name: str, version: int | None = None) -> DatasetVersion:
        """Like `find`, but raise `NotFound` if it is missing."""
        found = self.find(workspace, name, version)
        if found is None:
            which = f"name {name!r}" if version is None else f"name {name!r} and version {version}"
            raise NotFound(f"Could not find a dataset with {which}.")
        return found

    def by_dataset_id(self, workspace: str, dataset_id: str, version: int | None = None) -> DatasetVersion:
        """The given version of a registration, or the latest; raise `NotFound` if it is missing."""
        found = self._version("dataset_id", workspace, dataset_id, version)
        if found is None:
            raise NotFound(f"Could not find a registered dataset with id {dataset_id}.")
        return found

    def by_saved_id(self, workspace: str, saved_id: str) -> DatasetVersion | None:
        """The name and version of a saved dataset; None if it is not registered."""
        return self._one(" AND v.saved_id = ?", workspace, saved_id)

    def latest(self, workspace: str) -> list[DatasetVersion]:
        """The latest version of every name, in the order of their registration."""
        condition = (
            " AND v.version = (SELECT MAX(o.version) FROM dataset_versions o"
            " WHERE o.workspace = v.workspace AND o.name = v.name) ORDER BY v.sequence"
        )
        return self._all(condition, workspace)

    def versions(self, workspace: str, dataset_id: str) -> list[DatasetVersion]:
        """Every version of a registration, oldest first."""
        return self._all(" AND v.dataset_id = ? ORDER BY v.version", workspace, dataset_id)

    def describe(self, workspace: str, version: DatasetVersion) -> DatasetVersion:
        """Store the description and tags of a version."""
        changed = replace(version, modified=self._clock.now())
        self._database.execute(
            "UPDATE dataset_versions SET description = ?, tags = ?, modified = ?"
            " WHERE workspace = ? AND name = ? AND version = ?",
            (
                changed.description,
                dump(changed.tags),
                offset_time(changed.modified),
                workspace,
                changed.name,
                changed.version,
            ),
        )
        return changed

    def unregister(self, workspace: str, name: str) -> None:
        """Unregister every version of a name. The saved datasets stay, because runs may refer to them."""
        changed = self._database.execute(
            "DELETE FROM dataset_versions WHERE workspace = ? AND name = ?", (workspace, name)
        )
        if not changed:
            raise NotFound(f"Could not find a dataset with name {name!r}.")

    def _check_not_registered(self, workspace: str, saved: SavedDataset) -> None:
        found = self.by_saved_id(workspace, saved.saved_id)
        if found:
            raise Invalid(
                f"DatasetVersionExists: Version {found.version} has been registered as"
                f" {found.name}:{found.version} (name:version).",
                code="DatasetVersionExists",
            )

    def _add_saved(
        self, workspace: str, kind: DatasetKind, definition: str, properties: dict[str, Any], *, content: str
    ) -> SavedDataset:
        saved = SavedDataset(
            saved_id=self._ids.guid(),
            kind=kind,
            definition=definition,
            properties=properties,
            created=self._clock.now(),
        )
        self._database.execute(
            "INSERT INTO saved_datasets (workspace, saved_id, kind, definition, properties, fingerprint, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                workspace,
                saved.saved_id,
                kind.value,
                definition,
                dump(properties),
                content,
                offset_time(saved.created),
            ),
        )
        return saved

    def _add_version(self, workspace: str, version: DatasetVersion) -> None:
        self._database.execute(
            "INSERT INTO dataset_versions (workspace, dataset_id, name, version, saved_id, description, tags,"
            " created, modified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                workspace,
                version.dataset_id,
                version.name,
                version.version,
                version.saved.saved_id,
                version.description,
                dump(version.tags),
                offset_time(version.created),
                offset_time(version.modified),
            ),
        )

    def _find_saved(self, condition: str, workspace: str, value: str) -> SavedDataset | None:
        row = self._database.one(_SAVED + condition + " ORDER BY rowid LIMIT 1", (workspace, value))
        return _saved(row) if row else None

    def _version(self, column: str, workspace: str, value: str, version: int | None) -> DatasetVersion | None:
        """The given version or the latest, of a name or an id. The column comes from code."""
        if version is None:
            return self._one(f" AND v.{column} = ? ORDER BY v.version DESC LIMIT 1", workspace, value)
        return self._one(f" AND v.{column} = ? AND v.version = ?", workspace, value, version)

    def _one(self, condition: str, *values: Any) -> DatasetVersion | None:
        row = self._database.one(_JOINED + condition, values)
        return _version(row) if row else None

    def _all(self, condition: str, *values: Any) -> list[DatasetVersion]:
        found: Values = values
        return [_version(row) for row in self._database.all(_JOINED + condition, found)]


def _saved(row: Row) -> SavedDataset:
    return SavedDataset(
        saved_id=row["saved_id"],
        kind=DatasetKind(row["kind"]),
        definition=row["definition"],
        properties=load(row["properties"]),
        created=stored_time(row["saved_created"]),
    )


def _version(row: Row) -> DatasetVersion:
    return DatasetVersion(
        dataset_id=row["dataset_id"],
        name=row["name"],
        version=row["version"],
        saved=_saved(row),
        description=row["description"],
        tags=load(row["tags"]),
        created=stored_time(row["created"]),
        modified=stored_time(row["modified"]),
    )
