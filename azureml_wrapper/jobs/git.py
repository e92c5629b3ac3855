"""In which state of its repository a job was submitted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

SECONDS = 10


def state(folder: Path) -> dict[str, Any]:
    """Commit, branch, repository, and whether something was changed since; empty outside of a repository."""
    commit = _ask(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    found = {
        "commit": commit,
        "branch": _ask(folder, "symbolic-ref", "--short", "HEAD"),
        "repository": without_login(_ask(folder, "remote", "get-url", "origin")),
        # None where git takes too long to tell.
        "dirty": None if (changes := _ask(folder, "status", "--porcelain")) is None else bool(changes),
    }
    return {name: value for name, value in found.items() if value is not None}


def without_login(address: str | None) -> str | None:
    """A repository's address less the user and the token that may stand in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", address) if address else None


def _ask(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
