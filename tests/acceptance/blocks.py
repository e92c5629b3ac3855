"""The pages that users read, their code blocks, and what to do with each block.

A block whose paragraph ends with "`name.ext`:" is that file. Other `python` and `bash` blocks run, in order; `sh`
blocks are for people (they clone, install, or need data of their own).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w.]*\.\w+)`[^`\n]*:\s*$")
# A comment on a line of its own, or after code and two spaces.
COMMENT = re.compile(r"(?:^|(?<=  ))# .*$", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]+`")
COMMENTED = ("python", "bash", "sh", "yaml")
RUN = ("python", "bash")


@dataclass(frozen=True)
class Block:
    """One block: its language, its text, and the name of the file that it shows, if any."""

    language: str
    text: str
    file: str | None

    @property
    def runs(self) -> bool:
        return self.file is None and self.language in RUN

    @property
    def comments(self) -> list[str]:
        return COMMENT.findall(self.text) if self.language in COMMENTED else []

    def without_comments(self) -> Block:
        """The same block with the words of each comment removed; the comment's place remains."""
        return replace(self, text=COMMENT.sub("#", self.text)) if self.language in COMMENTED else self


def read(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [Block(found[1], found[2], _file(text[: found.start()])) for found in FENCE.finditer(text)]


def headings(path: Path) -> list[int]:
    """The levels of a page's headings."""
    return [len(level) for level, _ in HEADING.findall(prose(path))]


def anchors(path: Path) -> set[str]:
    """What `page.md#…` can name: GitHub's rule for headings."""
    titles = (title.lower() for _, title in HEADING.findall(prose(path)))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def links(path: Path) -> list[str]:
    """The targets of a page's links within the repository."""
    return [link for link in LINK.findall(CODE.sub("", prose(path))) if "://" not in link]


def prose(path: Path) -> str:
    """A page without its blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def _file(before: str) -> str | None:
    found = FILE.search(before.rstrip().rpartition("\n\n")[2])
    return found[1] if found else None
