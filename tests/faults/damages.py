"""Each file of a home is damaged in every way: `python -m tests.faults.damages`, a part of `make faults`.

The service starts, or says in a sentence which file it is. The files are those of a used home, one of each kind, so
that a new kind is damaged without being listed here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.machine import Machine, Refused, machine, report
from tests.faults.usage import (
    Key,
    RunFailed,
    Usage,
    append,
    describe_blob,
    log_metrics,
    publish,
    register_dataset,
    register_model,
    run_local_script,
    run_pipeline,
    run_script,
    start_run,
    sweep,
    upload,
)

OPERATIONS = (
    *(upload, append, describe_blob, register_dataset, register_model, start_run, log_metrics),
    *(run_script, run_local_script, run_pipeline, publish, sweep),
)
# Ids, hashes, and numbers in the names of containers and files.
_ID = re.compile(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*|\d+")


def truncate(file: Path) -> None:
    os.truncate(file, 0)


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def fill_with_junk(file: Path) -> None:
    file.write_bytes(b"\xff\x00not what belongs here\n" * 20)


DAMAGES: tuple[Callable[[Path], None], ...] = (truncate, halve, fill_with_junk, Path.unlink)


def kind(path: Path) -> str:
    """What a file of a home is, by its relative path."""
    parts = [_ID.sub("#", part) for part in path.parts]
    if parts[0] == "blobs":
        # The container; of the files of runs, also the folder below the run.
        return "/".join(parts[2:3] + parts[5:6] if parts[2] == "azureml" else parts[2:3])
    return parts[0] if parts[0] in ("programs", "snapshots") else "/".join(parts)


def kinds(home: Path) -> dict[str, Path]:
    """A file of each kind of a home."""
    files = sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return {kind(file.relative_to(home)): file for file in files}


def use(usage: Usage) -> list[Key]:
    """Use the service, and return what it must have: an object of each kind."""
    for operation in OPERATIONS:
        operation(usage)
    usage.settle()
    assert usage.check() == []
    return [
        *{(key[0], key[1].split("/")[1]) if key[0] == "fields" else key[0]: key for key in usage.allowed}.values()
    ]


def problems_of(usage: Usage, samples: list[Key], *, runs_job: bool) -> list[str]:
    """What a service with a damaged file does that it must not: hang, or fail without a reason."""
    found = []
    for key in samples:
        try:
            usage.look(key)
        except Refused as refused:
            if refused.status >= 500 and "amaged" not in str(refused):
                found.append(f"{key}: {refused}")
    # What is not damaged can be used.
    before = set(usage.submitted)
    upload(usage)
    try:
        if runs_job:
            run_script(usage)
    except RunFailed:
        run = usage.run(*usage.submitted - before)
        found += [] if run["status"] == "Failed" and run["error"] else [f"a run ended without a reason: {run}"]
    return found


def examine(made: Machine, usage: Usage, samples: list[Key], file: Path, *, runs_job: bool) -> list[str]:
    begin = made.home.log_file.stat().st_size if made.home.log_file.exists() else 0
    is_started = made.start_once()
    log = made.home.log_file.read_bytes()[begin:].decode(errors="replace") if made.home.log_file.exists() else ""
    found = ["a traceback"] if "Traceback" in log else []
    if not is_started:
        sentence = log.strip().rpartition("\n")[2]
        return [*found, *([] if str(file) in sentence else [f"it does not start, and names no file: {log}"])]
    try:
        return found + problems_of(usage, samples, runs_job=runs_job)
    finally:
        made.kill()


def one_each(shift: int) -> Callable[[int], list[Callable[[Path], None]]]:
    """One damage for each kind of file, so that neighbours meet all of them."""
    return lambda number: [DAMAGES[(number + shift) % len(DAMAGES)]]


def damage_everything(
    folder: Path, choose: Callable[[int], Sequence[Callable[[Path], None]]] = lambda _: DAMAGES
) -> list[str]:
    """Damage a file of each kind, in each of the ways that are chosen for its number, and use the service."""
    with machine(folder) as made:
        made.start()
        usage = Usage(made)
        use(usage)
        # Stopped, so that the database has all of that; the rest is in its log.
        made.stop()
        made.start()
        samples = use(usage)
        # Killed, so that it leaves what a killed service leaves.
        made.kill()
        home, intact, problems = made.home.path, folder / "intact", []
        shutil.copytree(home, intact, symlinks=True)
        usage.is_tolerant = True
        for number, (kind, file) in enumerate(kinds(home).items()):
            for damage in choose(number):
                shutil.rmtree(home)
                shutil.copytree(intact, home, symlinks=True)
                damage(file)
                # One job for each kind, because jobs take most of the time.
                found = examine(made, usage, samples, file, runs_job=damage is choose(number)[-1])
                problems += [f"{kind}, {damage.__name__}: {text}" for text in found]
        return problems


if __name__ == "__main__":
    report(damage_everything, "every kind of file damaged")
