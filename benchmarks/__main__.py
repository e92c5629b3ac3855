"""`python -m benchmarks [SCENARIO …]`: measure, and write docs/performance.md. Times are in seconds.

Results are written as they come. A run that was interrupted goes on with --resume: what is complete stays.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import document, machine, results
from benchmarks.processes import Failed
from benchmarks.results import Result
from benchmarks.runner import FAILURES, measure
from benchmarks.scenario import Scenario, Setting
from benchmarks.scenarios import SCENARIOS

WORK = Path(__file__).parent / ".work"
BEGUN = WORK / "begun"
ROUNDS, QUICK_ROUNDS = 5, 1


def main() -> None:
    options = parse(sys.argv[1:])
    if options.list:
        print(*(f"{each.name:<12} {each.title}" for each in SCENARIOS), sep="\n")
        return
    wanted = [each for each in SCENARIOS if each.name in options.scenarios or not options.scenarios]
    failed: list[str] = []
    if not options.document:
        campaign = begin(resume=options.resume)
        with scratch() as place:
            failed = [scenario.name for scenario in wanted if not run(scenario, options, campaign, place)]
    if not options.quick:
        document.write(SCENARIOS)
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}.")


def parse(words: list[str]) -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"all, or some of: {', '.join(names)}")
    parser.add_argument(
        "--rounds", type=int, help=f"how often each entry is measured; {ROUNDS}, with --quick {QUICK_ROUNDS}"
    )
    parser.add_argument(
        "--budget",
        type=float,
        help="seconds after which a line gets no further round, in place of its scenario's own",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small cases, once: to see that everything works; not kept"
    )
    parser.add_argument("--resume", action="store_true", help="leave what the run before this one has completed")
    parser.add_argument("--no-peers", action="store_true", help="only azureml_wrapper")
    parser.add_argument("--document", action="store_true", help="only write docs/performance.md from the results")
    parser.add_argument("--list", action="store_true", help="the names of the scenarios")
    options = parser.parse_args(words)
    unknown = sorted({*options.scenarios} - {*names})
    if unknown:
        parser.error(f"unknown scenario {', '.join(unknown)}; known: {', '.join(names)}")
    return options


def begin(*, resume: bool) -> str:
    """When the run began to which the results belong: with `resume`, that before this one."""
    WORK.mkdir(exist_ok=True)
    if not (resume and BEGUN.exists()):
        BEGUN.write_text(datetime.now(timezone.utc).isoformat(timespec="seconds"))
    return BEGUN.read_text()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for all that is measured. What failed stays to be read in .work/failures.log."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        if (folder / FAILURES).exists():
            shutil.copy(folder / FAILURES, WORK)
        shutil.rmtree(folder, ignore_errors=True)


def run(scenario: Scenario, options: argparse.Namespace, campaign: str, place: Path) -> bool:
    """Measure a scenario; return False if its preparations failed."""
    folder = WORK / "quick" if options.quick else results.FOLDER
    before = results.load(scenario.name, folder)
    if options.resume and before and before.complete and before.campaign == campaign:
        print(f"{scenario.title}: measured already")
        return True
    print(f"{scenario.title} ({scenario.name})", flush=True)
    result = Result(
        scenario=scenario.name,
        campaign=campaign,
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        budget=scenario.budget if options.budget is None else options.budget,
        quick=options.quick,
        machine=machine.describe(),
        versions=machine.versions(),
    )
    setting = Setting(
        folder=place / scenario.name,
        shared=place / "peers",
        cache=WORK / "data",
        limit=scenario.limit,
        quick=options.quick,
        peers=not options.no_peers,
    )
    start = time.monotonic()
    try:
        measure(scenario, setting, result, lambda found: results.save(found, folder))
    except Failed as reason:
        print(f"  {reason}\n{reason.output}")
        return False
    print(f"  took {time.monotonic() - start:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted. Go on with --resume.")
