"""The steps of a run on a terminal, or as lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

COLORS = {"Completed": "green", "reused": "green", "Failed": "red", "Canceled": "yellow", "Running": "cyan"}


class Step(Protocol):
    """A RunWrapper, or whatever else has a status."""

    @property
    def status(self) -> str: ...

    @property
    def reused_from(self) -> str | None: ...


class Progress(Protocol):
    """Shows the steps as they are at the moment."""

    def show(self, steps: Mapping[str, Step]) -> None: ...


class Lines:
    """One line per change of a step's status: for files, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, steps: Mapping[str, Step]) -> None:
        for name, step in steps.items():
            status = _word(step)
            if self._last.get(name) != status:
                self._last[name] = status
                self._console.out(f"{time.strftime('%H:%M:%S')} {name} {status}", highlight=False)


class Table:
    """A table that is drawn again and again in the same place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> Table:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, steps: Mapping[str, Step]) -> None:
        table = RichTable("step", "status", box=None)
        for name, step in steps.items():
            status = _word(step)
            table.add_row(Text(name), Text(status, style=COLORS.get(status, "")))
        self._live.update(table)


def _word(step: Step) -> str:
    """The step's status; `reused` where it did not have to run."""
    return "reused" if step.reused_from else step.status
