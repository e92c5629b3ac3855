"""The executor: accepts jobs, lets them wait for a slot, and runs each in a thread of its own."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import SCRIPT_RUN_TYPE, Job, NewJob
from azureml_wrapper.local.domain.runs import JSON, LOCAL_TARGET, RunError, RunStatus
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.builds import EnvironmentBuilder
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.endings import Ending
from azureml_wrapper.local.executor.prebuilds import Prebuilds
from azureml_wrapper.local.executor.process import ProcessId, Starter, end_family
from azureml_wrapper.local.executor.session import Session
from azureml_wrapper.local.executor.slots import ComputeSlots, Stopped, StopReason, Ticket, available_cores
from azureml_wrapper.local.executor.variables import inherited, interpreter_variables, service_variables
from azureml_wrapper.local.executor.workqueue import DEFECT, defect_fault
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.garbage import delete

# Stopping processes takes up to 4.5 s, publishing their files a little more.
CLOSE_SECONDS = 8.0
RETRY_SECONDS = 2.0
# How often an end meets errors which will not pass by themselves, until its run is abandoned.
MOST_DEFECTS = 3
LEFT_BEHIND = "the local service was killed during the run"

log = logging.getLogger("azureml_wrapper.local")


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
        self._lock = threading.Lock()
        self._tickets: dict[tuple[str, str], Ticket] = {}
        self._threads: dict[str, threading.Thread] = {}
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
        key = (job.workspace_id, job.run_id)
        with self._lock:
            if key in self._tickets:
                raise Conflict(f"Run {job.run_id} has been submitted already.")
            self._tickets[key] = ticket
        try:
            with self._context.runs.transaction():
                add_run()
                self._context.jobs.add(ticket.job_key, *key)
                self._advance(ticket, RunStatus.STARTING)
        except BaseException:
            self._forget(ticket)
            raise
        fault_point("jobs.stored")
        self._start(ticket)

    def _start(self, ticket: Ticket) -> None:
        thread = threading.Thread(target=self._work, args=(ticket,), name=f"job {ticket.job.run_id}", daemon=True)
        with self._lock:
            self._threads[ticket.job_key] = thread
        try:
            thread.start()
        except RuntimeError as error:
            # The machine allows no more threads.
            self._end(ticket, endings.failed(f"The job could not be run: {error}.", code="ServiceError"))

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        ticket = self._tickets.get((workspace_id, run_id))
        if ticket is None:
            return False
        self._advance(ticket, RunStatus.CANCEL_REQUESTED)
        self._stop(ticket, StopReason.CANCELED)
        return True

    def is_busy(self) -> bool:
        return bool(self._tickets) or self.prebuilds.is_busy()

    def close(self) -> None:
        with self._lock:
            tickets, threads = list(self._tickets.values()), list(self._threads.values())
        self._closing.set()
        for ticket in tickets:
            self._stop(ticket, StopReason.SHUTDOWN)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.prebuilds.close()
        self._starter.close()

    def _stop(self, ticket: Ticket, reason: StopReason) -> None:
        ticket.stop(reason)
        self._slots.wake()

    def _work(self, ticket: Ticket) -> None:
        """Run a job in its own thread until it ends."""
        session = Session(self._context, ticket, self._starter, self._builder)
        # Used after an unexpected exception: a run must not seem to go on forever.
        ending = endings.failed(DEFECT, code="ServiceError")
        try:
            ending = self._ending(session, ticket)
        finally:
            self._finish(session, ticket, ending)

    def _ending(self, session: Session, ticket: Ticket) -> Ending:
        try:
            session.prepare()
            with self._slot(ticket):
                return session.run(timed_out=lambda: self._stop(ticket, StopReason.TIMEOUT))
        except Stopped:
            return endings.stopped(ticket.reason or StopReason.CANCELED, seconds=ticket.job.timeout)
        except ServiceFault as fault:
            session.say(fault.message)
            return endings.failed(fault.message)
        except OSError as error:
            # What the machine prevents needs no traceback; something else may be a defect.
            log.warning("run %s: %s", ticket.job.run_id, error, exc_info=not is_temporary(error))
            return endings.failed(f"The job could not be run: {type(error).__name__}: {error}", code="ServiceError")

    @contextmanager
    def _slot(self, ticket: Ticket) -> Iterator[None]:
        """Hold the nodes of the job's compute while the job runs."""
        compute, limit = (ticket.job.workspace_id, ticket.job.target.lower()), self._limit(ticket.job)
        acquired = self._slots.acquire(
            compute,
            limit,
            nodes=ticket.job.node_count,
            gave_up=lambda: ticket.is_stopped,
            queued=lambda: self._advance(ticket, RunStatus.QUEUED),
        )
        if not acquired:
            raise Stopped
        try:
            yield
        finally:
            self._slots.release(compute, ticket.job.node_count)

    def _limit(self, job: Job) -> int:
        if job.target.lower() == LOCAL_TARGET:
            return max(available_cores(), job.node_count)
        compute = self._context.computes.find(job.workspace_id, job.target)
        if compute is None:
            raise NotFound(f"AzureMLCompute cluster {job.target} does not exist")
        if job.node_count > compute.max_nodes:
            raise Invalid(
                f"The job asks for {job.node_count} nodes, but the cluster {job.target} has at most "
                f"{compute.max_nodes} (max_nodes). Use fewer nodes, or increase max_nodes."
            )
        return compute.max_nodes

    def _finish(self, session: Session, ticket: Ticket, ending: Ending) -> None:
        Attempts(f"removing the folder of run {ticket.job.run_id}").attempt(session.close)
        self._end(ticket, ending)

    def _end(self, ticket: Ticket, ending: Ending) -> None:
        """Store how a job ended; a run must not seem to go on forever.

        That is tried until it succeeds: a disk has space again, a database is unlocked. If the service ends first,
        `recover` does it. After other errors the run is abandoned.
        """
        attempts = Attempts(f"storing the end of run {ticket.job.run_id}")
        store, defects = partial(self._store, ticket, ending), 0
        try:
            while True:
                # Once more after the service has begun to end, and at once then.
                is_last = self._closing.is_set()
                error = attempts.attempt(store)
                if error is None or is_last:
                    return
                defects += not is_temporary(error)
                if defects == MOST_DEFECTS:
                    store = partial(self._abandon, ticket, error)
                self._closing.wait(RETRY_SECONDS)
        finally:
            self._forget(ticket)

    def _abandon(self, ticket: Ticket, error: Exception) -> None:
        """Fail a run whose end cannot be stored, by the smallest write."""
        fault = defect_fault(error)
        form = self._form(RunError(message=fault.message, code=fault.code, component="CommonRuntime"))
        self._context.runs.abandon(ticket.job.workspace_id, ticket.job.run_id, form or {})
        self._context.jobs.remove(ticket.job_key)

    def _forget(self, ticket: Ticket) -> None:
        with self._lock:
            self._tickets.pop((ticket.job.workspace_id, ticket.job.run_id), None)
            self._threads.pop(ticket.job_key, None)

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
