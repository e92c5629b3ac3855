"""The workspaces of the local service, their resource groups and their secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.workspaces import (
    ResourceGroup,
    Secret,
    Workspace,
    check_group_name,
    check_secret,
    check_workspace_name,
)
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.database import Database, Remembered, Row, dump, known, load
from azureml_wrapper.local.store.sealing import Seal

SCHEMA = """
CREATE TABLE IF NOT EXISTS workspaces (
    workspace_id   TEXT PRIMARY KEY,
    subscription   TEXT NOT NULL COLLATE NOCASE,
    resource_group TEXT NOT NULL COLLATE NOCASE,
    name           TEXT NOT NULL COLLATE NOCASE,
    location       TEXT NOT NULL,
    created        TEXT NOT NULL,
    tags           TEXT NOT NULL,
    friendly_name  TEXT NOT NULL,
    description    TEXT NOT NULL,
    UNIQUE (subscription, resource_group, name)
);
CREATE TABLE IF NOT EXISTS resource_groups (
    subscription   TEXT NOT NULL COLLATE NOCASE,
    name           TEXT NOT NULL COLLATE NOCASE,
    location       TEXT NOT NULL,
    tags           TEXT NOT NULL,
    PRIMARY KEY (subscription, name)
);
"""

Listener = Callable[[Workspace], None]


class ResourceGroupStore:
    """Resource groups by subscription and name, ignoring case."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def put(self, group: ResourceGroup) -> bool:
        """Create a group, or replace its tags. Returns whether it is new; raise `Invalid` for an invalid name."""
        check_group_name(group.subscription, group.name)
        with self._database.transaction() as database:
            is_new = self.find(group.subscription, group.name) is None
            database.execute(
                "INSERT INTO resource_groups (subscription, name, location, tags)"
                " VALUES (:subscription, :name, :location, :tags)"
                " ON CONFLICT DO UPDATE SET tags = :tags",
                {**asdict(group), "tags": dump(group.tags)},
            )
        return is_new

    def find(self, subscription: str, name: str) -> ResourceGroup | None:
        row = self._database.one(
            "SELECT * FROM resource_groups WHERE subscription = ? AND name = ?", (subscription, name)
        )
        return _group(row) if row else None

    def get(self, subscription: str, name: str) -> ResourceGroup:
        found = self.find(subscription, name)
        if found is None:
            raise NotFound(f"Resource group '{name}' could not be found.", code="ResourceGroupNotFound")
        return found

    def within(self, subscription: str) -> list[ResourceGroup]:
        sql = "SELECT * FROM resource_groups WHERE subscription = ? ORDER BY name"
        rows = self._database.all(sql, (subscription,))
        return [_group(row) for row in rows]


class WorkspaceStore:
    """Workspaces by subscription, resource group and name, ignoring case, as ARM does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Listener] = []
        # By id. Every step of a pipeline asks a dozen times.
        self._known: Remembered[Workspace] = Remembered(database)
        database.ensure(SCHEMA)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each workspace before it is deleted, to delete what is not in the database.

        A listener that raises a fault prevents the deletion; register those that may do so first.
        """
        self._listeners.append(listener)

    def add(self, workspace: Workspace) -> None:
        """Store a new workspace, and its resource group if missing.

        Raises:
            Conflict: The name is taken.
            Invalid: Azure would refuse the name.
        """
        check_workspace_name(workspace.name)
        check_group_name(workspace.subscription, workspace.resource_group)
        with self._database.transaction() as database:
            if self.find(workspace.subscription, workspace.resource_group, workspace.name):
                raise Conflict(f"The workspace {workspace.name!r} already exists in {workspace.resource_group!r}.")
            database.execute(
                "INSERT INTO workspaces (workspace_id, subscription, resource_group, name, location, created, tags,"
                " friendly_name, description) VALUES (:workspace_id, :subscription, :resource_group, :name,"
                " :location, :created, :tags, :friendly_name, :description)",
                _values(workspace),
            )
            database.execute(
                "INSERT OR IGNORE INTO resource_groups (subscription, name, location, tags) VALUES (?, ?, ?, '{}')",
                (workspace.subscription, workspace.resource_group, workspace.location),
            )

    def put(self, workspace: Workspace) -> None:
        """Replace a workspace's tags, friendly name and description."""
        self._database.execute(
            "UPDATE workspaces SET tags = :tags, friendly_name = :friendly_name, description = :description"
            " WHERE workspace_id = :workspace_id",
            _values(workspace),
        )
        self._known.forget()

    def find(self, subscription: str, resource_group: str, name: str) -> Workspace | None:
        row = self._database.one(
            "SELECT * FROM workspaces WHERE subscription = ? AND resource_group = ? AND name = ?",
            (subscription, resource_group, name),
        )
        return _workspace(row) if row else None

    def get(self, subscription: str, resource_group: str, name: str) -> Workspace:
        found = self.find(subscription, resource_group, name)
        if found is None:
            raise NotFound(
                f"The Resource 'Microsoft.MachineLearningServices/workspaces/{name}' under resource group "
                f"'{resource_group}' was not found.",
                code="ResourceNotFound",
            )
        return found

    def by_id(self, workspace_id: str) -> Workspace:
        """The workspace with this GUID; raise `NotFound` if it is missing."""
        found = self._known.get(workspace_id, lambda: self._read(workspace_id))
        if found is None:
            raise NotFound(f"Could not find a workspace with id {workspace_id}.")
        return found

    def _read(self, workspace_id: str) -> Workspace | None:
        row = self._database.one("SELECT * FROM workspaces WHERE workspace_id = ?", (workspace_id,))
        return _workspace(row) if row else None

    def within(self, subscription: str, resource_group: str | None = None) -> list[Workspace]:
        rows = self._database.all(
            "SELECT * FROM workspaces WHERE subscription = ? AND (? IS NULL OR resource_group = ?) ORDER BY created",
            (subscription, resource_group, resource_group),
        )
        return [_workspace(row) for row in rows]

    def all(self) -> list[Workspace]:
        return [_workspace(row) for row in self._database.all("SELECT * FROM workspaces ORDER BY created")]

    def subscriptions(self) -> list[str]:
        rows = self._database.all("SELECT DISTINCT subscription FROM workspaces ORDER BY subscription")
        return [row["subscription"] for row in rows]

    def delete(self, workspace: Workspace) -> None:
        """Delete a workspace with everything that belongs to it."""
        for listener in self._listeners:
            listener(workspace)
        fault_point("workspaces.emptied")
        with self._database.transaction() as database:
            database.forget(workspace.workspace_id)
            database.execute("DELETE FROM workspaces WHERE workspace_id = ?", (workspace.workspace_id,))
            self._known.forget()


def _values(workspace: Workspace) -> dict[str, str]:
    return {
        **asdict(workspace),
        "created": offset_time(workspace.created) or "",
        "tags": dump(workspace.tags),
    }


def _workspace(row: Row) -> Workspace:
    return known(Workspace, {**dict(row), "created": stored_time(row["created"]), "tags": load(row["tags"])})


def _group(row: Row) -> ResourceGroup:
    return known(ResourceGroup, {**dict(row), "tags": load(row["tags"])})


SECRETS_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    workspace    TEXT NOT NULL,
    name         TEXT NOT NULL COLLATE NOCASE,
    content_type TEXT,
    created      TEXT NOT NULL,
    modified     TEXT NOT NULL,
    value        BLOB NOT NULL,
    PRIMARY KEY (workspace, name)
);
"""


class SecretStore:
    """Secrets by name, ignoring case, as in a key vault; encrypted."""

    def __init__(self, database: Database, clock: Clock, seal: Seal) -> None:
        self._database, self._clock, self._seal = database, clock, seal
        database.ensure(SECRETS_SCHEMA)

    def put(self, workspace: str, name: str, value: object, content_type: str | None = None) -> Secret:
        """Store a secret, replacing an earlier one; raise `Invalid` for what a key vault refuses."""
        now = offset_time(self._clock.now())
        self._database.execute(
            "INSERT INTO secrets (workspace, name, content_type, created, modified, value)"
            " VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO UPDATE"
            " SET content_type = ?3, modified = ?4, value = ?5",
            (workspace, name, content_type, now, self._seal.seal(check_secret(name, value))),
        )
        return self.get(workspace, name)

    def find(self, workspace: str, name: str) -> Secret | None:
        row = self._database.one("SELECT * FROM secrets WHERE workspace = ? AND name = ?", (workspace, name))
        return self._secret(row) if row else None

    def get(self, workspace: str, name: str) -> Secret:
        """Raise `NotFound`, in Key Vault's words, if it is missing."""
        found = self.find(workspace, name)
        if found is None:
            raise _missing(name)
        return found

    def names(self, workspace: str) -> list[str]:
        rows = self._database.all("SELECT name FROM secrets WHERE workspace = ? ORDER BY name", (workspace,))
        return [row["name"] for row in rows]

    def delete(self, workspace: str, name: str) -> None:
        if not self._database.execute("DELETE FROM secrets WHERE workspace = ? AND name = ?", (workspace, name)):
            raise _missing(name)

    def _secret(self, row: Row) -> Secret:
        return Secret(
            name=row["name"],
            value=self._seal.open(row["value"], f"secret {row['name']}"),
            content_type=row["content_type"],
            created=stored_time(row["created"]),
            modified=stored_time(row["modified"]),
        )


def _missing(name: str) -> NotFound:
    return NotFound(f"A secret with (name/id) {name} was not found in this key vault.")
