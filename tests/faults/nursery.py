"""Forks services: `python -m tests.faults.nursery HOME [FOLDER]`. A service that is forked starts five times as fast.

With a folder, their preloaded processes import nothing (tests/light.py).

Reads a line for each service that it is to start, and prints its number. A forked service is a process and a session
of its own, exactly like `python -m azureml_wrapper.local.server`, whose `main` it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from azureml_wrapper.local import server

# Sweeps are imported on first use by a service; here once for all of them.
from azureml_wrapper.local.executor import sweeps, zygote  # noqa: F401
from tests import light


def become_service(home: str) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open(f"{home}/service.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.argv[:] = ["azureml_wrapper.local.server", "--home", home, "--idle", "0"]
    code = 1
    try:
        server.main()
        code = 0
    except SystemExit as error:
        print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as the interpreter itself does
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def main() -> None:
    if len(sys.argv) > 2:
        zygote.__file__ = light.zygote_in(Path(sys.argv[2]))
    # The kernel reaps services that end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            become_service(sys.argv[1])
        print(pid, flush=True)


if __name__ == "__main__":
    main()
