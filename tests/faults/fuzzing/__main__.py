"""`python -m tests.faults.fuzzing N [--seed S]`: N requests to a service; exits with 1 if it finds something."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.faults.fuzzing.rounds import FINDINGS_SHOWN, Requests, Tally, bench, fuzz

PROGRESS_SECONDS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzzing", description=__doc__)
    parser.add_argument("number", type=int, metavar="N", help="how many requests to send")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other requests (default: 0)")
    parser.add_argument("--begin", type=int, default=0, help="the number of the first request (default: 0)")
    parser.add_argument("--save", type=Path, help="a folder for the requests that break something")
    options = parser.parse_args()
    tally, requests = Tally(), Requests(options.seed)
    saved = options.save or Path(tempfile.gettempdir()) / f"fuzz-findings-{os.getpid()}"
    print(f"seed {options.seed}, {len(requests.prepared)} routes; findings are saved in {saved}", flush=True)
    last = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder), tally, saved) as made:
        for _ in fuzz(made, requests, range(options.begin, options.begin + options.number)):
            if time.monotonic() - last > PROGRESS_SECONDS:
                last = time.monotonic()
                print(tally.line(), flush=True)
    print(f"{tally.line()}; {tally.retried} slow answers were asked for again")
    for text in [*tally.findings.values()][:FINDINGS_SHOWN]:
        print(f"\n{text}")
    raise SystemExit(bool(tally.findings))


if __name__ == "__main__":
    main()
