"""The machine fails while the service is used: it refuses, or goes on as soon as it can, and loses nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.faults.kills import points
from tests.faults.machine import Refused, machine
from tests.faults.usage import OPERATIONS, RunFailed, Usage, fastest, run_local_script, run_script
from tests.waiting import until

# Their errors are SQLite's own (test_work_that_fails.py), or those of a start; or nothing is written after the point.
ELSEWHERE = ("database.", "start.", "home.", "recovery.")
NOTHING_WRITTEN = ("http.handled", "jobs.stored", "jobs.prepared", "pipelines.running", "sweeps.running")
NOT_HERE = (*ELSEWHERE, *NOTHING_WRITTEN)
LOCKED_SECONDS = 17.0
# As often as an operation may meet the fault, which then goes away.
TIMES = 3
# 507, or of the storage 413, which its clients do not repeat.
FULL_DISK = (507, 413)
# What the machine answers in turn at each point, and the statuses that requests get then.
ERRORS = {"ENOSPC": FULL_DISK, "EROFS": FULL_DISK, "EIO": (503,), "EMFILE": (503,), "EINTR": (503,)}


def meet(usage: Usage, operation: Callable[[Usage], object], statuses: tuple[int, ...]) -> str:
    """Do an operation on a failing machine. Returns why that is not well; empty if it is."""
    try:
        operation(usage)
    except RunFailed:
        return ""
    except Refused as refused:
        return "" if refused.status in statuses else str(refused)
    return ""


@pytest.mark.slow
def test_a_machine_that_fails_at_any_point_loses_nothing(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage, problems = Usage(made), []
        reached = fastest(usage)
        usage.is_tolerant = True
        service = made.pid
        for point in sorted(point for point in points() if not point.startswith(NOT_HERE) and point in reached):
            for error, statuses in ERRORS.items():
                known = len(usage.allowed)
                made.order(error, point, times=TIMES)
                problem = meet(usage, reached[point], statuses)
                made.cancel_order()
                usage.settle()
                problems += [f"{error} at {point}: {text}" for text in (problem, *usage.check(known)) if text]
        # The log has what happened, not where in the source.
        assert "Traceback" not in made.home.log_file.read_text()
        usage.is_tolerant = False
        for operation in OPERATIONS:
            operation(usage)
        usage.settle()
        assert problems + usage.check() == []
        assert made.pid == service
        assert made.alive


@pytest.mark.parametrize("operation", [run_script, run_local_script])
@pytest.mark.parametrize("point", ["blobs.received", "blobs.noted"])
def test_a_run_whose_files_find_no_space_fails_with_the_reason(tmp_path, operation, point):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        usage.is_tolerant = True
        # They must exist before the disk is full.
        assert usage.snapshot
        assert usage.container
        made.order("ENOSPC", point, times=100)
        with pytest.raises(RunFailed):
            operation(usage)
        (run_id,) = usage.submitted
        assert "No space left on device" in str(usage.run(run_id)["error"])


@pytest.mark.slow
def test_a_database_that_is_locked_for_long_leaves_no_run_without_an_end(tmp_path):
    with machine(tmp_path) as made, closing(sqlite3.connect(made.home.database, isolation_level=None)) as other:
        made.start()
        usage = Usage(made)
        run_script(usage)
        usage.is_tolerant = True
        made.passed()
        running = threading.Thread(target=meet, args=[usage, run_local_script, (503,)])
        running.start()
        until(lambda: "jobs.numbered" in made.passed())
        other.execute("BEGIN EXCLUSIVE")
        # Longer than SQLite waits.
        time.sleep(LOCKED_SECONDS)
        other.execute("ROLLBACK")
        running.join()
        usage.settle()
        assert usage.check() == []
        for run_id in usage.submitted:
            run = usage.run(run_id)
            assert run["status"] == "Completed" or "locked the database" in str(run["error"])
        run_script(usage)


@pytest.mark.slow
def test_signals_that_interrupt_system_calls_change_nothing(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage, is_over = Usage(made), threading.Event()

        def disturb() -> None:
            while not is_over.wait(0.001):
                os.kill(made.pid, signal.SIGWINCH)
                os.kill(made.pid, signal.SIGCONT)

        storm = threading.Thread(target=disturb)
        storm.start()
        try:
            for operation in OPERATIONS:
                operation(usage)
        finally:
            is_over.set()
            storm.join()
        usage.settle()
        assert usage.check() == []
