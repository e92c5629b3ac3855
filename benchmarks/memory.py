"""Resident memory of processes and all that they start, read in /proc. Linux only.

Pages that forked processes share count once for each of them: the sum is an upper bound.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.1


def family(root: int) -> Iterator[int]:
    """A process and its descendants."""
    yield root
    # A process that ends meanwhile has no descendants.
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{root}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def resident(pid: int) -> int:
    """Bytes; 0 if the process has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


class PeakMemory:
    """The most that the families of some processes had at once, sampled ten times a second in a `with` block.

    0 if they had all ended before the first sample.
    """

    def __init__(self, roots: Sequence[int]) -> None:
        self.bytes = 0
        self._roots = roots
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        everyone = {pid for root in self._roots for pid in family(root)}
        self.bytes = max(self.bytes, sum(map(resident, everyone)))
