"""Registered environments."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, azure_time, offset_time
from azureml_wrapper.local.domain.environments import (
    CURATED_PREFIX,
    Definition,
    EnvironmentVersion,
    check_environment_name,
    in_registry,
)
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.shapes import check_shape
from azureml_wrapper.local.store.database import Database, Remembered, Row, dump, load

SCHEMA = """
CREATE TABLE IF NOT EXISTS environments (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    definition TEXT NOT NULL,
    labels     TEXT NOT NULL,
    created    TEXT NOT NULL,
    UNIQUE (workspace, name, version)
);
CREATE INDEX IF NOT EXISTS environments_registered
    ON environments (workspace, name, sequence) WHERE version NOT GLOB 'Autosave_*';
CREATE INDEX IF NOT EXISTS environments_numbered
    ON environments (workspace, name, LENGTH(LTRIM(version, '0')), LTRIM(version, '0'))
    WHERE version NOT GLOB '*[^0-9]*';
CREATE INDEX IF NOT EXISTS environments_labeled ON environments (workspace, name, sequence) WHERE labels <> '[]';
"""
LATEST = "latest"
# Versions that a run gives to an environment that is not registered. They are found by name and version only.
_AUTOSAVE = "Autosave_"


class EnvironmentStore:
    """Environments by name and version (a string). Curated ones always exist.

    `normalise` turns a definition as it was sent into the form that is stored.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        curated: Iterable[EnvironmentVersion],
        normalise: Callable[[object], Definition],
    ) -> None:
        self._database, self._clock, self._normalise = database, clock, normalise
        self._curated = {environment.name: environment for environment in curated}
        self._of_any_case = {name.lower(): name for name in self._curated}
        # All steps of a pipeline have the same few environments.
        self._used: Remembered[str] = Remembered(database)
        database.ensure(SCHEMA)

    def register(
        self, workspace: str, name: str, sent: Definition, *, version: str | None = None
    ) -> EnvironmentVersion:
        """Register a definition as the next version, or as the given one.

        If it equals the latest version (or the given one), that version is returned. Raise `Conflict` if the given
        version exists with another definition.
        """
        check_environment_name(name)
        definition = self._normalise(sent)
        with self._database.transaction():
            found = self.find(workspace, name, version)
            if found and found.definition == definition:
                return found
            if found and version is not None:
                raise Conflict(
                    f"Environment {name} version {version} is already registered with a different definition."
                )
            added = EnvironmentVersion(
                name=name, version=version or self._next_version(workspace, name), definition=definition
            )
            self._insert(workspace, added)
        return added

    def find(self, workspace: str, name: str, version: str | None = None) -> EnvironmentVersion | None:
        """The given version, or the one registered last; None if not found.

        A curated environment may be named in any case, and by its address in Microsoft's registry.
        """
        name, version = in_registry(name) or (name, version)
        if name not in self._curated and self._is_unknown(workspace, name):
            name = self._of_any_case.get(name.lower(), name)
        if name in self._curated and not (version or "").startswith(_AUTOSAVE):
            environment = self._curated[name]
            # Azure has dozens of versions of these, which examples name; here all are the same one.
            known = version is None or version.isdecimal()
            return replace(environment, version=version or environment.version) if known else None
        if version is not None:
            sql = "SELECT * FROM environments WHERE workspace = ? AND name = ? AND version = ?"
            row = self._database.one(sql, (workspace, name, version))
        else:
            row = self._database.one(
                "SELECT * FROM environments WHERE workspace = ? AND name = ? AND version NOT GLOB 'Autosave_*'"
                " ORDER BY sequence DESC LIMIT 1",
                (workspace, name),
            )
        return _environment(row) if row else None

    def used(self, workspace: str, sent: Mapping[str, Any]) -> str:
        """The version under which a run's environment can be found again.

        An environment that is not registered is kept under its own version, or under one in Azure's style
        (`Autosave_2023-01-10T15:29:14Z_` and 8 hexadecimal digits), which no list of environments shows.
        """
        check_shape(sent, {"name": str, "version": str}, "environment")
        if not sent.get("name"):
            return self._use(workspace, sent)
        return self._used.get((workspace, dump(dict(sent))), lambda: self._use(workspace, sent)) or ""

    def _use(self, workspace: str, sent: Mapping[str, Any]) -> str:
        name, version = sent.get("name"), sent.get("version")
        definition = self._normalise(dict(sent))
        with self._database.transaction():
            found = self.find(workspace, name, version) if name else None
            if found and (version or found.definition == definition):
                return found.version
            saved = self._saved(workspace, name, definition) if name and not version else None
            added = version or saved or self._autosave(definition)
            if name and not saved:
                self._insert(workspace, EnvironmentVersion(name=name, version=added, definition=definition))
        return added

    def get(self, workspace: str, name: str, version: str | None = None) -> EnvironmentVersion:
        """Like `find`, but raise `NotFound`, in Azure's words, if it is missing."""
        found = self.find(workspace, name, version)
        if found is None:
            which = f"{name} version {version}" if version else name
            raise NotFound(f"No definition exists for environment {which}{self._near(workspace, name)}")
        return found

    def by_label(self, workspace: str, name: str, label: str) -> EnvironmentVersion:
        """The version with a label. Unless a user moved it, `latest` is the version registered last."""
        name, _ = in_registry(name) or (name, None)
        for environment in reversed(self._labeled(workspace, name)):
            if label in environment.labels:
                return environment
        if label != LATEST:
            raise NotFound(f"No environment exists for name: {name}, version: , label: {label}")
        return self.get(workspace, name)

    def label(self, workspace: str, name: str, version: str, labels: list[str]) -> EnvironmentVersion:
        """Set the labels of a version. A label of another version moves here."""
        with self._database.transaction():
            target = self.get(workspace, name, version)
            for environment in self._labeled(workspace, name):
                if environment.version != version and set(labels) & set(environment.labels):
                    kept = [label for label in environment.labels if label not in labels]
                    self._set_labels(workspace, environment, kept)
            self._set_labels(workspace, target, labels)
        return replace(target, labels=tuple(labels))

    def versions(self, workspace: str, name: str) -> list[EnvironmentVersion]:
        """Every version, in the order of their registration."""
        if name in self._curated:
            return [self._curated[name]]
        rows = self._database.all(
            "SELECT * FROM environments WHERE workspace = ? AND name = ? AND version NOT GLOB 'Autosave_*'"
            " ORDER BY sequence",
            (workspace, name),
        )
        return [_environment(row) for row in rows]

    def _labeled(self, workspace: str, name: str) -> list[EnvironmentVersion]:
        """The versions with labels, which are few, in the order of their registration."""
        if name in self._curated:
            return [self._curated[name]]
        rows = self._database.all(
            "SELECT * FROM environments WHERE workspace = ? AND name = ? AND labels <> '[]'"
            " AND version NOT GLOB 'Autosave_*' ORDER BY sequence",
            (workspace, name),
        )
        return [_environment(row) for row in rows]

    def latest(self, workspace: str) -> list[EnvironmentVersion]:
        """The version registered last of every name; those of users first."""
        rows = self._database.all(
            "SELECT *, MAX(sequence) FROM environments WHERE workspace = ? AND version NOT GLOB 'Autosave_*'"
            " GROUP BY name ORDER BY sequence",
            (workspace,),
        )
        return [*map(_environment, rows), *self._curated.values()]

    def _is_unknown(self, workspace: str, name: str) -> bool:
        statement = "SELECT 1 FROM environments WHERE workspace = ? AND name = ?"
        return self._database.one(statement, (workspace, name)) is None

    def _near(self, workspace: str, name: str) -> str:
        """A suggestion for a name that does not exist."""
        asked, _ = in_registry(name) or (name, None)
        known = {environment.name.lower(): environment.name for environment in self.latest(workspace)}
        if asked in known.values():
            return ""
        words = (asked.lower(), f"{CURATED_PREFIX}{asked}".lower())
        near = dict.fromkeys(word for asked in words for word in difflib.get_close_matches(asked, known, 3, 0.75))
        return f". Did you mean {' or '.join(repr(known[word]) for word in near)}?" if near else ""

    def _saved(self, workspace: str, name: str, definition: Definition) -> str | None:
        row = self._database.one(
            "SELECT version FROM environments WHERE workspace = ? AND name = ? AND version GLOB 'Autosave_*'"
            " AND definition = ?",
            (workspace, name, dump(definition)),
        )
        return row["version"] if row else None

    def _autosave(self, definition: Definition) -> str:
        moment = (azure_time(self._clock.now()) or "").split(".")[0].rstrip("Z")
        digest = hashlib.md5(dump(definition).encode(), usedforsecurity=False).hexdigest()
        return f"{_AUTOSAVE}{moment}Z_{digest[:8]}"

    def _next_version(self, workspace: str, name: str) -> str:
        # The longest of the numbers that the database can hold (`is_number`), and of those the last.
        row = self._database.one(
            "SELECT version FROM environments WHERE workspace = ? AND name = ? AND version NOT GLOB '*[^0-9]*'"
            " AND LENGTH(LTRIM(version, '0')) <= 18"
            " ORDER BY LENGTH(LTRIM(version, '0')) DESC, LTRIM(version, '0') DESC LIMIT 1",
            (workspace, name),
        )
        return str(int(row["version"] or 0) + 1) if row else "1"

    def _insert(self, workspace: str, environment: EnvironmentVersion) -> None:
        self._database.execute(
            "INSERT INTO environments (workspace, name, version, definition, labels, created)"
            " VALUES (?, ?, ?, ?, '[]', ?)",
            (
                workspace,
                environment.name,
                environment.version,
                dump(environment.definition),
                offset_time(self._clock.now()),
            ),
        )
        self._used.forget()

    def _set_labels(self, workspace: str, environment: EnvironmentVersion, labels: list[str]) -> None:
        self._database.execute(
            "UPDATE environments SET labels = ? WHERE workspace = ? AND name = ? AND version = ?",
            (dump(labels), workspace, environment.name, environment.version),
        )


def _environment(row: Row) -> EnvironmentVersion:
    return EnvironmentVersion(
        name=row["name"],
        version=row["version"],
        definition=load(row["definition"]),
        labels=tuple(load(row["labels"])),
    )
