"""What it costs that new files are flushed to the disk: `python -m benchmarks.flushing`, with `off` without flushing.

It measures the stores of a throw-away home below TMPDIR, without a service.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from azureml_wrapper.local import server
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.syncing import Syncer

PLACE = ("account", "container")
SMALL, LARGE = b"x" * 2000, b"x" * 64_000_000


def main() -> None:
    """Print the milliseconds of each kind of write."""
    if "off" in sys.argv:
        Syncer.start = lambda self: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        _measure(Home(Path(folder)))


def _measure(home: Home) -> None:
    home.create()
    context = server.open_stores(home, 1)
    blobs = context.blobs
    blobs.ensure_container(*PLACE)
    _time("a new file of 2 kB", 500, lambda n: blobs.put_bytes(*PLACE, f"small/{n}", SMALL))
    _time("a replaced file of 2 kB", 500, lambda n: blobs.put_bytes(*PLACE, f"small/{n}", SMALL))
    _time("2 kB more of a file", 500, lambda _: blobs.append(*PLACE, "log", SMALL))
    _time("a new file of 64 MB", 5, lambda n: blobs.put_bytes(*PLACE, f"large/{n}", LARGE))
    _time("2 kB of a snapshot", 500, lambda n: context.snapshots.keep(b"%4d" % n * 500))
    _time("a write to the database alone", 500, lambda n: context.accounts.ensure(f"account{n}"))
    context.syncer.close()
    context.database.close()
    context.work_queue.close()


def _time(name: str, count: int, work: Callable[[int], object]) -> None:
    started = time.perf_counter()
    for number in range(count):
        work(number)
    print(f"{name:<32}{(time.perf_counter() - started) * 1000 / count:8.2f} ms")


if __name__ == "__main__":
    main()
