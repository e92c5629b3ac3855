"""Measures scenarios: in rounds, each of which takes every entry once, so that what disturbs the machine hits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.processes import Failed, NotMeasured
from benchmarks.results import Line, Result
from benchmarks.scenario import Entry, Scenario, Setting

FAILURES = "failures.log"


def measure(
    scenario: Scenario,
    setting: Setting,
    result: Result,
    save: Callable[[Result], None],
) -> None:
    """Fill the result, and have it saved after each measurement."""
    with scenario.open(setting) as entries:
        result.lines = [Line(name=entry.name, group=entry.group, size=entry.size) for entry in entries]
        spent = dict.fromkeys((entry.name for entry in entries), 0.0)
        for number in range(result.rounds):
            for entry, line in _order(entries, result.lines, number):
                if line.reason or spent[entry.name] >= result.budget:
                    continue
                spent[entry.name] += _measure(entry, line, setting.folder.parent)
                save(result)
    result.complete = True
    save(result)


def _order(entries: Sequence[Entry], lines: Sequence[Line], number: int) -> list[tuple[Entry, Line]]:
    """There and back: no entry always comes right after the same other one."""
    pairs = list(zip(entries, lines, strict=True))
    return pairs if number % 2 == 0 else pairs[::-1]


def _measure(entry: Entry, line: Line, folder: Path) -> float:
    """One measurement; how long it took, its preparations included."""
    start = time.perf_counter()
    try:
        values = entry.measure()
    except NotMeasured as reason:
        _say(f"  {entry.name}: {reason}")
        line.reason = str(reason)
        if isinstance(reason, Failed):
            _keep(folder / FAILURES, entry.name, reason)
    else:
        line.add(values)
        _say(f"  {entry.name}: " + ", ".join(f"{key} {value:.4g}" for key, value in values.items()))
    return time.perf_counter() - start


def _keep(file: Path, name: str, failure: Failed) -> None:
    """The end of what a failed process printed, for whoever has to find out why."""
    with file.open("a", encoding="utf-8") as log:
        log.write(f"== {name}: {failure}\n{failure.output}\n")
    _say(f"    more in {file}")


def _say(text: str) -> None:
    print(text, flush=True)
