"""How many processes a session of tests started: that is where its time goes, so the summary has their number.

What tests start themselves is seen in this process; services and their preloaded processes in service.log, whoever
started them. So a home that a test deletes is not counted.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SERVICES, PRELOADED, COMMANDS, PYTHONS, OTHERS, FORKS = (
    "services",
    "preloaded processes",
    "aml",
    "Python",
    "other programs",
    "forks",
)
_KINDS = (SERVICES, PRELOADED, COMMANDS, PYTHONS, OTHERS, FORKS)
# What service.log says of a start.
LINES = {" INFO listening on ": SERVICES, " INFO the preloaded process ": PRELOADED}
_END = "is gone"
# Homes are not deeper than this below a session's folders.
_DEEPEST = 4

counts: Counter[str] = Counter()


def watch() -> None:
    """Count from now on what this process starts."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        counts[kind(arguments[1])] += 1


def kind(command: Any) -> str:
    """Which kind of program a command starts, services aside, which are counted otherwise."""
    words = [command] if isinstance(command, str | bytes | os.PathLike) else list(command)
    name = Path(os.fsdecode(words[0])).name
    if name == "aml":
        return COMMANDS
    return PYTHONS if name.startswith("python") and "azureml_wrapper.local.server" not in words else OTHERS


def in_logs(folders: Iterable[Path]) -> Counter[str]:
    """Services and preloaded processes of the homes below these folders."""
    # pytest leaves a link to the last folder of a test.
    files = {
        file.resolve()
        for folder in folders
        for depth in range(1, _DEEPEST + 1)
        for file in folder.glob("*/" * depth + "service.log")
    }
    return total([Counter(_starts(file.read_text(encoding="utf-8", errors="replace"))) for file in files])


def _starts(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.endswith(_END)]
    return [kind for line in lines for words, kind in LINES.items() if words in line]


def line(numbers: Mapping[str, int]) -> str:
    """The line of the summary."""
    return ", ".join(f"{numbers.get(kind, 0)} {kind}" for kind in _KINDS)


def total(each: Sequence[Mapping[str, int]]) -> Counter[str]:
    """The sum over the processes of a parallel session."""
    found: Counter[str] = Counter()
    for one in each:
        found.update(one)
    return found
