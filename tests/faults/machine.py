"""A home whose service is killed and started again, and what must hold after each start."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import requests

from azureml_wrapper.local import faultpoints
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens
from tests.waiting import until

JOB_KEY = b"AZUREML_WRAPPER_JOB="
HOME_OF_JOB = b"AZUREML_WRAPPER_HOME="
API = "2020-10-02"
SCOPE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/local"


class Gone(Exception):
    """The service did not answer: it was killed."""


class Refused(Exception):
    """The service answered with an error."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
        self.status = answer.status_code


class Machine:
    """One home, the services that use it one after the other, and a client of them."""

    def __init__(self, folder: Path, *, warm: bool = False, is_light: bool = False) -> None:
        self.home = Home(folder / "home")
        self.home.create()
        self.orders = folder / "orders"
        self.passed_file = folder / "orders.passed"
        self.pid = 0
        # By how many seconds the clock of the service and of its client differs from this machine's.
        self.shift = 0.0
        environment = {
            **os.environ,
            faultpoints.VARIABLE: str(self.orders),
            "AZUREML_WRAPPER_HOME": str(self.home.path),
            "AZUREML_WRAPPER_WARM": "on" if warm else "off",
        }
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", str(self.home.path), *([str(folder)] if is_light else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.connect()

    def connect(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def start(self) -> None:
        """Start a service, unless one runs. Repeated until one stays, because a start may be killed, too."""
        while not self.alive:
            self.start_once()

    def start_once(self) -> bool:
        """Start a service. Returns False if it has ended instead; `log` says why."""
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.write("start\n")
        self._nursery.stdin.flush()
        self.pid = int(self._nursery.stdout.readline())
        until(lambda: not self.alive or self._has_started(), tell=self.log)
        self.connect()
        return self.alive

    def _has_started(self) -> bool:
        info = self.home.read_service()
        return info is not None and info.pid == self.pid

    @property
    def alive(self) -> bool:
        if not self.pid:
            return False
        with suppress(OSError):
            os.kill(self.pid, 0)
            return True
        return False

    def kill(self, *, is_awaited: bool = True) -> None:
        if not self.pid:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if is_awaited:
            until(lambda: not self.alive)

    def stop(self) -> None:
        """End the service as its user does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        until(lambda: not self.alive, tell=self.log)

    def close(self) -> None:
        self.kill()
        for pid in self.strangers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._nursery.kill()
        self._nursery.wait()

    def log(self) -> str:
        return self.home.log_file.read_text(errors="replace")[-4000:]

    # Faults

    def order(self, fault: str, point: str = faultpoints.ANY, *, first: int = 1, times: int = 1) -> None:
        waiting = self.orders.with_suffix(".new")
        waiting.write_text(faultpoints.order(fault, point, first=first, times=times))
        waiting.replace(self.orders)

    def cancel_order(self) -> bool:
        """Returns whether the order was still open."""
        is_open = self.orders.exists()
        self.orders.unlink(missing_ok=True)
        return is_open

    def set_clock(self, seconds: float) -> None:
        """Set the clock of the service and of its client, from this machine's."""
        waiting, clock = self.orders.with_suffix(".new"), self.orders.with_name(f"{self.orders.name}.clock")
        waiting.write_text(str(seconds))
        # A client never sends a token that the service takes for an old one.
        self.shift = max(seconds, self.shift)
        waiting.replace(clock)
        self.shift = seconds

    def passed(self) -> set[str]:
        """The points that were passed since the last call."""
        found = set(self.passed_file.read_text().split()) if self.passed_file.exists() else set()
        self.passed_file.unlink(missing_ok=True)
        return found

    # Requests

    def ask(self, method: str, path: str, body: object = None, *, data: bytes | None = None, **headers: str):
        """The answer to a request; raises `Gone` or `Refused`."""
        info = self.home.read_service()
        if info is None:
            raise Gone
        token = Tokens(info.secret).user(now=time.time() + self.shift)
        given = {"Authorization": f"Bearer {token}", **headers}
        address = f"http://127.0.0.1:{info.port}{path.replace('{ws}', SCOPE)}"
        try:
            answer = self._session.request(method, address, json=body, data=data, headers=given, timeout=60)
        except requests.RequestException as error:
            raise Gone from error
        if not answer.ok:
            raise Refused(answer)
        return answer

    def storage(self, method: str, path: str, data: bytes = b"", **headers: str):
        return self.ask(method, path, data=data, **{"x-ms-version": API, **headers})

    # What must hold

    def strangers(self) -> list[int]:
        """Processes of jobs of this home."""
        found = []
        mark = HOME_OF_JOB + str(self.home.path).encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    variables = (entry / "environ").read_bytes().split(b"\0")
                    is_job = any(variable.startswith(JOB_KEY) for variable in variables)
                    if is_job and (mark in variables or self._works_here(entry)):
                        found.append(int(entry.name))
        return found

    def _works_here(self, entry: Path) -> bool:
        return (entry / "cwd").readlink().is_relative_to(self.home.jobs)

    @property
    def has_jobs(self) -> bool:
        """Whether a job has its folder, which is removed when its run has ended."""
        return any(self.home.jobs.iterdir())

    def unfinished(self) -> list[str]:
        """Runs that have not ended, except interactive ones, and those that a client has created only."""
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT r.run_id, r.run_type, r.status FROM runs AS r LEFT JOIN pipeline_runs AS p USING (run_id)"
                " WHERE r.run_type IS NOT NULL AND r.status NOT IN ('Completed', 'Failed', 'Canceled')"
                " AND NOT (p.run_id IS NOT NULL AND NOT p.is_submitted AND p.pipeline_id IS NULL)"
            )
            return [" ".join(map(str, row)) for row in rows]

    def integrity(self) -> str:
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as database:
            return str(database.execute("PRAGMA integrity_check").fetchone()[0])

    def temporary_files(self) -> list[str]:
        """What only a request, a job or a write in progress may have."""
        home = self.home.path
        found = [*self.home.incoming.iterdir(), *(home / "blobs" / ".incoming").iterdir(), *self.home.jobs.iterdir()]
        found += [path for path in self.home.snapshots.glob("*/*") if len(path.name) != 64]
        found += [path for folder in (home, self.home.tls) for path in folder.glob(".*.*")]
        found += [path for path in self.home.tls.glob("trust-*") if path.suffix not in ("", ".pem")]
        return sorted(str(path.relative_to(home)) for path in found)


def report(find: Callable[[Path], list[str]], what: str) -> NoReturn:
    """What a command of `make faults` does: print what was found, and exit with 1 if that is anything."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        problems = find(Path(folder))
    print(f"{what} in {time.monotonic() - begin:.0f} s; {len(problems)} problems")
    for problem in problems:
        print(problem)
    raise SystemExit(bool(problems))


@contextmanager
def machine(folder: Path, *, warm: bool = False, is_light: bool = False) -> Iterator[Machine]:
    made = Machine(folder, warm=warm, is_light=is_light)
    try:
        yield made
    finally:
        made.close()
