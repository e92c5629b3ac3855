"""The service is killed at every point and at random: nothing that it acknowledged is lost, and nothing is half."""

from __future__ import annotations

import tarfile
from datetime import date

import pytest

from tests.faults.kills import KILL, Tally, attempt, examine, left_behind, points, strike
from tests.faults.machine import machine
from tests.faults.usage import Usage, fastest, run_pipeline, run_script, sweep
from tests.homes import ARCHIVES

# Passed at a start, whatever was done before.
AT_START = ("start.", "home.", "recovery.")
MIGRATION = "database.migrate"
# What a start recovers: the operation, and the point at which the service is killed in it.
JOB = run_script, "jobs.numbered"
TO_RECOVER = {
    "recovery.pipeline-failed": (run_pipeline, "pipelines.step-described"),
    "recovery.sweep-failed": (sweep, "sweeps.running"),
}


def in_operations() -> set[str]:
    return {point for point in points() if not point.startswith(AT_START)} - {MIGRATION}


@pytest.mark.slow(50)
def test_a_service_that_is_killed_at_any_point_loses_nothing(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        reached = fastest(usage)
        # Every point in the source has an operation that passes it.
        assert in_operations() - reached.keys() == set()
        problems = []
        for point in sorted(in_operations()):
            known = len(usage.allowed)
            made.order(KILL, point)
            attempt(usage, reached[point])
            if made.cancel_order():
                problems.append(f"{point} is not reached again by {reached[point].__name__}")
            problems += [f"{point}: {problem}" for problem in examine(usage, known)]
        # All of it once more, because a later start may have lost it.
        assert problems + usage.check() + left_behind(usage) == []


@pytest.mark.slow(15)
def test_a_start_that_is_killed_at_any_point_is_repeated(tmp_path):
    starting = sorted(point for point in points() if point.startswith(AT_START))
    with machine(tmp_path) as made:
        made.start()
        usage, problems = Usage(made), []
        for point in starting:
            operation, before = TO_RECOVER.get(point, JOB)
            made.order(KILL, before)
            attempt(usage, operation)
            assert not made.cancel_order(), before
            made.order(KILL, point)
            made.start()
            if made.cancel_order():
                problems.append(f"{point} is not reached")
            problems += [f"{point}: {problem}" for problem in examine(usage)]
        assert problems + left_behind(usage) == []


@pytest.mark.slow(60)
def test_random_kills_of_services_helpers_and_steps_lose_nothing(tmp_path):
    """Others each day; `make faults KILLS=1000` does more."""
    tally = Tally()
    strike(40, date.today().toordinal(), tmp_path, tally, is_light=True)
    assert tally.problems == []
    assert tally.acknowledged


def test_a_migration_that_is_killed_is_done_at_the_next_start(tmp_path):
    with machine(tmp_path) as made:
        with tarfile.open(ARCHIVES / "version-0.tar.gz") as packed:
            # Python before 3.11.4 has no `filter=`; the archives are our own.
            packed.extractall(made.home.path)  # noqa: S202
        made.order(KILL, MIGRATION)
        made.start()
        assert not made.cancel_order()
        assert MIGRATION in made.passed()
        assert made.integrity() == "ok"
        assert made.ask("GET", "{ws}").json()["name"] == "local"
