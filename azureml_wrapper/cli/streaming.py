"""Shows what a run's script prints, while it runs; the SDK's streaming leaves out what comes after its last poll."""

from __future__ import annotations

import sys
import time

from azureml_wrapper.run import ENDS, RunWrapper

FIRST_PAUSE, LAST_PAUSE = 0.3, 5.0  # seconds between two looks; each is half as long again as the one before


def stream(run: RunWrapper) -> None:
    """Print the logs of the script to the end of the run."""
    shown: dict[str, int] = {}
    pause = FIRST_PAUSE
    while True:
        ended = run.status in ENDS
        grown = _show(run, shown)
        if ended:
            return
        pause = FIRST_PAUSE if grown else min(pause * 1.5, LAST_PAUSE)
        time.sleep(pause)


def _show(run: RunWrapper, shown: dict[str, int]) -> bool:
    """Print what is new; whether there was something. Logs of several processes are told apart by their names."""
    names = run._script_logs()
    grown = False
    for name in names:
        text = run._read(name)
        new = text[shown.get(name, 0) :]
        shown[name] = len(text)
        if new:
            grown = True
            sys.stdout.write(f"==> {name} <==\n{new}" if len(names) > 1 else new)
    sys.stdout.flush()
    return grown
