"""The sorted names of folders with many files. A listing reads and sorts them once, not for each of its pages.

They are kept by the folder's modification time, which changes when an entry is added, removed or replaced. Sizes and
times of files are never kept: they change without it.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Smaller folders are read about as fast as they are looked up.
SMALLEST = 500
# Names of all folders together; a million take about 100 MB.
MOST = 1_000_000
KEPT_SECONDS = 15.0
# A folder may change twice within one tick of its file system's clock. FAT's is the longest.
SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class Names:
    """A folder's keys in Azure's order; those of folders end with "/". The content of `beside` is beside a folder."""

    keys: list[str]
    beside: frozenset[str] = frozenset()

    def between(self, start: str, marker: str) -> Iterator[str]:
        """Keys that begin with `start` and come after the marker, or hold it."""
        folder, slash, _ = marker.partition("/")
        first = bisect_left(self.keys, folder + slash) if slash else bisect_right(self.keys, marker)
        for place in range(max(first, bisect_left(self.keys, start)), len(self.keys)):
            if not self.keys[place].startswith(start):
                return
            yield self.keys[place]


class FolderNames:
    """The names of the large folders that were listed last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], tuple[float, Names]] = OrderedDict()

    def of(self, folder: str, changed: int, read: Callable[[], tuple[Names, bool]]) -> Names:
        """The names of a folder with the modification time `changed`, in nanoseconds.

        Args:
            read: Reads them, and says whether they may be kept.
        """
        with self._lock:
            self._drop_old()
            if known := self._known.get((folder, changed)):
                return known[1]
        names, may_keep = read()
        is_settled = time.time() - changed / 1e9 > SETTLED_SECONDS
        if may_keep and is_settled and SMALLEST <= len(names.keys) <= MOST:
            with self._lock:
                self._known[folder, changed] = (time.monotonic() + KEPT_SECONDS, names)
                while sum(len(each.keys) for _, each in self._known.values()) > MOST:
                    self._known.popitem(last=False)
        return names

    def forget(self, folder: str) -> None:
        """Free what is kept of a folder: its listing is complete."""
        with self._lock:
            for known in [key for key in self._known if key[0] == folder]:
                del self._known[known]

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._known and next(iter(self._known.values()))[0] < now:
            self._known.popitem(last=False)
