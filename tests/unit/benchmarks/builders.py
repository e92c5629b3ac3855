"""Results as a measurement leaves them."""

from __future__ import annotations

from benchmarks.results import Line, Result

MACHINE = {"processor": "P", "cores": "2", "memory": "8 GiB", "system": "Linux", "python": "3.11", "load": "0.1"}


def a_result(name, *lines, rounds=3, budget=20.0, complete=True):
    return Result(
        scenario=name,
        campaign="2026-01-01T00:00:00+00:00",
        rounds=rounds,
        budget=budget,
        quick=False,
        machine=MACHINE,
        versions={"tool": "1.0", "commit": "abc"},
        complete=complete,
        lines=list(lines),
    )


def a_line(name, *seconds, group="", size=0, reason="", **others):
    values = {"seconds": list(seconds)} if seconds else {}
    return Line(name=name, group=group, size=size, values={**values, **others}, reason=reason)
