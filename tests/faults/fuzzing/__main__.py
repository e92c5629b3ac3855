"""`python -m tests.faults.fuzzing N [--seed S]`: N requests to a service; exits with 1 if it finds something."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.fuzzing.rounds import FINDINGS_SHOWN, ROUND, Requests, Tally, bench, fuzz

PROGRESS_SECONDS = 30.0


def main() -> None:
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzzing", description=__doc__)
    parser.add_argument("number", type=int, metavar="N", help="how many requests to send")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other requests (default: 0)")
    parser.add_argument("--begin", type=int, default=0, help="the number of the first request (default: 0)")
    parser.add_argument("--services", type=int, default=1, help="how many services share the requests (default: 1)")
    parser.add_argument("--save", type=Path, help="a folder for the requests that break something")
    options = parser.parse_args()
    saved = options.save or Path(tempfile.gettempdir()) / f"fuzz-findings-{os.getpid()}"
    routes = len(Requests(options.seed).prepared)
    print(f"seed {options.seed}, {routes} routes; findings are saved in {saved}", flush=True)
    numbers = range(options.begin, options.begin + options.number)
    tally, run = Tally(), partial(part, options.seed, saved)
    if options.services == 1:
        tally = run(numbers)
    else:
        with ProcessPoolExecutor(options.services) as pool:
            for found in pool.map(run, shares(numbers, options.services)):
                tally.add(found)
    print(f"{tally.line()}; {tally.retried} slow answers were asked for again")
    for text in [*tally.findings.values()][:FINDINGS_SHOWN]:
        print(f"\n{text}")
    raise SystemExit(bool(tally.findings))


def shares(numbers: range, count: int) -> list[range]:
    """The numbers in equal parts of whole rounds; the last has the rest."""
    size = max(ROUND, len(numbers) // count // ROUND * ROUND)
    begins = [*range(numbers.start, numbers.stop, size)][:count]
    ends = [*begins[1:], numbers.stop]
    return [range(begin, end) for begin, end in zip(begins, ends, strict=True)]


def _end(*_: object) -> None:
    """Stop the service and delete its home, also if this process is told to end."""
    raise SystemExit(1)


def part(seed: int, saved: Path, numbers: range) -> Tally:
    """What came of some of the requests, with a service of their own."""
    signal.signal(signal.SIGTERM, _end)
    tally, last = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder), tally, saved) as made:
        for _ in fuzz(made, Requests(seed), numbers):
            if time.monotonic() - last > PROGRESS_SECONDS:
                last = time.monotonic()
                print(f"from {numbers.start}: {tally.line()}", flush=True)
    return tally


if __name__ == "__main__":
    main()
