"""Decides which job may start: at most `max_nodes` nodes of a compute, and about one job per core in all."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from azureml_wrapper.local.domain.jobs import Job
from azureml_wrapper.local.executor.process import Process

# Workspace id and compute name: names are unique only within a workspace.
ComputeKey = tuple[str, str]


@dataclass(eq=False)
class _Request:
    compute: ComputeKey
    limit: int
    nodes: int


class ComputeSlots:
    """Hands out slots in the order of arrival.

    The first job of a compute always gets a slot, no matter how many jobs run on others: a job that submits another
    one to another compute and waits for it must not deadlock.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or available_cores()
        self._changed = threading.Condition()
        self._running: Counter[ComputeKey] = Counter()
        self._waiting: list[_Request] = []

    def acquire(
        self,
        compute: ComputeKey,
        limit: int,
        *,
        nodes: int = 1,
        gave_up: Callable[[], bool],
        queued: Callable[[], None] = lambda: None,
    ) -> bool:
        """Wait for `nodes` free slots of a compute that has `limit`.

        Args:
            gave_up: Stops the wait when it returns True. Call `wake` whenever its result changes.
            queued: Called once if the job has to wait.

        Returns:
            False if `gave_up` returned True first.
        """
        request = _Request(compute, limit, nodes)
        with self._changed:
            self._waiting.append(request)
            if self._acquire_now(request):
                return True
        queued()
        with self._changed:
            while not gave_up():
                if self._acquire_now(request):
                    return True
                self._changed.wait()
            self._waiting.remove(request)
            self._changed.notify_all()
        return False

    def release(self, compute: ComputeKey, nodes: int = 1) -> None:
        """Return slots."""
        with self._changed:
            self._running[compute] -= nodes
            self._changed.notify_all()

    def wake(self) -> None:
        """Let every waiting job check again."""
        with self._changed:
            self._changed.notify_all()

    def _acquire_now(self, request: _Request) -> bool:
        if self._next() is not request:
            return False
        self._waiting.remove(request)
        self._running[request.compute] += request.nodes
        # There may be a slot for the next one, too.
        self._changed.notify_all()
        return True

    def _next(self) -> _Request | None:
        """The request to serve now. It never overtakes an earlier one for the same compute, however many nodes."""
        passed: set[ComputeKey] = set()
        for request in self._waiting:
            if request.compute not in passed and self._fits(request):
                return request
            passed.add(request.compute)
        return None

    def _fits(self, request: _Request) -> bool:
        used = self._running[request.compute]
        return used + request.nodes <= request.limit and (used == 0 or self._running.total() < self._cores)


def available_cores() -> int:
    """The number of cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class StopReason(Enum):
    """Why a job did not end by itself."""

    CANCELED = "the run was canceled"
    TIMEOUT = "the run took longer than its maximum duration"
    SHUTDOWN = "the local service was stopped during the run"


class Stopped(Exception):
    """The job has to stop."""


class Work:
    """Processes that run one after the other. Stopping the work stops the one that runs."""

    def __init__(self, job_key: str, name: str) -> None:
        self.job_key, self.name = job_key, name
        self.reason: StopReason | None = None
        self._lock = threading.Lock()
        self._process: Process | None = None

    @property
    def is_stopped(self) -> bool:
        return self.reason is not None

    def stop(self, reason: StopReason) -> None:
        """Stop; returns at once. The first reason counts."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            process = self._process
        if process:
            threading.Thread(target=process.end, name=f"end {self.name}", daemon=True).start()

    def check(self) -> None:
        """Raise `Stopped` if the work has to stop."""
        if self.is_stopped:
            raise Stopped

    def run(self, start: Callable[[], Process]) -> int:
        """Start a process, wait for its end, return its exit code; `Stopped` if the work was stopped meanwhile."""
        with self._lock:
            self.check()
            process = self._process = start()
        code = process.wait()
        with self._lock:
            self._process = None
        self.check()
        return code


class Ticket(Work):
    """The work of one job."""

    def __init__(self, job: Job, job_key: str) -> None:
        super().__init__(job_key, name=job.run_id)
        self.job = job
