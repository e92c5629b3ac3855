"""A job's process, and all processes that it started.

A job gets a session of its own. The processes that it starts stay in that session, or at least inherit the variable
`AZUREML_WRAPPER_JOB` with the job key. With the two, all processes of a job are found, even after the service that
started them was killed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE, process_table

# Between SIGTERM and SIGKILL.
GRACE_SECONDS = 2.0
# How long SIGKILL may take: a process in a system call ends after the call.
KILL_SECONDS = 2.5
# What a service with thousands of connections and logs needs, if the machine allows it.
MOST_DESCRIPTORS = 65_536
# OPEN_MAX of macOS, where the hard limit may be "unlimited" and a larger soft one is refused.
SAFE_DESCRIPTORS = 10_240
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessId:
    """Identifies a process even if its number is reused later: `ticks` is its start time."""

    pid: int
    ticks: int


@dataclass(frozen=True)
class Shell:
    """What a job inherits besides its variables. The service has other values (`become_service`)."""

    umask: int = -1
    descriptors: int | None = None

    def limit(self, pid: int) -> None:
        """Give a process that was just started the shell's limit of open files, a moment after its start."""
        # Only Linux changes the limits of another process; elsewhere a job has the service's.
        if self.descriptors is not None and hasattr(resource, "prlimit"):
            # The process has ended, or a sandbox refuses the call: the job has the service's limit then.
            with contextlib.suppress(OSError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.descriptors, hard))


_shell = Shell()


def become_service() -> None:
    """Make what this process creates private, and allow it more open files; jobs keep what the shell has."""
    global _shell
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard)
    for wanted in (allowed, min(allowed, SAFE_DESCRIPTORS)):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    _shell = Shell(umask=os.umask(0o077), descriptors=soft)


def shell() -> Shell:
    """What the processes that this one starts for jobs inherit."""
    return _shell


class Process(Protocol):
    """A job's main process."""

    @property
    def identity(self) -> ProcessId:
        """How to find the process again."""

    def go(self) -> None:
        """Let the process begin: its number is stored, so that it can be found even if the service is killed."""

    def wait(self) -> int:
        """Let the process begin, and block until it and all that it started are gone.

        Returns its exit code, or minus a signal.
        """

    def end(self) -> None:
        """Send SIGTERM to the job, and SIGKILL to what is left after `GRACE_SECONDS`. Blocks meanwhile."""


class Starter(Protocol):
    """Starts processes: new ones (ColdStarter), or forks of a preloaded interpreter (warm.py)."""

    def preload(self, interpreter: str, variables: Mapping[str, str]) -> None:
        """Prepare for commands of an interpreter with such variables, in the background."""

    def explain(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> str:
        """A sentence for the log: how `start` would start this command, and why."""

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        """Start `command` in `folder`; its output is appended to `log`. Raises `OSError` if it cannot start."""

    def close(self) -> None:
        """Stop what was preloaded."""


class ColdStarter:
    """A new process for each job."""

    def preload(self, interpreter: str, variables: Mapping[str, str]) -> None:
        pass

    def explain(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> str:
        return "Cold start: a new process."

    def close(self) -> None:
        pass

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=shell().umask,
            )
        shell().limit(process.pid)
        return ChildProcess(process, variables.get(JOB_KEY_VARIABLE, ""))


class ChildProcess:
    """A process that the service started itself."""

    def __init__(self, process: subprocess.Popen[bytes], job_key: str) -> None:
        self._process, self._job_key = process, job_key
        self._identity = ProcessId(process.pid, start_ticks(process.pid))
        self._ended = threading.Event()

    @property
    def identity(self) -> ProcessId:
        return self._identity

    def go(self) -> None:
        """It has begun already; it is found by its job key, which it has from the start."""

    def wait(self) -> int:
        # Reaped only after the rest of its group is gone: until then its number cannot be reused.
        process_table().await_exit(self._identity.pid)
        end_family(self._identity, self._job_key, grace=0)
        self._ended.set()
        return self._process.wait()

    def end(self) -> None:
        if not self._ended.is_set():
            end_family(self._identity, self._job_key)


def end_family(
    leader: ProcessId | None, job_key: str, *, grace: float = GRACE_SECONDS, is_over: bool = False
) -> bool:
    """Stop all processes of a job. Returns False if some are left (they hang in the kernel).

    A `leader` whose number now belongs to another process is ignored. Without one, the job key finds the processes.

    Args:
        is_over: The leader ends by itself at this moment, and is left alone.
    """
    if grace and _signal(_family(leader, job_key), signal.SIGTERM):
        _await_end(leader, job_key, grace)
    deadline = time.monotonic() + KILL_SECONDS
    spared = leader.pid if leader and is_over else None
    while _signal((pid for pid in _family(leader, job_key) if pid != spared), signal.SIGKILL):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def is_alive(process: ProcessId) -> bool:
    """Whether exactly this process runs."""
    status = process_table().status(process.pid)
    return status is not None and status.ticks == process.ticks


def _await_end(leader: ProcessId | None, job_key: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_family(leader, job_key)):
        time.sleep(_POLL_SECONDS)


def _signal(pids: Iterator[int], number: signal.Signals) -> int:
    """Send a signal to each process. Returns how many there were."""
    sent = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            sent += 1
    return sent


def _family(leader: ProcessId | None, job_key: str) -> Iterator[int]:
    """The living processes of a job."""
    table = process_table()
    holder = table.status(leader.pid) if leader else None
    number = None if leader is None or (holder and holder.ticks != leader.ticks) else leader.pid
    # Processes that are older than the job do not belong to it.
    for pid in table.started_since(leader.ticks if leader else 0):
        status = table.status(pid)
        # A process that was just forked has neither its session nor its job key yet.
        is_led = status is not None and number is not None and number in (pid, status.session)
        if status and status.lives and (is_led or table.has_job_key(pid, job_key)):
            yield pid


def start_ticks(pid: int) -> int:
    """When a process started, in the unit of the process table; 0 if it is gone."""
    status = process_table().status(pid)
    return status.ticks if status else 0
