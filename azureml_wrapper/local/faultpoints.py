"""Places where a test can break the service: between any two writes that belong together.

A point costs one comparison unless `AZUREML_WRAPPER_FAULTS` names a file, as only tests/faults do. Its order is then
read at each passing, so one service can meet many faults. The names that were passed are appended to `<file>.passed`.
The clock is set by the number of seconds in `<file>.clock`.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

VARIABLE = "AZUREML_WRAPPER_FAULTS"
# The name in an order for every point.
ANY = "*"
KILL = "KILL"
# The disk does not answer until the order is cancelled.
WAIT = "WAIT"

_orders = os.environ.get(VARIABLE)
_lock = threading.Lock()
_counts: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """Pass a point. `name` must be a literal, and occur once: tests read the list of points from the source."""
    if _orders:
        _pass(name, Path(_orders))


def wall_clock() -> float:
    """The seconds since 1970, as the clock of this machine shows them."""
    return time.time() + (_shift(Path(_orders)) if _orders else 0.0)


def _shift(file: Path) -> float:
    try:
        return float(file.with_name(f"{file.name}.clock").read_text())
    except FileNotFoundError:
        return 0.0


def order(fault: str, point: str = ANY, *, first: int = 1, times: int = 1) -> str:
    """The content of the file that orders a fault: KILL, WAIT, or the name of an error such as ENOSPC.

    It happens at the passings `first` to `first + times - 1`, counted from the order.
    """
    return json.dumps({"fault": fault, "point": point, "first": first, "times": times, "id": os.urandom(8).hex()})


def _pass(name: str, file: Path) -> None:
    with _lock:
        with file.with_name(f"{file.name}.passed").open("a") as names:
            names.write(f"{name}\n")
        try:
            text = file.read_text()
        except FileNotFoundError:
            return
        asked = json.loads(text) if text else {}
        if not asked or asked["point"] not in (ANY, name):
            return
        _counts[asked["id"]] += 1
        if not asked["first"] <= _counts[asked["id"]] < asked["first"] + asked["times"]:
            return
        if asked["fault"] == KILL:
            # Before the end, so that the next process does not meet it as well.
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if asked["fault"] != WAIT:
            number = getattr(errno, asked["fault"])
            raise OSError(number, os.strerror(number))
    while file.exists():
        time.sleep(0.01)
