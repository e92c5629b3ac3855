"""Which job may run now: at most `max_nodes` of a compute at the same time, at most one for each core in all."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# A compute of a workspace: names are not unique across workspaces.
Lane = tuple[str, str]


@dataclass(eq=False)
class _Ticket:
    lane: Lane
    limit: int
    nodes: int


class Lanes:
    """Lets jobs in, first come first served within what is free.

    The first job of a compute always gets in, however many run on others: a job that submits another one to another
    compute and waits for it must not wait for ever.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or available_cores()
        self._changed = threading.Condition()
        self._running: Counter[Lane] = Counter()
        self._waiting: list[_Ticket] = []

    def enter(
        self,
        lane: Lane,
        limit: int,
        *,
        nodes: int = 1,
        gave_up: Callable[[], bool],
        queued: Callable[[], None] = lambda: None,
    ) -> bool:
        """Wait for places, as many as the job wants `nodes`; False where `gave_up` became true first.

        `queued` is called if there is a wait. `wake` must be called when what `gave_up` says changes.
        """
        ticket = _Ticket(lane, limit, nodes)
        with self._changed:
            self._waiting.append(ticket)
            if self._enter_now(ticket):
                return True
        queued()
        with self._changed:
            while not gave_up():
                if self._enter_now(ticket):
                    return True
                self._changed.wait()
            self._waiting.remove(ticket)
            self._changed.notify_all()
        return False

    def leave(self, lane: Lane, nodes: int = 1) -> None:
        """Give the places back."""
        with self._changed:
            self._running[lane] -= nodes
            self._changed.notify_all()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def _enter_now(self, ticket: _Ticket) -> bool:
        if self._first() is not ticket:
            return False
        self._waiting.remove(ticket)
        self._running[ticket.lane] += ticket.nodes
        # The next one may have a place too.
        self._changed.notify_all()
        return True

    def _first(self) -> _Ticket | None:
        """Who may enter: never before an earlier job of the same compute, which may wait for several nodes."""
        passed: set[Lane] = set()
        for ticket in self._waiting:
            if ticket.lane not in passed and self._has_place(ticket):
                return ticket
            passed.add(ticket.lane)
        return None

    def _has_place(self, ticket: _Ticket) -> bool:
        here = self._running[ticket.lane]
        return here + ticket.nodes <= ticket.limit and (here == 0 or self._running.total() < self._cores)


def available_cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
