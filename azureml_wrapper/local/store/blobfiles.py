"""What a file says about the blob that it holds."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.storage import Blob


def blob_of(name: str, status: os.stat_result) -> Blob:
    return Blob(name=name, created=file_time(status.st_mtime_ns), **own_properties(status))


def own_properties(status: os.stat_result) -> dict[str, Any]:
    """What a blob has from its file."""
    return {"size": status.st_size, "etag": file_etag(status), "modified": file_time(status.st_mtime_ns)}


def file_etag(status: os.stat_result) -> str:
    """Differs after every change of the file, and stays when the file is renamed."""
    seed = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}".encode()
    return "0x" + hashlib.blake2b(seed, digest_size=8).hexdigest().upper()


def folder_etag(folder: Path) -> str:
    """A folder's times change with every file in it: only its place counts."""
    return f"0x{folder.stat().st_ino:016X}"


def file_time(nanoseconds: int) -> datetime:
    return _instant(nanoseconds // 1_000_000_000)


@lru_cache(4096)
def _instant(seconds: int) -> datetime:
    """Files that came together have the same second: a page of a listing asks for thousands."""
    return datetime.fromtimestamp(seconds, timezone.utc)
