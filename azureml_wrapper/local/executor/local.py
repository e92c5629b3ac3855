"""The executor: accepts jobs, lets them wait for a slot, and runs each in a thread of its own.

A job that waits, for a slot or while another one builds its environment, occupies no thread: it gets another one when
its turn has come.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.errors import Conflict, ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import SCRIPT_RUN_TYPE, Job, NewJob
from azureml_wrapper.local.domain.runs import JSON, RunError, RunStatus
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.builds import EnvironmentBuilder
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.endings import Ending
from azureml_wrapper.local.executor.prebuilds import Prebuilds
from azureml_wrapper.local.executor.process import ProcessId, Starter, end_family
from azureml_wrapper.local.executor.session import Session
from azureml_wrapper.local.executor.slots import (
    ComputeKey,
    ComputeSlots,
    Request,
    Stopped,
    StopReason,
    Ticket,
    nodes_of,
)
from azureml_wrapper.local.executor.variables import inherited, interpreter_variables, service_variables
from azureml_wrapper.local.executor.workqueue import DEFECT, WorkQueue, defect_fault
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.garbage import delete

# Stopping processes takes up to 4.5 s, publishing their files a little more.
CLOSE_SECONDS = 8.0
RETRY_SECONDS = 2.0
# How often an end meets errors which will not pass by themselves, until its run is abandoned.
MOST_DEFECTS = 3
# How often the removal of a job's folder is tried, RETRY_SECONDS apart.
MOST_REMOVALS = 30
# Jobs that end in one transaction. Between them, what follows from their ends has its turn.
CANCELED_AT_ONCE = 250
LEFT_BEHIND = "the local service was killed during the run"

log = logging.getLogger("azureml_wrapper.local")


@dataclass(eq=False)
class _Active:
    """A job that waits or runs. `request` is what it waits for, or holds; `thread` is None while it waits."""

    ticket: Ticket
    session: Session
    number: int
    request: Request | None = None
    thread: threading.Thread | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.ticket.job.workspace_id, self.ticket.job.run_id


# A part of a job's life; its result is None if the job waits now.
Stage = Callable[[_Active], Ending | None]


class LocalExecutor:
    """Runs jobs as processes of this machine (domain/jobs.py, Executor)."""

    def __init__(self, context: ExecutorContext, *, starter: Starter, cores: int | None = None) -> None:
        self._context = context
        self._starter = starter
        self._builder = EnvironmentBuilder(
            context.home.environments, self._starter, os.environ, blobs=context.home.blobs
        )
        self.prebuilds = Prebuilds(context, self._builder)
        self._slots = ComputeSlots(cores)
        # A "compute" for each environment, on which one job at a time builds it.
        self._builds = ComputeSlots(sys.maxsize)
        # Ends the jobs that are stopped while they wait.
        self._withdrawn = WorkQueue()
        self._lock, self._numbers = threading.Lock(), count()
        self._active: dict[tuple[str, str], _Active] = {}
        self._closing = threading.Event()

    def preload(self) -> None:
        """Preload the service's own interpreter for the first jobs."""
        shell = inherited(os.environ)
        path = interpreter_variables(Path(sys.executable), shell.get("PATH", os.defpath))
        self._starter.preload(sys.executable, {**shell, **path, **service_variables(self._context)})

    def recover(self) -> None:
        for record in self._context.jobs.all():
            # A job whose process had just started may have no number yet; its key finds it.
            leader = ProcessId(record.pid, record.ticks or 0) if record.pid is not None else None
            if not end_family(leader, record.job_key):
                log.warning("processes of run %s could not be stopped", record.run_id)
            fault_point("recovery.job-stopped")
            self._fail_left_behind(record.workspace_id, record.run_id)
            fault_point("recovery.job-failed")
            self._context.jobs.remove(record.job_key)
        for run in self._context.runs.unfinished():
            # Prepared for a script on the user's machine that did not start.
            if run.run_type == SCRIPT_RUN_TYPE:
                self._fail_left_behind(run.workspace_id, run.run_id)
        fault_point("recovery.jobs-failed")
        for folder in self._context.home.jobs.iterdir():
            Attempts(f"removing {folder}").attempt(partial(delete, folder))

    def submit(self, job: Job) -> None:
        self._accept(job, lambda: None)

    def submit_new(self, made: NewJob) -> None:
        self._accept(made.job, lambda: self._context.runs.add(made.run, made.definition))

    def _accept(self, job: Job, add_run: Callable[[], object]) -> None:
        ticket = Ticket(job, job_key=self._context.ids.guid())
        session = Session(self._context, ticket, self._starter, self._builder)
        active = _Active(ticket, session, number=next(self._numbers))
        with self._lock:
            if active.key in self._active:
                raise Conflict(f"Run {job.run_id} has been submitted already.")
            self._active[active.key] = active
        try:
            with self._context.runs.transaction():
                add_run()
                self._context.jobs.add(ticket.job_key, *active.key)
                self._advance(ticket, RunStatus.STARTING)
        except BaseException:
            self._forget(active)
            raise
        fault_point("jobs.stored")
        self._start(active, self._prepare)

    def _start(self, active: _Active, stage: Stage) -> bool:
        """Do a part of a job in a new thread. Returns False if there can be no more threads: the job fails."""
        name = f"job {active.ticket.job.run_id}"
        thread = threading.Thread(target=self._work, args=(active, stage), name=name, daemon=True)
        with self._lock:
            active.thread = thread
        try:
            thread.start()
        except RuntimeError as error:
            # The machine allows no more threads.
            with self._lock:
                active.thread = None
            self._finish(active, endings.failed(f"The job could not be run: {error}.", code="ServiceError"))
            return False
        return True

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        active = self._active.get((workspace_id, run_id))
        if active is None:
            return False
        run = self._context.runs.find(workspace_id, run_id)
        # One that has ended may still have its folder, or its process: a program ends runs with the target local.
        is_over = run is None or run.status.is_terminal
        if not is_over:
            self._advance(active.ticket, RunStatus.CANCEL_REQUESTED)
        self._stop(active, StopReason.CANCELED)
        return not is_over

    def cancel_waiting(self, workspace_id: str, run_ids: Sequence[str]) -> set[str]:
        asked = [active for run_id in run_ids if (active := self._active.get((workspace_id, run_id)))]
        requests = {active.request: active for active in asked if active.request}
        # All of them before any ends: a slot that one of them leaves must not start another.
        waited = [
            requests[request]
            for slots in (self._slots, self._builds)
            for request in slots.withdraw_all(each for each in requests if each.slots is slots)
        ]
        for active in waited:
            active.ticket.stop(StopReason.CANCELED)
        for first in range(0, len(waited), CANCELED_AT_ONCE):
            self._withdrawn.put(partial(self._end_waiting, waited[first : first + CANCELED_AT_ONCE]))
        return {active.key[1] for active in waited}

    def _end_waiting(self, canceled: list[_Active]) -> None:
        """End jobs of a workspace that were canceled while they waited; each by itself if that fails."""
        for active in canceled:
            self._complete(active)
        Attempts("storing the ends of canceled runs").attempt(partial(self._store_canceled, canceled))
        for active in canceled:
            if active.key in self._active:
                self._withdrawn.put(partial(self._work, active, _check))

    def _store_canceled(self, canceled: list[_Active]) -> None:
        workspace_id, _ = canceled[0].key
        run_ids = self._context.runs.cancel_waiting(workspace_id, [active.key[1] for active in canceled])
        fault_point("jobs.ends-stored")
        ended = [active for active in canceled if active.key[1] in run_ids]
        self._context.jobs.remove_all([active.ticket.job_key for active in ended])
        for active in ended:
            self._forget(active)

    def is_busy(self) -> bool:
        return bool(self._active) or self.prebuilds.is_busy()

    def close(self) -> None:
        with self._lock:
            left = list(self._active.values())
        self._closing.set()
        for active in left:
            self._stop(active, StopReason.SHUTDOWN)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in [active.thread for active in left]:
            if thread:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._withdrawn.join(max(0.0, deadline - time.monotonic()))
        self.prebuilds.close()
        self._starter.close()

    def _stop(self, active: _Active, reason: StopReason) -> None:
        active.ticket.stop(reason)
        if active.request and active.request.slots.withdraw(active.request):
            # It has no thread that could notice.
            self._withdrawn.put(partial(self._work, active, _check))

    def _work(self, active: _Active, stage: Stage) -> None:
        """Do a part of a job in its thread: all the rest, unless it has to wait."""
        # Used after an unexpected exception: a run must not seem to go on forever.
        ending: Ending | None = endings.failed(DEFECT, code="ServiceError")
        try:
            ending = self._ending(active, stage)
        finally:
            if ending:
                self._finish(active, ending)
            else:
                self._leave(active)

    def _leave(self, active: _Active) -> None:
        """Forget this thread, which leaves a job that waits, unless the job has another one already."""
        with self._lock:
            if active.thread is threading.current_thread():
                active.thread = None

    def _ending(self, active: _Active, stage: Stage) -> Ending | None:
        ticket, session = active.ticket, active.session
        try:
            return stage(active)
        except Stopped:
            return endings.stopped(ticket.reason or StopReason.CANCELED, seconds=ticket.job.timeout)
        except ServiceFault as fault:
            session.say(fault.message)
            return endings.failed(fault.message)
        except OSError as error:
            # What the machine prevents needs no traceback; something else may be a defect.
            log.warning("run %s: %s", ticket.job.run_id, error, exc_info=not is_temporary(error))
            return endings.failed(f"The job could not be run: {type(error).__name__}: {error}", code="ServiceError")

    def _prepare(self, active: _Active) -> Ending | None:
        to_build = active.session.prepare()
        if to_build is None:
            return self._enter(active)
        active.request = self._request(active, self._build, self._builds, ("", to_build), 1)
        return self._build(active) if self._builds.wait(active.request) else None

    def _build(self, active: _Active) -> Ending | None:
        with _held(active):
            active.session.build()
        return self._enter(active)

    def _enter(self, active: _Active) -> Ending | None:
        """Run a job if its compute has free slots; otherwise it waits for them."""
        job = active.ticket.job
        compute, limit = (job.workspace_id, job.target.lower()), nodes_of(job, self._context.computes)
        request = self._request(active, self._run, self._slots, compute, limit, nodes=job.node_count)
        active.request = request
        if not self._slots.acquire(request):
            self._advance(active.ticket, RunStatus.QUEUED)
            if not self._slots.wait(request):
                return None
        return self._run(active)

    def _run(self, active: _Active) -> Ending:
        with _held(active):
            return active.session.run(timed_out=lambda: self._stop(active, StopReason.TIMEOUT))

    def _request(
        self, active: _Active, stage: Stage, slots: ComputeSlots, compute: ComputeKey, limit: int, *, nodes: int = 1
    ) -> Request:
        return Request(
            slots=slots,
            compute=compute,
            limit=limit,
            nodes=nodes,
            number=active.number,
            start=partial(self._start, active, stage),
            gave_up=lambda: active.ticket.is_stopped,
        )

    def _finish(self, active: _Active, ending: Ending) -> None:
        self._complete(active)
        self._end(active, ending)

    def _complete(self, active: _Active) -> None:
        Attempts(f"completing the files of run {active.ticket.job.run_id}").attempt(active.session.complete)

    def _end(self, active: _Active, ending: Ending) -> None:
        """Store how a job ended, until it succeeds: a disk has space again, a database is unlocked.

        If the service ends first, `recover` does it. After other errors the run is abandoned.
        """
        try:
            self._store_end(active, ending)
            self._remove_folder(active)
        finally:
            self._forget(active)

    def _store_end(self, active: _Active, ending: Ending) -> None:
        ticket = active.ticket
        attempts = Attempts(f"storing the end of run {ticket.job.run_id}")
        store, defects = partial(self._store, ticket, ending), 0
        while True:
            # Once more after the service has begun to end, and at once then.
            is_last = self._closing.is_set()
            error = attempts.attempt(store)
            if error is None or is_last:
                return
            # The next attempt may need the space of a full disk.
            self._remove_folder(active, times=1)
            defects += not is_temporary(error)
            if defects == MOST_DEFECTS:
                store = partial(self._abandon, ticket, error)
            self._closing.wait(RETRY_SECONDS)

    def _remove_folder(self, active: _Active, times: int = MOST_REMOVALS) -> None:
        """What waits for the end of the run need not wait for this. The next start removes what is left."""
        attempts = Attempts(f"removing the folder of run {active.ticket.job.run_id}")
        attempts.repeat(active.session.remove, times, partial(self._closing.wait, RETRY_SECONDS))

    def _abandon(self, ticket: Ticket, error: Exception) -> None:
        """Fail a run whose end cannot be stored, by the smallest write."""
        fault = defect_fault(error)
        form = self._form(RunError(message=fault.message, code=fault.code, component="CommonRuntime"))
        self._context.runs.abandon(ticket.job.workspace_id, ticket.job.run_id, form or {})
        self._context.jobs.remove(ticket.job_key)

    def _forget(self, active: _Active) -> None:
        with self._lock:
            self._active.pop(active.key, None)

    def _store(self, ticket: Ticket, ending: Ending) -> None:
        run = self._context.runs.find(ticket.job.workspace_id, ticket.job.run_id)
        if run and run.requested_failure and ending.status is not RunStatus.CANCELED:
            ending = Ending(RunStatus.FAILED, run.requested_failure)
        self._advance(ticket, ending.status, ending.error)
        fault_point("jobs.end-stored")
        self._context.jobs.remove(ticket.job_key)

    def _advance(self, ticket: Ticket, status: RunStatus, error: RunError | JSON | None = None) -> None:
        try:
            self._context.runs.advance(ticket.job.workspace_id, ticket.job.run_id, status, error=self._form(error))
        except Conflict as fault:
            # A cancel was requested in the meantime; the run can only end.
            log.info("%s", fault.message)

    def _fail_left_behind(self, workspace_id: str, run_id: str) -> None:
        run = self._context.runs.find(workspace_id, run_id)
        if run is None or run.status.is_terminal:
            return
        was_canceled = run.status is RunStatus.CANCEL_REQUESTED
        ending = endings.CANCELED if was_canceled else endings.failed(f"Execution failed: {LEFT_BEHIND}.")
        self._context.runs.advance(workspace_id, run_id, ending.status, error=self._form(ending.error))

    def _form(self, error: RunError | JSON | None) -> JSON | None:
        return self._context.forms.error(error) if isinstance(error, RunError) else error


def _check(active: _Active) -> None:
    """Raise `Stopped`: the only stage that is left of a job that was stopped while it waited."""
    active.ticket.check()


@contextmanager
def _held(active: _Active) -> Iterator[None]:
    """Return what a job was granted."""
    request = active.request
    try:
        yield
    finally:
        if request:
            request.slots.release(request)
