"""The executor: accepts jobs, lets them wait for a slot, and runs each in a thread of its own."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, OutOfSpace, ServiceFault
from azureml_wrapper.local.domain.jobs import Job
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
from azureml_wrapper.local.store.jobs import JobRecord

# Stopping processes takes up to 4.5 s, publishing their files a little more.
CLOSE_SECONDS = 8.0
RETRY_SECONDS = 2.0
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

    def preload(self) -> None:
        """Preload the service's own interpreter for the first jobs."""
        shell = inherited(os.environ)
        path = interpreter_variables(Path(sys.executable), shell.get("PATH", os.defpath))
        self._starter.preload(sys.executable, {**shell, **path, **service_variables(self._context)})

    def recover(self) -> None:
        for record in self._context.jobs.all():
            if record.pid is not None and not end_family(ProcessId(record.pid, record.ticks or 0), record.job_key):
                log.warning("processes of run %s could not be stopped", record.run_id)
            self._fail_left_behind(record)
            self._context.jobs.remove(record.job_key)
        for folder in self._context.home.jobs.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def submit(self, job: Job) -> None:
        ticket = Ticket(job, job_key=self._context.ids.guid())
        key = (job.workspace_id, job.run_id)
        with self._lock:
            if key in self._tickets:
                raise Conflict(f"Run {job.run_id} has been submitted already.")
            self._tickets[key] = ticket
        self._context.jobs.add(ticket.job_key, *key)
        self._advance(ticket, RunStatus.STARTING)
        thread = threading.Thread(target=self._work, args=(ticket,), name=f"job {job.run_id}", daemon=True)
        with self._lock:
            self._threads[ticket.job_key] = thread
        thread.start()

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
        ending = endings.failed(
            "The local service failed; service.log in its home has the details.", code="ServiceError"
        )
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
        except (OSError, sqlite3.Error) as error:
            log.exception("run %s", ticket.job.run_id)
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
        session.close()
        # Even with a full disk a run must not seem to go on forever. If the service ends first, `recover` does this.
        while not self._settle(ticket, ending) and ticket.reason is not StopReason.SHUTDOWN:
            time.sleep(RETRY_SECONDS)
        with self._lock:
            self._tickets.pop((ticket.job.workspace_id, ticket.job.run_id), None)
            self._threads.pop(ticket.job_key, None)

    def _settle(self, ticket: Ticket, ending: Ending) -> bool:
        """Store how a job ended. Returns False if the disk is full."""
        try:
            self._store(ticket, ending)
        except OutOfSpace as fault:
            log.warning("run %s: %s", ticket.job.run_id, fault.message)
            return False
        return True

    def _store(self, ticket: Ticket, ending: Ending) -> None:
        run = self._context.runs.find(ticket.job.workspace_id, ticket.job.run_id)
        if run and run.requested_failure and ending.status is not RunStatus.CANCELED:
            ending = Ending(RunStatus.FAILED, run.requested_failure)
        self._advance(ticket, ending.status, ending.error)
        self._context.jobs.remove(ticket.job_key)

    def _advance(self, ticket: Ticket, status: RunStatus, error: RunError | JSON | None = None) -> None:
        try:
            self._context.runs.advance(ticket.job.workspace_id, ticket.job.run_id, status, error=self._form(error))
        except Conflict as fault:
            # A cancel was requested in the meantime; the run can only end.
            log.info("%s", fault.message)

    def _fail_left_behind(self, record: JobRecord) -> None:
        run = self._context.runs.find(record.workspace_id, record.run_id)
        if run is None or run.status.is_terminal:
            return
        was_canceled = run.status is RunStatus.CANCEL_REQUESTED
        ending = endings.CANCELED if was_canceled else endings.failed(f"Execution failed: {LEFT_BEHIND}.")
        self._context.runs.advance(record.workspace_id, record.run_id, ending.status, error=self._form(ending.error))

    def _form(self, error: RunError | JSON | None) -> JSON | None:
        return self._context.forms.error(error) if isinstance(error, RunError) else error
