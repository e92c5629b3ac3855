"""The code blocks of a README, and what to do with each.

A block whose paragraph ends with "`name.ext`:" is that file. Other `python` and `bash` blocks are run in their
order; `sh` blocks are for people (they clone, or install).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w.]+\.\w+)`[^`\n]*:\s*$")
RUN = ("python", "bash")


@dataclass(frozen=True)
class Block:
    """One block: its language, its text, and the file that it is, if any."""

    language: str
    text: str
    file: str | None


def read(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [Block(found[1], found[2], _file(text[: found.start()])) for found in FENCE.finditer(text)]


def headings(path: Path) -> list[int]:
    """The levels of a file's headings."""
    outside = FENCE.sub("", path.read_text(encoding="utf-8"))
    return [len(found[1]) for found in re.finditer(r"^(#+) ", outside, re.MULTILINE)]


def _file(before: str) -> str | None:
    found = FILE.search(before.rstrip().rpartition("\n\n")[2])
    return found[1] if found else None
