"""One file on its way to the storage: in one request, or in blocks that become a blob at the end."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from azureml_wrapper.transfer.container import BlobContainer, text_md5
from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.progress import Progress
from azureml_wrapper.transfer.scan import LocalFile

BLOCK = 8 * 1024 * 1024
# Azure's limit of blocks in a blob (Microsoft Learn, "Put Block List"): larger files have larger blocks.
MOST_BLOCKS = 50_000
# Bytes of a block's id; the storage takes up to 64.
ID_LENGTH = 24
# Blocks in memory at once.
AHEAD = 12


class Changed(OSError):
    """The file has changed while it was read."""


@dataclass(frozen=True)
class Sent:
    """A file that has arrived, as it was when it was read."""

    file: LocalFile
    md5: str
    etag: str


def send_small(container: BlobContainer, name: str, file: LocalFile) -> Sent:
    """Send a file of at most one block. The storage compares the MD5."""
    with Path(file.path).open("rb") as opened:
        content = opened.read(BLOCK + 1)
        now = LocalFile.of(file.path, os.fstat(opened.fileno()))
    if len(content) != now.size or len(content) > BLOCK:
        raise Changed("it has changed while it was read")
    md5 = text_md5(hashlib.md5(content, usedforsecurity=False))
    return Sent(now, md5, container.put(name, content, md5))


def send_large(container: BlobContainer, name: str, file: LocalFile, *, crew: Crew, progress: Progress) -> Sent:
    """Send a file in blocks, but those that an earlier transfer has left at the storage.

    A block's id holds its MD5, so one that waits there is taken only for the same bytes. Nobody sees the blob before
    all blocks have arrived.
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
            container.put_block(name, block, content, text_md5(digest))
            progress.advance(len(content))
        return block

    with Path(file.path).open("rb") as opened:
        blocks = list(crew.map(send, _numbered(opened, block_size(file.size), whole), AHEAD))
        now = LocalFile.of(file.path, os.fstat(opened.fileno()))
    if (now.size, now.mtime_ns) != (file.size, file.mtime_ns):
        raise Changed("it has changed while it was read")
    md5 = text_md5(whole)
    return Sent(now, md5, container.commit(name, blocks, md5))


def block_size(size: int) -> int:
    """Bytes per block of a file of that size."""
    return max(BLOCK, -(-size // MOST_BLOCKS))


def block_id(number: int, md5: bytes, length: int = ID_LENGTH) -> str:
    """The id of a block of this place and content, of `length` bytes."""
    return base64.b64encode(hashlib.blake2b(f"{number}:".encode() + md5, digest_size=length).digest()).decode()


def id_length(waiting: Iterable[str]) -> int:
    """The storage wants all ids of a blob to be of one length, those that another program has left there, too."""
    return next((len(base64.b64decode(block)) for block in waiting), ID_LENGTH)


def hash_file(file: LocalFile) -> str:
    """The MD5 of a file, in base64."""
    digest = hashlib.md5(usedforsecurity=False)
    with Path(file.path).open("rb") as opened:
        while content := opened.read(1024 * 1024):
            digest.update(content)
    return text_md5(digest)


def _numbered(opened: BinaryIO, size: int, whole: hashlib._Hash) -> Iterator[tuple[int, bytes]]:
    number = 0
    while content := opened.read(size):
        whole.update(content)
        yield number, content
        number += 1
