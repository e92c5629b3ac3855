"""The machine fails while the service is used: it refuses, or goes on as soon as it can, and loses nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import date

import pytest

from tests.faults.errors import ERRORS, fail_everywhere, meet, one_each
from tests.faults.machine import machine
from tests.faults.usage import OPERATIONS, RunFailed, Usage, run_local_script, run_script
from tests.waiting import until

LOCKED_SECONDS = 17.0


@pytest.mark.slow(40)
def test_a_machine_that_fails_at_any_point_loses_nothing(tmp_path):
    """Each point meets one error, another one each day; `make faults` does all."""
    with machine(tmp_path) as made:
        assert fail_everywhere(made, one_each(date.today().toordinal())) == []


def test_neighbouring_points_meet_all_errors_and_each_point_does_so_within_as_many_days():
    for chosen in ([one_each(7)(number) for number in range(5)], [one_each(day)(3) for day in range(5)]):
        assert {name for names in chosen for name in names} == set(ERRORS)


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


@pytest.mark.slow(20)
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
