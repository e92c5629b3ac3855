"""Registered models and their assets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from azureml_wrapper.local.domain.clock import Clock, offset_time
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.models import JSON, check_model_name
from azureml_wrapper.local.store.database import Database, Row, dump, load
from azureml_wrapper.local.store.query import Condition, Page

SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    name      TEXT NOT NULL,
    version   INTEGER NOT NULL,
    created   TEXT NOT NULL,
    modified  TEXT NOT NULL,
    body      TEXT NOT NULL,
    UNIQUE (workspace, name, version)
);
CREATE INDEX IF NOT EXISTS models_newest ON models (workspace, sequence);
CREATE INDEX IF NOT EXISTS models_name ON models (workspace, name, sequence);
-- The last version that was given out: a deleted one is not used again.
CREATE TABLE IF NOT EXISTS model_versions (
    workspace TEXT NOT NULL,
    name      TEXT NOT NULL,
    last      INTEGER NOT NULL,
    PRIMARY KEY (workspace, name)
);
CREATE TABLE IF NOT EXISTS assets (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    asset_id  TEXT NOT NULL,
    created   TEXT NOT NULL,
    body      TEXT NOT NULL,
    UNIQUE (workspace, asset_id)
);
"""

MAX_PAGE_SIZE = 255  # the maximum that the SDK asks for


@dataclass(frozen=True, kw_only=True)
class Model:
    """A version of a model; `body` is what the client registered, with the keys of the service."""

    name: str
    version: int
    created: str
    modified: str
    body: JSON

    @property
    def model_id(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """The files of a model: a list of artifact ids and prefixes in `body`."""

    asset_id: str
    created: str
    body: JSON


@dataclass(frozen=True, kw_only=True)
class ModelQuery:
    """Which models to list, newest first. Tags and properties map a key to its value; None matches any value."""

    name: str | None = None
    framework: str | None = None
    run_id: str | None = None
    dataset_id: str | None = None
    tags: dict[str, str | None] = field(default_factory=dict)
    properties: dict[str, str | None] = field(default_factory=dict)
    latest_only: bool = False
    count: int = MAX_PAGE_SIZE
    before: int | None = None


class ModelStore:
    """Models by name and version, assets by id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        database.ensure(SCHEMA)

    def add(self, workspace: str, name: str, body: JSON) -> Model:
        """Store the next version of a model."""
        check_model_name(name)
        now = offset_time(self._clock.now()) or ""
        with self._database.transaction() as database:
            row = database.one("SELECT last FROM model_versions WHERE workspace = ? AND name = ?", (workspace, name))
            version = row["last"] + 1 if row else 1
            database.execute("REPLACE INTO model_versions VALUES (?, ?, ?)", (workspace, name, version))
            database.execute(
                "INSERT INTO models (workspace, name, version, created, modified, body) VALUES (?, ?, ?, ?, ?, ?)",
                (workspace, name, version, now, now, dump(body)),
            )
        return Model(name=name, version=version, created=now, modified=now, body=body)

    def get(self, workspace: str, name: str, version: int) -> Model:
        row = self._database.one(
            "SELECT * FROM models WHERE workspace = ? AND name = ? AND version = ?", (workspace, name, version)
        )
        if row is None:
            raise NotFound(f"The model {name}:{version} was not found.", code="ModelNotFound")
        return _model(row)

    def page(self, workspace: str, query: ModelQuery) -> Page[Model]:
        """One page of models, and `ModelQuery.before` of the next one."""
        conditions = [("workspace = ?", [workspace]), *_conditions(workspace, query)]
        # Values of clients are bound.
        rows = self._database.all(
            f"SELECT * FROM models WHERE {' AND '.join(sql for sql, _ in conditions)}"  # noqa: S608
            " ORDER BY sequence DESC LIMIT ?",
            [*(value for _, values in conditions for value in values), query.count + 1],
        )
        more = str(rows[query.count - 1]["sequence"]) if len(rows) > query.count else None
        return Page([_model(row) for row in rows[: query.count]], more)

    def change(self, workspace: str, name: str, version: int, amendment: Callable[[JSON], JSON]) -> Model:
        """Read, change and store a model in one transaction."""
        with self._database.transaction() as database:
            body = amendment(self.get(workspace, name, version).body)
            database.execute(
                "UPDATE models SET body = ?, modified = ? WHERE workspace = ? AND name = ? AND version = ?",
                (dump(body), offset_time(self._clock.now()), workspace, name, version),
            )
            return self.get(workspace, name, version)

    def delete(self, workspace: str, name: str, version: int) -> None:
        """Delete a version. Its files stay, because other models and the run may use them."""
        model = self.get(workspace, name, version)
        self._database.execute(
            "DELETE FROM models WHERE workspace = ? AND name = ? AND version = ?", (workspace, name, model.version)
        )

    def add_asset(self, workspace: str, asset_id: str, body: JSON) -> Asset:
        now = offset_time(self._clock.now()) or ""
        self._database.execute(
            "INSERT INTO assets (workspace, asset_id, created, body) VALUES (?, ?, ?, ?)",
            (workspace, asset_id, now, dump(body)),
        )
        return Asset(asset_id=asset_id, created=now, body=body)

    def get_asset(self, workspace: str, asset_id: str) -> Asset:
        row = self._database.one("SELECT * FROM assets WHERE workspace = ? AND asset_id = ?", (workspace, asset_id))
        if row is None:
            raise NotFound(f"The asset {asset_id} was not found.", code="AssetNotFound")
        return _asset(row)

    def assets(self, workspace: str, *, run_id: str | None = None, name: str | None = None) -> list[Asset]:
        """The assets of a run or of a name, newest first."""
        rows = self._database.all(
            "SELECT * FROM assets WHERE workspace = ? AND (?2 IS NULL OR json_extract(body, '$.runid') = ?2)"
            " AND (?3 IS NULL OR json_extract(body, '$.name') = ?3) ORDER BY sequence DESC",
            (workspace, run_id, name),
        )
        return [_asset(row) for row in rows]


def _conditions(workspace: str, query: ModelQuery) -> list[Condition]:
    plain = {
        "name": query.name,
        "json_extract(body, '$.framework')": query.framework,
        "json_extract(body, '$.runId')": query.run_id,
    }
    conditions: list[Condition] = [(f"{column} = ?", [value]) for column, value in plain.items() if value is not None]
    for source, pairs in (("$.kvTags", query.tags), ("$.properties", query.properties)):
        conditions += [_pair(source, key, value) for key, value in pairs.items()]
    if query.dataset_id is not None:
        inside = "SELECT 1 FROM json_each(models.body, '$.datasets') WHERE json_extract(value, '$.id') = ?"
        conditions.append((f"EXISTS ({inside})", [query.dataset_id]))
    if query.latest_only:
        newest = "SELECT MAX(version) FROM models AS other WHERE other.workspace = models.workspace"
        conditions.append((f"version = ({newest} AND other.name = models.name)", []))
        if query.name is not None:
            # Found at once; the condition above is for each version.
            of_name = "SELECT sequence FROM models WHERE workspace = ? AND name = ? ORDER BY version DESC LIMIT 1"
            conditions.append((f"sequence = ({of_name})", [workspace, query.name]))
    if query.before is not None:
        conditions.append(("sequence < ?", [query.before]))
    return conditions


def _pair(source: str, key: str, value: str | None) -> Condition:
    inside = f"SELECT 1 FROM json_each(models.body, '{source}') WHERE key = ?"  # noqa: S608 - comes from code
    if value is None:
        return f"EXISTS ({inside})", [key]
    return f"EXISTS ({inside} AND value = ?)", [key, value]


def _model(row: Row) -> Model:
    return Model(
        name=row["name"],
        version=row["version"],
        created=row["created"],
        modified=row["modified"],
        body=load(row["body"]),
    )


def _asset(row: Row) -> Asset:
    return Asset(asset_id=row["asset_id"], created=row["created"], body=load(row["body"]))
