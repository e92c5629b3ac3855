"""The workspaces of the local service."""

from __future__ import annotations

from dataclasses import asdict

from azureml_wrapper.local.domain.clock import offset_time, parse_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.workspaces import Workspace, check_workspace_name
from azureml_wrapper.local.store.database import Database, Row, dump, load

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
"""


class WorkspaceStore:
    """Workspaces by subscription, resource group and name, upper and lower case alike, as in ARM."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(self, workspace: Workspace) -> None:
        """Store a new workspace; `Conflict` where the name is taken, `Invalid` where Azure would refuse it."""
        check_workspace_name(workspace.name)
        with self._database.transaction() as database:
            if self.find(workspace.subscription, workspace.resource_group, workspace.name):
                raise Conflict(f"The workspace {workspace.name!r} exists already in {workspace.resource_group!r}.")
            database.execute(
                "INSERT INTO workspaces VALUES (:workspace_id, :subscription, :resource_group, :name, :location,"
                " :created, :tags, :friendly_name, :description)",
                _values(workspace),
            )

    def put(self, workspace: Workspace) -> None:
        """Replace a workspace's tags, friendly name and description."""
        self._database.execute(
            "UPDATE workspaces SET tags = :tags, friendly_name = :friendly_name, description = :description"
            " WHERE workspace_id = :workspace_id",
            _values(workspace),
        )

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
        """The workspace with this GUID, or `NotFound`."""
        row = self._database.one("SELECT * FROM workspaces WHERE workspace_id = ?", (workspace_id,))
        if row is None:
            raise NotFound(f"Could not find a workspace with id {workspace_id}.")
        return _workspace(row)

    def within(self, subscription: str, resource_group: str | None = None) -> list[Workspace]:
        rows = self._database.all(
            "SELECT * FROM workspaces WHERE subscription = ? AND (? IS NULL OR resource_group = ?) ORDER BY created",
            (subscription, resource_group, resource_group),
        )
        return [_workspace(row) for row in rows]

    def subscriptions(self) -> list[str]:
        rows = self._database.all("SELECT DISTINCT subscription FROM workspaces ORDER BY subscription")
        return [row["subscription"] for row in rows]

    def delete(self, workspace: Workspace) -> None:
        self._database.execute("DELETE FROM workspaces WHERE workspace_id = ?", (workspace.workspace_id,))


def _values(workspace: Workspace) -> dict[str, str]:
    return {
        **asdict(workspace),
        "created": offset_time(workspace.created) or "",
        "tags": dump(workspace.tags),
    }


def _workspace(row: Row) -> Workspace:
    created = parse_time(row["created"])
    assert created is not None  # noqa: S101 - NOT NULL in the schema
    return Workspace(**{**dict(row), "created": created, "tags": load(row["tags"])})
