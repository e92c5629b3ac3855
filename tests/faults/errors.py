"""Every point meets every error of the machine: `python -m tests.faults.errors`, a part of `make faults`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.kills import points
from tests.faults.machine import Machine, Refused, machine, report
from tests.faults.usage import OPERATIONS, RunFailed, Usage, fastest

# Their errors are SQLite's own (test_work_that_fails.py), or those of a start; or nothing is written after the point.
ELSEWHERE = ("database.", "start.", "home.", "recovery.")
NOTHING_WRITTEN = ("http.handled", "jobs.stored", "jobs.prepared", "pipelines.running", "sweeps.running")
NOT_HERE = (*ELSEWHERE, *NOTHING_WRITTEN)
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


def one_each(shift: int) -> Callable[[int], list[str]]:
    """One error for each point, so that neighbours, which are of one operation, meet all of them."""
    names = [*ERRORS]
    return lambda number: [names[(number + shift) % len(names)]]


def fail_everywhere(made: Machine, choose: Callable[[int], Sequence[str]] = lambda _: [*ERRORS]) -> list[str]:
    """Let each point of a machine fail while it is used, by each of the errors that are chosen for its number.

    Returns what was not well: a wrong status, something lost, half or without an end, or a service that ended.
    """
    made.start()
    usage, problems, service = Usage(made), [], made.pid
    reached = fastest(usage)
    usage.is_tolerant = True
    places = sorted(point for point in points() if not point.startswith(NOT_HERE) and point in reached)
    for number, point in enumerate(places):
        for error in choose(number):
            known = len(usage.allowed)
            made.order(error, point, times=TIMES)
            problem = meet(usage, reached[point], ERRORS[error])
            made.cancel_order()
            usage.settle()
            problems += [f"{error} at {point}: {text}" for text in (problem, *usage.check(known)) if text]
    # The log has what happened, not where in the source.
    problems += ["a traceback in the log"] if "Traceback" in made.home.log_file.read_text() else []
    usage.is_tolerant = False
    for operation in OPERATIONS:
        operation(usage)
    usage.settle()
    problems += usage.check()
    return problems + ([] if made.pid == service and made.alive else ["the service has ended"])


def everywhere(folder: Path) -> list[str]:
    with machine(folder) as made:
        return fail_everywhere(made)


if __name__ == "__main__":
    report(everywhere, f"{len(ERRORS)} errors at every point")
