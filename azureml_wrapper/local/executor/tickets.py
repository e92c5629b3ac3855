"""A job in progress, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

from azureml_wrapper.local.domain.jobs import Job
from azureml_wrapper.local.executor.process import Process


class StopReason(Enum):
    """Why a job did not end by itself."""

    CANCELED = "the run was canceled"
    TIMEOUT = "the run took longer than its maximum duration"
    SHUTDOWN = "the local service was stopped during the run"


class Stopped(Exception):
    """The job has to stop."""


class Ticket:
    """One job. Stopping it stops the process that runs for it."""

    def __init__(self, job: Job, job_key: str) -> None:
        self.job, self.job_key = job, job_key
        self.reason: StopReason | None = None
        self._lock = threading.Lock()
        self._process: Process | None = None

    @property
    def is_stopped(self) -> bool:
        return self.reason is not None

    def stop(self, reason: StopReason) -> None:
        """Stop the job; returns at once. The first reason counts."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            process = self._process
        if process:
            threading.Thread(target=process.end, name=f"end {self.job.run_id}", daemon=True).start()

    def check(self) -> None:
        """Raise `Stopped` if the job has to stop."""
        if self.is_stopped:
            raise Stopped

    def run(self, start: Callable[[], Process]) -> int:
        """Start a process, wait for its end, and return its exit code; `Stopped` if the job was stopped meanwhile."""
        with self._lock:
            self.check()
            process = self._process = start()
        code = process.wait()
        with self._lock:
            self._process = None
        self.check()
        return code
