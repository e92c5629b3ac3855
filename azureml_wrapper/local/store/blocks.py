"""Blocks, which are staged one by one and then committed to a blob."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.storage import Blob, check_blob_name
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.blobfiles import COPY_CHUNK
from azureml_wrapper.local.store.blobs import BlobStore, Check

# Azure's limits (Microsoft Learn, "Put Block", "Put Block List").
ID_LIMIT = 64  # bytes
COUNT_LIMIT = 50_000
# Uncommitted blocks are deleted after a week, as in Azure.
KEPT_SECONDS = 7 * 24 * 3600
_STAGED = ".blocks"


class BlockStore:
    """Staged blocks of blobs. Nothing of them can be read before `commit`."""

    def __init__(self, root: Path, blobs: BlobStore, clock: Clock) -> None:
        self._root, self._blobs = root / _STAGED, blobs
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in self._root.iterdir():
            if clock.now().timestamp() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def stage(self, account: str, container: str, name: str, block: str, *, source: Path) -> None:
        """Stage a block, replacing one with the same id; the file is moved. `block` is the id in base64."""
        check_blob_name(name)
        file = self._folder(account, container, name) / _file_name(block)
        file.parent.mkdir(exist_ok=True)
        other = next(file.parent.iterdir(), file)
        if len(other.name) != len(file.name):
            raise Invalid(
                "All block ids of a blob must have the same length; staged blocks have ids of another length.",
                code="InvalidBlobOrBlock",
            )
        with self._blobs.receive() as waiting:
            shutil.move(source, waiting)
            fault_point("blocks.received")
            waiting.replace(file)

    def staged(self, account: str, container: str, name: str) -> list[tuple[str, int]]:
        """(id, size) of every staged block."""
        folder = self._folder(account, container, name)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [(base64.b64encode(bytes.fromhex(file.name)).decode(), file.stat().st_size) for file in files]

    def commit(
        self,
        account: str,
        container: str,
        name: str,
        picks: Sequence[tuple[str, str]],
        *,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        md5: str | None = None,
        check: Check | None = None,
    ) -> Blob:
        """Join blocks to a blob. A pick is a pair: `Committed`, `Uncommitted` or `Latest`, and a block id."""
        if len(picks) > COUNT_LIMIT:
            raise Invalid(
                f"The block list has {len(picks)} blocks; a blob has at most {COUNT_LIMIT}.", code="BlockListTooLong"
            )
        with self._blobs.receive() as whole:
            with whole.open("wb") as target:
                sizes = self._join(account, container, name, picks, target=target)
            fault_point("blocks.joined")
            blob = self._blobs.put_file(
                account,
                container,
                name,
                whole,
                headers=headers,
                metadata=metadata,
                md5=md5,
                blocks=tuple((block, size) for (_, block), size in zip(picks, sizes, strict=True)),
                check=check,
            )
        fault_point("blocks.committed")
        self.drop(account, container, name)
        return blob

    def drop(self, account: str, container: str, name: str) -> None:
        """Delete a blob's staged blocks."""
        shutil.rmtree(self._folder(account, container, name), ignore_errors=True)

    def clear(self) -> None:
        """Delete every staged block: after a loss of power, some may be incomplete."""
        for folder in self._root.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def _join(
        self, account: str, container: str, name: str, picks: Sequence[tuple[str, str]], *, target: BinaryIO
    ) -> list[int]:
        folder = self._folder(account, container, name)
        before = self._blobs.stat(account, container, name)
        offsets = _offsets(before.blocks if before else ())
        sizes = []
        for which, block in picks:
            file = folder / _file_name(block)
            if which != "Committed" and file.is_file():
                source, start, size = file, 0, file.stat().st_size
            elif which != "Uncommitted" and block in offsets:
                source, (start, size) = self._blobs.path(account, container, name), offsets[block]
            else:
                raise Invalid(f"The block list names the unknown block {block!r}.", code="InvalidBlockList")
            _copy(source, start, size, target)
            sizes.append(size)
        return sizes

    def _folder(self, account: str, container: str, name: str) -> Path:
        return self._root / hashlib.sha256(f"{account}/{container}/{name}".encode()).hexdigest()


def _offsets(blocks: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    found, start = {}, 0
    for block, size in blocks:
        found[block] = (start, size)
        start += size
    return found


def _copy(source: Path, start: int, size: int, target: BinaryIO) -> None:
    with source.open("rb") as file:
        start, size = _copy_within_system(file, start, size, target)
        file.seek(start)
        while size > 0 and (chunk := file.read(min(COPY_CHUNK, size))):
            size -= len(chunk)
            target.write(chunk)


def _copy_within_system(file: BinaryIO, start: int, size: int, target: BinaryIO) -> tuple[int, int]:
    """Let the kernel copy as much as it can. Returns the number of bytes that are left."""
    if not hasattr(os, "copy_file_range"):
        return start, size
    target.flush()
    try:
        while size > 0 and (done := os.copy_file_range(file.fileno(), target.fileno(), size, start)):
            start, size = start + done, size - done
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return start, size


def _file_name(block: str) -> str:
    try:
        decoded = base64.b64decode(block, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not 0 < len(decoded) <= ID_LIMIT:
        raise Invalid(
            f"Invalid block id {block[:100]!r}: expected base64 of 1 to {ID_LIMIT} bytes.",
            code="InvalidQueryParameterValue",
        )
    return decoded.hex()
