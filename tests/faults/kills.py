"""Kills a service at points and at random while it is used, and counts what was lost: `make faults KILLS=1000`."""

from __future__ import annotations

import argparse
import ast
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import azureml_wrapper.local
from tests.faults.machine import Gone, machine
from tests.faults.usage import (
    OPERATIONS,
    RunFailed,
    Usage,
    publish,
    run_local_script,
    run_pipeline,
    run_script,
    schedule,
    sweep,
    watch,
)
from tests.waiting import until

KILL = "KILL"
# More passings than any operation has.
MOST_PASSINGS = 40
LONGEST_DELAY = 0.6
# What is killed; at a point, it is the service.
KINDS = ("point", "service", "step", "preloaded")
WITH_STEPS = (run_script, run_local_script, run_pipeline, sweep, publish, schedule, watch)
# How many operations use one home.
KILLS_PER_HOME = 100


def points() -> set[str]:
    """Every point in the source of the service. Raises if two have one name, or a name is no literal."""
    names: list[str] = []
    for file in sorted(Path(azureml_wrapper.local.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "fault_point":
                (argument,) = call.args
                assert isinstance(argument, ast.Constant), file
                names.append(argument.value)
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return set(names)


@dataclass
class Tally:
    """What came of it."""

    services: int = 0
    helpers: int = 0
    steps: int = 0
    restarts: int = 0
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.services + self.helpers + self.steps

    def line(self, seconds: float) -> str:
        return (
            f"{self.kills} kills ({self.services} of the service, {self.helpers} of preloaded processes, "
            f"{self.steps} of steps) in {seconds:.0f} s; {self.acknowledged} objects acknowledged, "
            f"{len(self.problems)} problems (lost, half, unfinished, orphaned, damaged or left behind)"
        )


def attempt(usage: Usage, operation: Callable[[Usage], object]) -> None:
    """Do an operation, which may end with the service."""
    try:
        operation(usage)
        # Of a run that has ended, the last point is passed a moment later.
        until(lambda: not usage.machine.alive or not usage.machine.has_jobs)
    except RunFailed:
        return
    except Gone:
        # Its last connection may end before it does.
        until(lambda: not usage.machine.alive)


def examine(usage: Usage, since: int = 0) -> list[str]:
    """Start the service again if it was killed, and say what does not hold, as `Usage.check` does."""
    machine = usage.machine
    machine.cancel_order()
    machine.start()
    usage.settle()
    problems = usage.check(since)
    orphans = [pid for pid in machine.strangers() if not _ends(pid)]
    problems += [f"process {pid} goes on" for pid in orphans]
    if (integrity := machine.integrity()) != "ok":
        problems.append(f"the database is damaged: {integrity}")
    return problems


def left_behind(usage: Usage) -> list[str]:
    """The temporary files after one more start, when nothing runs."""
    usage.machine.stop()
    usage.machine.start()
    return [f"left behind: {name}" for name in usage.machine.temporary_files()]


def _ends(pid: int) -> bool:
    """Whether a process of a job that has ended is about to end as well."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in _words(task / "children")]
    return []


def _words(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text().split()
    return []


def _preloaded(service: int) -> list[int]:
    return [pid for pid in _children(service) if "zygote.py" in " ".join(_arguments(pid))]


def _arguments(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


class Killer:
    """Kills what a seed chooses while operations run, one after the other."""

    def __init__(self, usage: Usage, seed: int, tally: Tally) -> None:
        self._usage, self._machine, self._tally = usage, usage.machine, tally
        self._random = random.Random(seed)  # noqa: S311

    def strike(self) -> None:
        """One operation, and one kill in it, if it lasts that long."""
        kind = self._random.choice(KINDS)
        operation = self._random.choice(WITH_STEPS if kind == "step" else OPERATIONS)
        if kind == "point":
            self._machine.order(KILL, first=self._random.randint(1, MOST_PASSINGS))
            attempt(self._usage, operation)
            if self._machine.cancel_order():
                # The operation is over before that passing.
                self._machine.kill()
            self._tally.services += 1
        elif kind == "service":
            self._during(operation, lambda _: self._machine.kill(is_awaited=False))
            self._machine.kill()
            self._tally.services += 1
        else:
            find = self._machine.strangers if kind == "step" else lambda: _preloaded(self._machine.pid)
            self._during(operation, partial(self._kill_one, find, kind))

    def _during(self, operation: Callable[[Usage], object], kill: Callable[[threading.Event], object]) -> None:
        is_over = threading.Event()
        timer = threading.Timer(self._random.uniform(0, LONGEST_DELAY), kill, [is_over])
        timer.start()
        attempt(self._usage, operation)
        is_over.set()
        timer.join()

    def _kill_one(self, find: Callable[[], list[int]], kind: str, is_over: threading.Event) -> None:
        while not (found := find()) and not is_over.is_set():
            time.sleep(0.005)
        for pid in found[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self._tally.steps += kind == "step"
                self._tally.helpers += kind == "preloaded"


def strike(kills: int, seed: int, folder: Path, tally: Tally, *, is_light: bool = False) -> None:
    """Kill that often in one home; problems are noted in the tally. Light preloaded processes import nothing."""
    with machine(folder, warm=True, is_light=is_light) as made:
        usage = Usage(made)
        usage.is_tolerant = True
        made.start()
        killer, before = Killer(usage, seed, tally), tally.kills
        while tally.kills < before + kills:
            known = len(usage.allowed)
            killer.strike()
            found = examine(usage, known)
            tally.problems += [f"seed {seed}, kill {tally.kills - before}: {problem}" for problem in found]
        # What an earlier kill has cost, or what was lost later.
        tally.problems += usage.check() + left_behind(usage)
        tally.acknowledged += usage.acknowledged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally, begin = Tally(), time.monotonic()
    for seed in range(options.seed, options.seed + 10**6):
        if tally.kills >= options.kills:
            break
        with tempfile.TemporaryDirectory() as folder:
            told = len(tally.problems)
            strike(min(KILLS_PER_HOME, options.kills - tally.kills), seed, Path(folder), tally)
        for line in (tally.line(time.monotonic() - begin), *tally.problems[told:]):
            print(line, flush=True)
    raise SystemExit(bool(tally.problems))


if __name__ == "__main__":
    main()
