"""The worker processes, and which of them processes which mini-batch.

They are forked from the driver, which has neither threads nor the user's code, so a worker that hangs or dies can be
replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection

from .batches import Batch
from .settings import Settings, StepFailed
from .worker import Done, Failed, Ready, work

_FORK = multiprocessing.get_context("fork")


@dataclass
class _Worker:
    """A process, which is started at once; `batch` is what it processes."""

    index: int
    settings: Settings
    flush: Callable[[], None]
    batch: Batch | None = None
    deadline: float = float("inf")
    is_ready: bool = False
    orders: connection.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.orders, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=work, args=(self.settings, self.index, theirs, self.flush))
        self._process.start()
        # Otherwise the end of the process would go unnoticed.
        theirs.close()

    def give(self, batch: Batch) -> None:
        batch.tries += 1
        self.batch, self.deadline = batch, time.monotonic() + self.settings.timeout
        self._send(batch)

    def take(self) -> Done | Failed | Ready:
        """The worker's answer; `Failed` if it has died."""
        try:
            answer: Done | Failed | Ready = self.orders.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return Failed(f"The worker process ended (exit code {self._process.exitcode}).")
        return answer

    @property
    def is_alive(self) -> bool:
        return self._process.exitcode is None

    def dismiss(self) -> None:
        """Let the worker end by itself: it calls shutdown(), and saves what it logged."""
        self._send(None)

    def join(self) -> None:
        self._process.join()

    def _send(self, order: Batch | None) -> None:
        # If it has died, the wait for its answer will notice.
        with contextlib.suppress(BrokenPipeError):
            self.orders.send(order)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.orders.close()


class WorkerPool:
    """All workers."""

    def __init__(self, settings: Settings, flush: Callable[[], None]) -> None:
        self._settings, self._flush = settings, flush
        self._workers = [_Worker(index, settings, flush) for index in range(settings.workers)]

    def work(self, batches: list[Batch]) -> Iterator[tuple[Batch, Done | Failed]]:
        """Each mini-batch with its result or its last failure; `StepFailed` if init() fails."""
        waiting = deque(batches)
        left = len(batches)
        while left:
            for batch, answer in self._answers(waiting):
                if isinstance(answer, Failed) and batch.tries < self._settings.tries:
                    waiting.append(batch)
                    continue
                left -= 1
                yield batch, answer

    def dismiss(self) -> None:
        """Let all workers end by themselves."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.join()

    def kill(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.kill()

    def _answers(self, waiting: deque[Batch]) -> Iterator[tuple[Batch, Done | Failed]]:
        """Distribute work, wait for the next event, and return the answers."""
        for worker in self._workers:
            if worker.is_ready and worker.batch is None and waiting:
                worker.give(waiting.popleft())
        by_orders = {worker.orders: worker for worker in self._workers}
        soonest = min(worker.deadline for worker in self._workers)
        seconds = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
        for orders in connection.wait(list(by_orders), seconds):
            worker = by_orders[orders]  # type: ignore[index] # only connections are waited for
            yield from self._take(worker)
        for worker in list(self._workers):
            if worker.deadline <= time.monotonic() and worker.batch:
                text = (
                    f"run() took longer than run_invocation_timeout ({self._settings.timeout:g} s) and was stopped."
                )
                yield worker.batch, self._replace(worker, Failed(text))

    def _take(self, worker: _Worker) -> Iterator[tuple[Batch, Done | Failed]]:
        answer, batch = worker.take(), worker.batch
        if isinstance(answer, Ready):
            worker.is_ready = True
        elif batch is None and worker.is_ready:
            self._replace(worker, answer)
        elif batch is None:
            raise StepFailed(f"A worker could not start. {answer.reason if isinstance(answer, Failed) else ''}")
        else:
            worker.batch, worker.deadline = None, float("inf")
            yield batch, answer if worker.is_alive else self._replace(worker, answer)

    def _replace(self, worker: _Worker, answer: Done | Failed) -> Done | Failed:
        worker.kill()
        self._workers[self._workers.index(worker)] = _Worker(worker.index, self._settings, self._flush)
        return answer
