"""Starts the processes (ranks) of a distributed job, or one of them.

    python ranks.py ORDER               starts every rank; if one fails, stops the others
    mpirun -np N python ranks.py ORDER  mpirun starts it N times, once for each rank, and stops the others

This file has no dependencies: the service's interpreter runs it without its packages. ORDER is a JSON file:

    {"command": […], "mpi": true, "failure": "…", "ranks": [{"log": "…", "variables": {…}}, …]}

The file `failure` reports the first rank that fails: its number and its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

RANK_VARIABLE = "OMPI_COMM_WORLD_RANK"
# How long a rank may take to stop when another one has failed.
GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.02
# A shell's exit code for a command that it cannot start.
_CANNOT_START = 126

Order = dict[str, Any]


def main() -> int:
    with open(sys.argv[1]) as file:  # noqa: PTH123 - pathlib is slow to import
        order = json.load(file)
    # Who stops this process also stops the ranks; it waits for them. (The handler is not inherited.)
    signal.signal(signal.SIGTERM, lambda *_: None)
    if not order["mpi"]:
        return _run_all(order)
    if RANK_VARIABLE not in os.environ:
        print("This mpirun is not Open MPI's. Install it with: pip install 'azureml_wrapper[mpi]'", file=sys.stderr)
        return 1
    rank = int(os.environ[RANK_VARIABLE])
    code = _start(order, rank).wait()
    if code:
        _record(order, rank, code)
    return _status(code)


def _run_all(order: Order) -> int:
    """Wait until all ranks have succeeded or one has failed. Returns its exit code."""
    running = {rank: _start(order, rank) for rank in range(len(order["ranks"]))}
    while running:
        for rank, process in list(running.items()):
            code = process.poll()
            if code is None:
                continue
            del running[rank]
            if code:
                _record(order, rank, code)
                _end(list(running.values()))
                return _status(code)
        time.sleep(_POLL_SECONDS)
    return 0


def _start(order: Order, rank: int) -> subprocess.Popen[bytes]:
    own = order["ranks"][rank]
    with open(own["log"], "ab") as log:  # noqa: PTH123
        try:
            return subprocess.Popen(
                order["command"],
                env={**os.environ, **own["variables"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            log.write(f"Rank {rank} could not be started: {error}\n".encode())
            _record(order, rank, _CANNOT_START)
            raise SystemExit(_CANNOT_START) from None


def _record(order: Order, rank: int, code: int) -> None:
    """Record the first failure; the later ones are its consequences."""
    try:
        file = os.open(order["failure"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(file, json.dumps({"rank": rank, "code": code}).encode())
    os.close(file)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def _status(code: int) -> int:
    """A shell's exit code: for a signal, 128 plus its number."""
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
