"""From a folder on this machine to a datastore: a file goes in one request, or in blocks that are then committed."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from azureml_wrapper.transfer.blob_container import Blob, BlobContainer
from azureml_wrapper.transfer.http_client import Workers
from azureml_wrapper.transfer.local_files import LocalFile, md5_text, scan
from azureml_wrapper.transfer.outcome import Progress, TransferReport
from azureml_wrapper.transfer.plan import Content, Endpoints, needs_hash, plan

BLOCK = 8 * 1024 * 1024
# Azure's limit of blocks in a blob (Microsoft Learn, "Put Block List"): larger files have larger blocks.
MOST_BLOCKS = 50_000
# Bytes of a block's id; the storage allows up to 64.
ID_LENGTH = 24
# Blocks in memory at once.
AHEAD = 12


class FileChanged(OSError):
    """The file has changed while it was read."""


@dataclass(frozen=True)
class Sent:
    """A file that has arrived, in the state in which it was read."""

    file: LocalFile
    md5: str
    etag: str


def upload(ends: Endpoints) -> TransferReport:
    """Make the datastore's folder hold every file of the local folder."""
    outcome = ends.outcome
    with outcome.reporting(), Workers(ends.container.http.stop) as workers:
        listing = workers.start(ends.listing)
        found = scan(ends.folder)
        blobs, files = listing.result(), found.files
        outcome.ignored += found.ignored
        source, target = ends.local_content(files), ends.remote_content(blobs)
        ends.guard_delete(source, target)
        ends.hash(workers, needs_hash(source, target), files, source)
        steps = plan(source, target, delete=ends.delete)
        outcome.skipped += steps.skip
        left = _copy(ends, workers, steps.copy, blobs, source)
        _send(ends, workers, {name: files[name] for name in (*left, *steps.send)})
        outcome.check()
        _delete(ends, workers, [name for name in steps.delete if not found.is_unknown(name)])
        ends.cache.keep(files, {*source, *target})
    return outcome.report()


def _send(ends: Endpoints, workers: Workers, files: Mapping[str, LocalFile]) -> None:
    outcome, container = ends.outcome, ends.container
    small = [name for name, file in files.items() if file.size <= BLOCK]
    large = [name for name, file in files.items() if file.size > BLOCK]
    with Progress("uploading", sum(file.size for file in files.values()), shown=ends.shown) as progress:
        outcome.progress = progress

        def whole(name: str) -> None:
            sent = outcome.attempt(name, lambda: send_small(container, ends.prefix + name, files[name]))
            progress.advance(sent.file.size if sent else 0)
            _remember(ends, name, sent)

        def blocks(name: str) -> Sent:
            return send_large(container, ends.prefix + name, files[name], workers=workers, progress=progress)

        for _ in workers.map(whole, small):
            pass
        for name in large:
            _remember(ends, name, outcome.attempt(name, partial(blocks, name)))


def _remember(ends: Endpoints, name: str, sent: Sent | None) -> None:
    """Remember at once what has arrived, whatever happens to the other files."""
    if sent is not None:
        ends.outcome.uploaded.append(name)
        ends.cache.learn_local(name, sent.file, sent.md5)
        ends.cache.learn_remote(name, sent.etag, sent.md5)


def _copy(
    ends: Endpoints,
    workers: Workers,
    renamed: Sequence[tuple[str, str]],
    blobs: Mapping[str, Blob],
    source: Mapping[str, Content],
) -> list[str]:
    """Copy in the storage what was renamed here; return the names that have to be sent after all."""

    def work(names: tuple[str, str]) -> tuple[str, str | None]:
        before, after = names
        return after, ends.container.copy(blobs[before], ends.prefix + after)

    left = []
    for name, etag in workers.map(work, renamed):
        if etag is None:
            left.append(name)
        else:
            ends.outcome.copied.append(name)
            ends.cache.learn_remote(name, etag, source[name].md5 or "")
    return left


def _delete(ends: Endpoints, workers: Workers, names: Sequence[str]) -> None:
    def work(name: str) -> str:
        ends.container.delete(ends.prefix + name)
        return name

    for name in workers.map(work, names):
        ends.outcome.deleted.append(name)


def send_small(container: BlobContainer, name: str, file: LocalFile) -> Sent:
    """Send a file of at most one block; the storage compares the MD5. `FileChanged` if it changes meanwhile."""
    with Path(file.path).open("rb") as opened:
        content = opened.read(BLOCK + 1)
        now = LocalFile.of(file.path, os.fstat(opened.fileno()))
    if len(content) != now.size or len(content) > BLOCK:
        raise FileChanged("it has changed while it was read")
    md5 = md5_text(hashlib.md5(content, usedforsecurity=False))
    return Sent(now, md5, container.put(name, content, md5))


def send_large(container: BlobContainer, name: str, file: LocalFile, *, workers: Workers, progress: Progress) -> Sent:
    """Send a file in blocks, except those that an interrupted transfer has left at the storage.

    A block's id contains its MD5, so a waiting block is used only for the same bytes. The blob becomes visible when
    all of its blocks have arrived. Raises `FileChanged` if the file changes meanwhile.
    """
    waiting = container.waiting_blocks(name)
    length = id_length(waiting)
    whole = hashlib.md5(usedforsecurity=False)

    def send(numbered: tuple[int, bytes]) -> str:
        number, content = numbered
        digest = hashlib.md5(content, usedforsecurity=False)
        block = block_id(number, digest.digest(), length)
        if waiting.get(block) == len(content):
            progress.skip(len(content))
        else:
            container.put_block(name, block, content, md5_text(digest))
            progress.advance(len(content))
        return block

    with Path(file.path).open("rb") as opened:
        blocks = list(workers.map(send, _numbered(opened, block_size(file.size), whole), AHEAD))
        now = LocalFile.of(file.path, os.fstat(opened.fileno()))
    if (now.size, now.mtime_ns) != (file.size, file.mtime_ns):
        raise FileChanged("it has changed while it was read")
    md5 = md5_text(whole)
    return Sent(now, md5, container.commit(name, blocks, md5))


def block_size(size: int) -> int:
    """Return the bytes per block of a file of `size` bytes."""
    return max(BLOCK, -(-size // MOST_BLOCKS))


def block_id(number: int, md5: bytes, length: int = ID_LENGTH) -> str:
    """Return the id, of `length` bytes before base64, of a block with this number and content."""
    return base64.b64encode(hashlib.blake2b(f"{number}:".encode() + md5, digest_size=length).digest()).decode()


def id_length(waiting: Iterable[str]) -> int:
    """Return the length of new ids: all ids of a blob must have the length of those that wait at the storage."""
    return next((len(base64.b64decode(block)) for block in waiting), ID_LENGTH)


def _numbered(opened: BinaryIO, size: int, whole: hashlib._Hash) -> Iterator[tuple[int, bytes]]:
    number = 0
    while content := opened.read(size):
        whole.update(content)
        yield number, content
        number += 1
