"""What clients said about blobs: content headers, metadata, blocks. Holds for one ETag of a blob only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from azureml_wrapper.local.domain.storage import Blob
from azureml_wrapper.local.store.database import Database, Row, dump, load

SCHEMA = """
CREATE TABLE IF NOT EXISTS blob_notes (
    account   TEXT NOT NULL,
    container TEXT NOT NULL,
    name      TEXT NOT NULL,
    etag      TEXT NOT NULL,
    created   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (account, container, name, etag)
) WITHOUT ROWID;
"""
_ASK_AT_ONCE = 500


class BlobNotes:
    """A note for each blob that has more to say than its file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(self, account: str, container: str, blob: Blob) -> None:
        body = {
            "headers": dict(blob.headers),
            "metadata": dict(blob.metadata),
            "md5": blob.md5,
            "kind": blob.kind,
            "blocks": blob.blocks,
        }
        self._database.execute(
            "INSERT OR REPLACE INTO blob_notes VALUES (?, ?, ?, ?, ?, ?)",
            (account, container, blob.name, blob.etag, blob.created.isoformat(), dump(body)),
        )

    def forget(self, account: str, container: str, name: str, *, but: str = "") -> None:
        """Drop the notes of all ETags of the blob except `but`."""
        self._database.execute(
            "DELETE FROM blob_notes WHERE account = ? AND container = ? AND name = ? AND etag <> ?",
            (account, container, name, but),
        )

    def forget_container(self, account: str, container: str) -> None:
        self._database.execute("DELETE FROM blob_notes WHERE account = ? AND container = ?", (account, container))

    def fill(self, account: str, container: str, blobs: Sequence[Blob]) -> list[Blob]:
        """The blobs, each with its note where it has one."""
        notes: dict[tuple[str, str], Row] = {}
        for start in range(0, len(blobs), _ASK_AT_ONCE):
            rows = self._rows(account, container, [blob.name for blob in blobs[start : start + _ASK_AT_ONCE]])
            notes.update({(row["name"], row["etag"]): row for row in rows})
        return [_noted(blob, notes.get((blob.name, blob.etag))) for blob in blobs]

    def _rows(self, account: str, container: str, names: Sequence[str]) -> Iterable[Row]:
        marks = ", ".join("?" * len(names))
        return self._database.all(
            f"SELECT * FROM blob_notes WHERE account = ? AND container = ? AND name IN ({marks})",  # noqa: S608
            (account, container, *names),
        )


def _noted(blob: Blob, note: Row | None) -> Blob:
    if note is None:
        return blob
    body = load(note["body"])
    return replace(
        blob,
        created=datetime.fromisoformat(note["created"]),
        headers=body["headers"],
        metadata=body["metadata"],
        md5=body["md5"],
        kind=body["kind"],
        blocks=tuple((block, size) for block, size in body["blocks"]),
    )
