"""The progress of a transfer: bytes are always counted, a bar is shown on a terminal."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any


class Progress:
    """Counts the bytes of a transfer.

    Args:
        title: The word beside the bar.
        total: The number of bytes to expect; 0 if it is unknown.
        shown: Whether to show a bar; None shows one if standard error is a terminal.
    """

    def __init__(self, title: str, total: int, *, shown: bool | None = None) -> None:
        self.bytes = 0
        self._lock = threading.Lock()
        self._bar: Any = None
        if shown is not False:
            self._bar = _bar(title, total, forced=bool(shown))

    def advance(self, count: int) -> None:
        """Count bytes that went over the network."""
        with self._lock:
            self.bytes += count
        self.skip(count)

    def skip(self, count: int) -> None:
        """Move the bar on for bytes that did not have to."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(title: str, total: int, *, forced: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal and not forced:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Bar(*columns, TimeRemainingColumn(), console=console, transient=True)
    bar.add_task(title, total=total or None)
    return bar
