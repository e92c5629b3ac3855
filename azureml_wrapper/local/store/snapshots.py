"""Snapshots of script folders.

A file's content is at `<folder>/<two digits>/<sha256>`, stored once for all snapshots that contain it. Each snapshot
lists all of its files, so restoring one does not read others.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from azureml_wrapper.local.domain.clock import Clock, Ids, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, Damaged, Invalid, NotFound
from azureml_wrapper.local.domain.snapshots import EMPTY_ID, Node, Snapshot, StoredFile, empty_tree, file_nodes
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobfiles import copy_file
from azureml_wrapper.local.store.database import Database, Remembered, Row, dump, load
from azureml_wrapper.local.store.syncing import Syncer

SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace   TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    parent_id   TEXT,
    tree        TEXT NOT NULL,
    files       TEXT NOT NULL,
    properties  TEXT NOT NULL,
    created     TEXT NOT NULL,
    UNIQUE (workspace, snapshot_id)
);
"""
CHUNK = 1024 * 1024
_INCOMING = ".incoming"
# How long a content that was sent may wait for its snapshot until `sweep` may delete it.
PENDING_SECONDS = 3600.0
# Snapshots in memory: a step reads its own several times, and one of 2,000 files takes milliseconds to parse.
KEPT = 16

log = logging.getLogger("azureml_wrapper.local")


class SnapshotStore:
    """Snapshots by workspace and id; `folder` holds the files' contents."""

    def __init__(
        self, database: Database, folder: Path, clock: Clock, ids: Ids, syncer: Syncer | None = None
    ) -> None:
        self._database, self._folder, self._clock, self._ids = database, folder, clock, ids
        self._syncer = syncer or Syncer()
        # What a killed service was writing.
        self._incoming = folder / _INCOMING
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)
        self._known: Remembered[Snapshot] = Remembered(database, KEPT)
        self._lock = threading.Lock()
        # Contents that were sent, and when: their snapshots may not be stored yet.
        self._pending: OrderedDict[str, float] = OrderedDict()
        database.ensure(SCHEMA)

    def add(
        self,
        workspace: str,
        snapshot_id: str,
        tree: Node,
        uploads: Mapping[str, Path | StoredFile],
        *,
        parent_id: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Snapshot:
        """Store a snapshot: its tree (from `read_tree`), and the files that are new since `parent_id`.

        `uploads` are copied, except for those that `keep` returned.

        Raises:
            Invalid: A file of the tree was neither uploaded nor is it in the parent with the same hash. The SDK then
                discards its cached parent and sends everything again.
        """
        if self.find(workspace, snapshot_id):
            raise Conflict(f"Snapshot {snapshot_id} already exists.")
        files = self._resolve(workspace, tree, uploads, parent_id)
        snapshot = Snapshot(
            snapshot_id=snapshot_id,
            tree=tree,
            files=files,
            parent_id=parent_id,
            properties=properties or {},
            created=self._clock.now(),
        )
        fault_point("snapshots.kept")
        self._insert(workspace, snapshot)
        return snapshot

    def keep(self, content: bytes) -> StoredFile:
        """Store the content of a file for a later snapshot."""
        file = StoredFile(hashlib.sha256(content).hexdigest(), len(content))
        self._put(file, lambda target: target.write_bytes(content))
        return file

    def contents(self, workspace: str) -> set[str]:
        """The contents of a workspace's snapshots, by their hashes."""
        return self._contents("workspace = ?", workspace)

    def sweep(self, contents: set[str]) -> None:
        """Delete the contents of a deleted workspace, except those that another snapshot has or is about to get.

        What a kill leaves, `aml local prune` finds.
        """
        for sha256 in contents - self._contents("1"):
            with self._lock:
                if sha256 not in self._pending:
                    self._object(sha256).unlink(missing_ok=True)

    def _contents(self, condition: str, *values: str) -> set[str]:
        rows = self._database.all(f"SELECT files FROM snapshots WHERE {condition}", values)  # noqa: S608
        return {entry[0] for row in rows for entry in load(row["files"]).values()}

    def find(self, workspace: str, snapshot_id: str) -> Snapshot | None:
        """The snapshot, or None. The empty snapshot always exists."""
        if snapshot_id == EMPTY_ID:
            return Snapshot(snapshot_id=EMPTY_ID, tree=empty_tree(), files={})
        return self._known.get((workspace, snapshot_id), lambda: self._read(workspace, snapshot_id))

    def get(self, workspace: str, snapshot_id: str) -> Snapshot:
        """Like `find`, but raise `NotFound` if it is missing."""
        found = self.find(workspace, snapshot_id)
        if found is None:
            raise NotFound(f"Could not find snapshot {snapshot_id}.")
        return found

    def tree(self, workspace: str, snapshot_id: str) -> Node:
        """The tree of a snapshot."""
        return self.get(workspace, snapshot_id).tree

    def latest(self, workspace: str) -> Snapshot:
        """The snapshot that was added last, or the empty one."""
        row = self._database.one(
            "SELECT snapshot_id FROM snapshots WHERE workspace = ? ORDER BY sequence DESC LIMIT 1", (workspace,)
        )
        return self.get(workspace, row["snapshot_id"] if row else EMPTY_ID)

    def restore(self, workspace: str, snapshot_id: str, folder: Path) -> None:
        """Write the whole script folder to `folder`, which is created if missing."""
        snapshot = self.get(workspace, snapshot_id)
        folder.mkdir(parents=True, exist_ok=True)
        for path in snapshot.folders:
            (folder / path).mkdir(exist_ok=True)
        for path, file in snapshot.files.items():
            # A copy, not a link: a script may write to its own files, and a link shares its bytes with the store.
            copy_file(self._whole(snapshot_id, path, file), folder / path)

    def write_zip(self, workspace: str, snapshot_id: str, target: Path) -> None:
        """Write the script folder as a zip file."""
        snapshot = self.get(workspace, snapshot_id)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in snapshot.folders:
                archive.writestr(f"{path}/", b"")
            for path, file in snapshot.files.items():
                archive.write(self._whole(snapshot_id, path, file), path)

    def file(self, workspace: str, snapshot_id: str, path: str) -> Path:
        """The file with the content of a snapshot's file. Do not write to it."""
        found = self.get(workspace, snapshot_id).files.get(path)
        if found is None:
            raise NotFound(f"Snapshot {snapshot_id} has no file {path!r}.")
        return self._whole(snapshot_id, path, found)

    def discard_incomplete(self, since: datetime) -> None:
        """Delete the snapshots since a time that have no whole files: a loss of power took them.

        Clients that send the same files again get new ones.
        """
        for row in self._database.all("SELECT * FROM snapshots ORDER BY sequence DESC"):
            snapshot = _snapshot(row)
            if snapshot.created and snapshot.created < since:
                break
            if not all(self._has(file) for file in snapshot.files.values()):
                log.warning(
                    "discarding snapshot %s: power was lost within a second of its upload", row["snapshot_id"]
                )
                self._database.execute("DELETE FROM snapshots WHERE sequence = ?", (row["sequence"],))
                self._known.forget()

    def _whole(self, snapshot_id: str, path: str, file: StoredFile) -> Path:
        if not self._has(file):
            raise Damaged(
                f"The file {path!r} of snapshot {snapshot_id} is missing or incomplete in the home folder "
                f"({self._object(file.sha256)}). Submit the script folder again: what is missing is uploaded again."
            )
        return self._object(file.sha256)

    def _read(self, workspace: str, snapshot_id: str) -> Snapshot | None:
        sql = "SELECT * FROM snapshots WHERE workspace = ? AND snapshot_id = ?"
        row = self._database.one(sql, (workspace, snapshot_id))
        return _snapshot(row) if row else None

    def _resolve(
        self, workspace: str, tree: Node, uploads: Mapping[str, Path | StoredFile], parent_id: str | None
    ) -> dict[str, StoredFile]:
        nodes = file_nodes(tree)
        inherited = self._inherited(workspace, parent_id) if parent_id else {}
        missing = [path for path in nodes if path not in uploads and not self._inherits(inherited, nodes, path)]
        if missing:
            raise Invalid(
                f"{len(missing)} files of the snapshot are missing: neither uploaded nor in its parent {parent_id}. "
                f"The first one is {missing[0]!r}."
            )
        return {path: self._keep(uploads[path]) if path in uploads else inherited[path][1] for path in nodes}

    def _inherits(
        self, inherited: Mapping[str, tuple[str | None, StoredFile]], nodes: Mapping[str, Node], path: str
    ) -> bool:
        if path not in inherited:
            return False
        checksum, file = inherited[path]
        return checksum == _hash(nodes, path) and self._has(file)

    def _inherited(self, workspace: str, parent_id: str) -> dict[str, tuple[str | None, StoredFile]]:
        parent = self.get(workspace, parent_id)
        nodes = file_nodes(parent.tree)
        return {path: (_hash(nodes, path), file) for path, file in parent.files.items()}

    def _keep(self, source: Path | StoredFile) -> StoredFile:
        """Copy a file to its place in the store unless its content is already there."""
        if isinstance(source, StoredFile):
            self._expect(source)
            if not self._has(source):
                raise Invalid(f"The file {source.sha256} of the snapshot was not uploaded.")
            return source
        file = StoredFile(*_digest(source))
        self._put(file, lambda target: copy_file(source, target))
        return file

    def _put(self, file: StoredFile, write: Callable[[Path], object]) -> None:
        """Store a content atomically unless it is already there."""
        target = self._object(file.sha256)
        self._expect(file)
        if not self._has(file):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._incoming / f"{file.sha256}.{self._ids.short()}"
            write(temporary)
            fault_point("snapshots.written")
            temporary.replace(target)
            self._syncer.soon(target)

    def _expect(self, file: StoredFile) -> None:
        """Keep `sweep` from deleting a content whose snapshot is about to be stored."""
        now = self._clock.steady()
        with self._lock:
            self._pending.pop(file.sha256, None)
            self._pending[file.sha256] = now
            while self._pending and next(iter(self._pending.values())) < now - PENDING_SECONDS:
                self._pending.popitem(last=False)

    def _has(self, file: StoredFile) -> bool:
        """Whether the store has all of a content: a loss of power may have left a part of it."""
        try:
            return self._object(file.sha256).stat().st_size == file.size
        except FileNotFoundError:
            return False

    def _object(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _insert(self, workspace: str, snapshot: Snapshot) -> None:
        self._database.execute(
            "INSERT INTO snapshots (workspace, snapshot_id, parent_id, tree, files, properties, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                workspace,
                snapshot.snapshot_id,
                snapshot.parent_id,
                dump(snapshot.tree),
                dump(snapshot.files),
                dump(snapshot.properties),
                offset_time(snapshot.created),
            ),
        )


def _hash(nodes: Mapping[str, Node], path: str) -> str | None:
    value: str | None = nodes[path]["hash"]
    return value


def _digest(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        return digest.hexdigest(), os.fstat(file.fileno()).st_size


def _snapshot(row: Row) -> Snapshot:
    files = {path: StoredFile(*entry[:2]) for path, entry in load(row["files"]).items()}
    return Snapshot(
        snapshot_id=row["snapshot_id"],
        tree=load(row["tree"]),
        files=files,
        parent_id=row["parent_id"],
        properties=load(row["properties"]),
        created=stored_time(row["created"]),
    )
