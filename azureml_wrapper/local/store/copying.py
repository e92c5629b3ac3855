"""Copies of files, as cheap as the file system makes them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes; blocks are shared until one side is written to, where the file system can (btrfs, XFS)."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (done := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= done
        except OSError:
            # Between file systems, or on one that has no such call. A full disk fails again.
            shutil.copyfile(source, target)
