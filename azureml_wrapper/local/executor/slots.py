"""Decides which job may start: at most `max_nodes` nodes of a compute, and about one job per core in all."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush

from azureml_wrapper.local.domain.errors import Invalid, NotFound
from azureml_wrapper.local.domain.jobs import Job
from azureml_wrapper.local.domain.runs import LOCAL_TARGET
from azureml_wrapper.local.executor.process import Process
from azureml_wrapper.local.store.documents import ComputeStore

# Workspace id and compute name: names are unique only within a workspace.
ComputeKey = tuple[str, str]


@dataclass(eq=False, kw_only=True)
class Request:
    """What a job asks for: `nodes` of a compute that has `limit`.

    `number` is its place in the order of arrival. `start` is called when a request that had to wait gets them, and
    returns False if the job cannot begin. `gave_up` says that the job has been stopped.
    """

    slots: ComputeSlots
    compute: ComputeKey
    limit: int
    nodes: int = 1
    number: int
    start: Callable[[], bool]
    gave_up: Callable[[], bool]
    waits: bool = False


class ComputeSlots:
    """Hands out slots in the order of arrival.

    The first job of a compute always gets a slot, no matter how many jobs run on others: a job that submits another
    one to another compute and waits for it must not deadlock. Requests wait in one queue per compute, and without a
    thread: what a change costs depends on the number of computes, not on that of the requests.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or available_cores()
        self._lock = threading.Lock()
        self._running: Counter[ComputeKey] = Counter()
        self._all_running = 0
        # Heaps. Who gives up stays in one, but not as its first.
        self._queues: dict[ComputeKey, list[tuple[int, Request]]] = {}

    def acquire(self, request: Request) -> bool:
        """Take the slots if they are free and no earlier request for the compute waits."""
        with self._lock:
            return request.compute not in self._queues and self._take(request)

    def wait(self, request: Request) -> bool:
        """Queue for the slots. Returns True if they are free now; otherwise `request.start` is called later.

        Raises:
            Stopped: The job has given up. Stop it first, and then call `withdraw`.
        """
        with self._lock:
            if request.gave_up():
                raise Stopped
            if request.compute not in self._queues and self._take(request):
                return True
            request.waits = True
            heappush(self._queues.setdefault(request.compute, []), (request.number, request))
        return False

    def withdraw(self, request: Request) -> bool:
        """Give up waiting. Returns False if the request does not wait: it has its slots, or has not queued yet."""
        return bool(self.withdraw_all([request]))

    def withdraw_all(self, requests: Iterable[Request]) -> list[Request]:
        """Give up waiting, before any of them is served. Returns those that waited."""
        with self._lock:
            withdrawn = [request for request in requests if request.waits]
            for request in withdrawn:
                self._leave_queue(request)
        self._pass_on([])
        return withdrawn

    def release(self, request: Request) -> None:
        """Return slots."""
        self._pass_on([request])

    def _pass_on(self, returned: list[Request]) -> None:
        while True:
            with self._lock:
                for request in returned:
                    self._running[request.compute] -= request.nodes
                    self._all_running -= request.nodes
                served = self._serve()
            returned = [request for request in served if not request.start()]
            if not returned:
                return

    def _serve(self) -> list[Request]:
        """Give slots to those whose turn it is."""
        served = []
        while request := self._next():
            self._leave_queue(request)
            self._take(request)
            served.append(request)
        return served

    def _next(self) -> Request | None:
        """The request to serve now. It never overtakes an earlier one for the same compute, however many nodes."""
        first = (queue[0][1] for queue in self._queues.values())
        return min(filter(self._fits, first), key=lambda request: request.number, default=None)

    def _leave_queue(self, request: Request) -> None:
        request.waits = False
        queue = self._queues[request.compute]
        while queue and not queue[0][1].waits:
            heappop(queue)
        if not queue:
            del self._queues[request.compute]

    def _take(self, request: Request) -> bool:
        if not self._fits(request):
            return False
        self._running[request.compute] += request.nodes
        self._all_running += request.nodes
        return True

    def _fits(self, request: Request) -> bool:
        used = self._running[request.compute]
        return used + request.nodes <= request.limit and (used == 0 or self._all_running < self._cores)


def nodes_of(job: Job, computes: ComputeStore) -> int:
    """How many nodes the compute of a job has.

    Raises:
        NotFound: The cluster does not exist.
        Invalid: It has fewer than the job asks for.
    """
    if job.target.lower() == LOCAL_TARGET:
        return max(available_cores(), job.node_count)
    compute = computes.find(job.workspace_id, job.target)
    if compute is None:
        raise NotFound(f"AzureMLCompute cluster {job.target} does not exist")
    if job.node_count > compute.max_nodes:
        raise Invalid(
            f"The job asks for {job.node_count} nodes, but the cluster {job.target} has at most "
            f"{compute.max_nodes} (max_nodes). Use fewer nodes, or increase max_nodes."
        )
    return compute.max_nodes


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
