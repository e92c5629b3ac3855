"""Blobs: files in `<root>/<account>/<container>/<path>`, so that a mounted folder is just a path.

A file that a script writes to a mounted folder is a blob at once: ETag and times come from the file itself. What a
client said about a blob (content type, metadata, blocks) is in the database under the ETag, so it no longer applies
once the file was changed directly. Bytes arrive in files beside the accounts and are renamed into place: readers see
either the old blob or the new one, even after a kill -9. Only appending writes in place.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.storage import (
    FOLDER_MARK,
    Blob,
    NoFileName,
    Prefix,
    check_account_name,
    check_container_name,
    without_dots,
)
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobfiles import (
    BlobNotes,
    adopt,
    append_bytes,
    blob_of,
    discard,
    folder_etag,
    item_of,
    own_properties,
    set_time,
)
from azureml_wrapper.local.store.containers import ContainerFolder, Entry, grouped, missing_container
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.foldernames import FolderNames
from azureml_wrapper.local.store.syncing import Syncer

# Not a valid account name, so no request can reach it.
_INCOMING = ".incoming"

# Called under the store's lock with the blob before a write; raises if a condition of the request does not hold.
Check = Callable[[Blob | None], None]


class BlobStore:
    """All containers of all accounts. A blob is identified by `account, container, name`."""

    def __init__(self, root: Path, database: Database, clock: Clock, syncer: Syncer | None = None) -> None:
        self._root, self._clock, self._syncer, self._names = root, clock, syncer or Syncer(), FolderNames()
        self._notes = BlobNotes(database)
        self._lock = threading.RLock()
        self._changes = self._depth = 0
        self._incoming = root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        # Left behind by an earlier process that ended while receiving.
        for left in self._incoming.iterdir():
            discard(left)
        self._notes.complete_all(self._etag)

    # Containers ------------------------------------------------------------------------------------------------

    def ensure_container(self, account: str, container: str) -> bool:
        """Create the container if it is missing. Returns whether it was."""
        check_account_name(account)
        check_container_name(container)
        if self.has_container(account, container):
            return False
        (self._root / account / container).mkdir(parents=True, exist_ok=True)
        return True

    def has_container(self, account: str, container: str) -> bool:
        check_account_name(account)
        check_container_name(container)
        # Not pathlib's: every look at a blob begins here, and making the path costs more than asking for it.
        return os.path.isdir(f"{self._root}/{account}/{container}")  # noqa: PTH112

    def container(self, account: str, container: str) -> ContainerFolder:
        """The folder of a container, whose names and ETags need no database; raise `NotFound` if it is missing."""
        if not self.has_container(account, container):
            raise missing_container(container)
        return ContainerFolder(self._root / account / container, self._names)

    def containers(self, account: str) -> list[str]:
        """The account's containers, sorted."""
        check_account_name(account)
        folder = self._root / account
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

    def accounts(self, container: str) -> list[str]:
        """The accounts that have a container of this name."""
        check_container_name(container)
        return sorted(path.parent.name for path in self._root.glob(f"[a-z0-9]*/{container}") if path.is_dir())

    def delete_container(self, account: str, container: str) -> None:
        """Delete the container with all its blobs; raise `NotFound` if it is missing."""
        with self._lock:
            gone = self._incoming / uuid.uuid4().hex
            self.container(account, container).path.rename(gone)
            fault_point("blobs.container-moved")
            self._notes.forget_container(account, container)
        fault_point("blobs.container-forgotten")
        discard(gone)

    # Paths -----------------------------------------------------------------------------------------------------

    def path(self, account: str, container: str, name: str) -> Path:
        """The file of the blob's content, whether it exists or not; raise `Invalid` for a name outside the container.

        Do not write to it while the blob may be read: use `put_file`.
        """
        return self.container(account, container).file(name)

    def folder(self, account: str, container: str, prefix: str = "") -> Path:
        """The folder of the blobs below `prefix`, created if missing. Mounted data are such folders."""
        with self._lock:
            return self.container(account, container).make_folder(without_dots(prefix).strip("/"))

    # Blobs -----------------------------------------------------------------------------------------------------

    def stat(self, account: str, container: str, name: str) -> Blob | None:
        """The blob's properties; None if the blob or its container is missing."""
        if not self.has_container(account, container):
            return None
        try:
            found, is_noted = self._look(account, container, name)
            if found is None or is_noted:
                return found
            # A script wrote the file, or a client writes right now and the note is about to change: then wait for it.
            with self._lock:
                return self._look(account, container, name)[0]
        except NoFileName:
            return None

    def _look(self, account: str, container: str, name: str) -> tuple[Blob | None, bool]:
        """The blob, and whether its properties are final: they have a note, or need none."""
        folder = self.container(account, container)
        try:
            status = folder.file(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return self._folder_mark(account, container, name), True
        if not stat.S_ISREG(status.st_mode):
            return None, True
        blob = blob_of(name, status)
        noted = self._notes.fill(account, container, [blob])[0]
        return noted, noted is not blob

    def get(self, account: str, container: str, name: str) -> Blob:
        """Like `stat`, but raise `NotFound` if the blob is missing."""
        found = self.stat(account, container, name)
        if found is None:
            raise NotFound(f"The blob {name!r} does not exist in container {container!r}.", code="BlobNotFound")
        return found

    def put_file(
        self,
        account: str,
        container: str,
        name: str,
        source: Path,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        md5: str | None = None,
        kind: str = "BlockBlob",
        blocks: tuple[tuple[str, int], ...] = (),
        check: Check | None = None,
    ) -> Blob:
        """Move the file `source` to the blob, replacing its content.

        `headers` are the content headers to store, in lowercase; `content_type` is one of them. `check` may raise.
        """
        kept = {**(headers or {}), **({"content-type": content_type} if content_type else {})}
        folder = self.container(account, container)
        folder.file(name)
        source = adopt(source, self._incoming)
        status = self._touch(source)
        fault_point("blobs.received")
        blob = replace(
            blob_of(name, status), headers=kept, metadata=metadata or {}, md5=md5, kind=kind, blocks=blocks
        )
        with self._changing():
            before = self.stat(account, container, name) if check or kind != "BlockBlob" else None
            if check:
                check(before)
            target = folder.make_room(name)
            self._syncer.before_rename(source, target)
            # Noted before the rename, under the new ETag: a kill in between leaves the old blob intact.
            self._notes.add(account, container, blob)
            fault_point("blobs.noted")
            source.replace(target)
            fault_point("blobs.replaced")
            self._notes.forget(account, container, name, but=blob.etag)
        self._syncer.soon(target)
        return blob

    def put_bytes(
        self,
        account: str,
        container: str,
        name: str,
        data: bytes,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Blob:
        """Like `put_file`, with bytes in memory."""
        with self.receive() as temporary:
            temporary.write_bytes(data)
            return self.put_file(account, container, name, temporary, content_type=content_type, metadata=metadata)

    def copy(
        self,
        blob: Blob,
        source: Path,
        *,
        to: tuple[str, str, str],
        metadata: Mapping[str, str] | None = None,
        check: Check | None = None,
    ) -> Blob:
        """Copy a blob, whose content is the file `source`, to the blob `to`: (account, container, name)."""
        with self.receive() as temporary:
            shutil.copyfile(source, temporary)
            return self.put_file(
                *to, temporary, headers=blob.headers, metadata=metadata, md5=blob.md5, kind=blob.kind, check=check
            )

    def append(
        self, account: str, container: str, name: str, data: bytes | Path, *, check: Check | None = None
    ) -> Blob:
        """Append bytes, or a file's content, to a blob. A missing blob is created as an append blob."""
        with self._changing():
            before = self.stat(account, container, name)
            if check:
                check(before)
            if before is None:
                with self.receive() as empty:
                    empty.touch()
                    before = self.put_file(account, container, name, empty, kind="AppendBlob")
            path, after = self.container(account, container).file(name), replace(before, md5=None, blocks=())
            with self._notes.changing(account, container, after, self._etag):
                with path.open("ab") as file:
                    append_bytes(file.fileno(), data)
                fault_point("blobs.appended")
                after = replace(after, **own_properties(path.stat()))
                self._notes.finish(account, container, after)
        self._syncer.soon(path)
        return after

    def set_properties(
        self,
        account: str,
        container: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        md5: str | None = None,
        check: Check | None = None,
    ) -> Blob:
        """Replace the blob's content headers (with `md5`) or its metadata; ETag and time change, as in Azure."""
        with self._changing():
            before = self.get(account, container, name)
            if check:
                check(before)
            changed = replace(before, metadata=metadata) if metadata is not None else before
            if headers is not None:
                changed = replace(changed, headers=headers, md5=md5)
            path = self.container(account, container).file(name)
            with self._notes.changing(account, container, changed, self._etag):
                if path.exists():
                    self._syncer.keep(path)
                    changed = replace(changed, **own_properties(self._touch(path)))
                fault_point("blobs.touched")
                self._notes.finish(account, container, changed)
        return changed

    def make_marked_folder(self, account: str, container: str, name: str, metadata: Mapping[str, str]) -> Blob:
        """Create a folder that `stat` finds: what an empty blob with the metadata `hdi_isfolder` stands for."""
        with self._changing():
            folder = self.container(account, container)
            folder.remove(name)
            path = folder.make_folder(name)
            fault_point("blobs.folder-made")
            blob = replace(blob_of(name, path.stat()), size=0, etag=folder_etag(path), metadata=metadata)
            self._notes.add(account, container, blob)
            self._notes.forget(account, container, name, but=blob.etag)
        return blob

    def delete(self, account: str, container: str, name: str, *, check: Check | None = None) -> bool:
        """Delete a blob. Returns whether it existed."""
        with self._lock:
            before = self.stat(account, container, name)
            if check:
                check(before)
            if before is not None:
                path = self.container(account, container).remove(name)
                fault_point("blobs.removed")
                self._notes.forget(account, container, name)
                self._syncer.soon(path)
        return before is not None

    # Listings --------------------------------------------------------------------------------------------------

    def names(self, account: str, container: str, prefix: str = "") -> Iterator[str]:
        """The names of all blobs that start with `prefix`, sorted, read lazily."""
        return (name for name, _ in self.container(account, container).walk(prefix))

    def page(
        self,
        account: str,
        container: str,
        prefix: str = "",
        *,
        delimiter: str = "",
        marker: str = "",
        limit: int = 5000,
    ) -> list[Blob | Prefix]:
        """Up to `limit` blobs (with a delimiter: also prefixes) after the name `marker`, in Azure's order.

        The name of the last item is the marker of the next page.
        """
        changes, is_changing = self._changes, self._depth > 0
        folder = self.container(account, container)
        entries = folder.walk(prefix, marker)
        if delimiter == "/":
            entries = self._shown(account, container, folder.level(prefix, marker))
        elif delimiter:
            entries = grouped(entries, prefix, delimiter, marker)
        made = (item_of(name, path) for name, path in entries)
        items = list(islice((item for item in made if item is not None), limit))
        found = [item for item in items if isinstance(item, Blob)]
        noted = {blob.name: blob for blob in self._notes.fill(account, container, found)}
        if is_changing or changes != self._changes:
            for blob in found:
                if noted[blob.name] is blob:
                    noted[blob.name] = self.stat(account, container, blob.name) or blob
        return [noted[item.name] if isinstance(item, Blob) else item for item in items]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock while a file and its note change, one after the other."""
        with self._lock:
            self._changes, self._depth = self._changes + 1, self._depth + 1
            try:
                yield
            finally:
                self._depth -= 1

    def _etag(self, account: str, container: str, name: str) -> str | None:
        found = self.stat(account, container, name)
        return None if found is None else found.etag

    def _shown(self, account: str, container: str, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Leave out folders that hold no blob and are not marked as folders: Azure has no such thing."""
        folder = self.container(account, container)
        for name, path in entries:
            if path or folder.has_blobs(name) or self._folder_mark(account, container, name[:-1]):
                yield name, path

    # Receiving -------------------------------------------------------------------------------------------------

    @contextmanager
    def receive(self) -> Iterator[Path]:
        """A temporary path on the blobs' file system for incoming bytes; deleted at the end unless it was moved."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _folder_mark(self, account: str, container: str, name: str) -> Blob | None:
        """The blob that marks a folder as one, if a client put it."""
        path = self.container(account, container).folder(name)
        if not path.is_dir():
            return None
        blob = replace(blob_of(name, path.stat()), size=0, etag=folder_etag(path))
        noted = self._notes.fill(account, container, [blob])[0]
        return noted if FOLDER_MARK in noted.metadata else None

    def _touch(self, path: Path) -> os.stat_result:
        return set_time(path, self._clock.now())
