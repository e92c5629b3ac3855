"""The secrets of the workspaces, encrypted with a key derived from the home's secret.

A copy of the database alone therefore reveals nothing.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.secrets import Secret, check_secret
from azureml_wrapper.local.store.database import Database, Row

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SCHEMA = """
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
    """Secrets by name, ignoring case, as in a key vault. `key` is a random string of 32 characters."""

    def __init__(self, database: Database, clock: Clock, key: str) -> None:
        self._database, self._clock, self._key = database, clock, key
        database.ensure(SCHEMA)

    def put(self, workspace: str, name: str, value: object, content_type: str | None = None) -> Secret:
        """Store a secret, replacing an earlier one; raise `Invalid` for what a key vault refuses."""
        now = offset_time(self._clock.now())
        self._database.execute(
            "INSERT INTO secrets VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO UPDATE"
            " SET content_type = ?3, modified = ?4, value = ?5",
            (workspace, name, content_type, now, self._cipher().encrypt(check_secret(name, value).encode())),
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
        from cryptography.fernet import InvalidToken

        try:
            value = self._cipher().decrypt(row["value"]).decode()
        except InvalidToken as error:
            raise Conflict(
                f"Cannot decrypt secret {row['name']}: the key of this home folder has changed since it was set. "
                "Set the secret again."
            ) from error
        return Secret(
            name=row["name"],
            value=value,
            content_type=row["content_type"],
            created=stored_time(row["created"]),
            modified=stored_time(row["modified"]),
        )

    def _cipher(self) -> Fernet:
        # Imported on first use, because it takes as long as the rest of the service's start.
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._key.encode()))


def _missing(name: str) -> NotFound:
    return NotFound(f"A secret with (name/id) {name} was not found in this key vault.")
