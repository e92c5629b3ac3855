"""Runs pipelines: when the run of a step ends, the steps that waited for it start.

Nothing polls and nothing waits: the run store reports each change, and the work queue handles them one after the
other. All that is handled can be repeated after an error that is temporary; after another one the pipeline fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.errors import ServiceFault, as_fault, is_temporary
from azureml_wrapper.local.domain.jobs import Job, JobInput, RunForms
from azureml_wrapper.local.domain.pipelines import PIPELINE_RUN_TYPE, STEP_RUN_TYPE, PipelineRun, retry_notes
from azureml_wrapper.local.domain.plans import Edge, Plan, Plans, StepRuns, Walk
from azureml_wrapper.local.domain.runs import Run, RunError, RunStatus
from azureml_wrapper.local.executor.cancellation import abandon, popped
from azureml_wrapper.local.executor.inputs import Makers, StepInputs
from azureml_wrapper.local.executor.reuse import Attempt, Reuse, ReusedRuns
from azureml_wrapper.local.executor.runlogs import Logs, say_ended, say_started
from azureml_wrapper.local.executor.workqueue import WorkQueue, defect_fault
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.pipelines import PipelineStore
from azureml_wrapper.local.store.runs import RunStore

LEFT_BEHIND = "The local service ended while the pipeline was running. Submit the pipeline again."
SHUT_DOWN = "The local service was stopped while the pipeline was running. Submit the pipeline again."
FAILURES_SHOWN = 10
# Steps that start before other work gets its turn: what follows from ends, and other pipelines.
STARTED_AT_ONCE = 20


class Jobs(Protocol):
    """Starts and cancels what steps run. How it ends is in the run store."""

    def submit(self, job: Job) -> None:
        """Start a job, and return at once."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a job. Returns False if none waits or runs."""

    def cancel_waiting(self, workspace_id: str, run_ids: Sequence[str]) -> set[str]:
        """Cancel those jobs that only wait, all at once. Returns their runs."""


@dataclass
class _Active:
    """A pipeline run in progress."""

    record: PipelineRun
    plan: Plan
    walk: Walk
    edges: dict[str, list[Edge]]
    makers: Makers
    notes: tuple[str, ...] = ()
    run_ids: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    ready: deque[str] = field(default_factory=deque)
    # The first one that is ready, if its run may have been stored by an attempt that failed.
    tried: str = ""
    goes_on: bool = False
    failed: list[Run] = field(default_factory=list)
    defect: Exception | None = None
    canceled_steps: int = 0
    is_canceled: bool = False
    is_stopping: bool = False
    is_shut_down: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.record.workspace_id, self.record.run_id


class GraphExecutor:
    """The pipelines that run (domain/plans.py, PipelineExecutor); `executor` runs their steps."""

    def __init__(
        self,
        *,
        executor: Jobs,
        runs: RunStore,
        pipelines: PipelineStore,
        plans: Plans,
        inputs: StepInputs,
        step_runs: StepRuns,
        reuse: Reuse,
        reused_runs: ReusedRuns,
        logs: Logs,
        forms: RunForms,
        clock: Clock,
        ids: Ids,
        queue: WorkQueue,
    ) -> None:
        self._executor, self._runs, self._pipelines, self._plans = executor, runs, pipelines, plans
        self._inputs, self._step_runs, self._logs, self._forms = inputs, step_runs, logs, forms
        self._reuse, self._reused_runs = reuse, reused_runs
        self._clock, self._ids = clock, ids
        self._active: dict[tuple[str, str], _Active] = {}
        self._queue = queue
        runs.listen(self._listen, self._listen_to_many)

    def recover(self) -> None:
        """Fail what an earlier process of the service left. The jobs' own recovery comes first."""
        left = [run for run in self._runs.unfinished() if self._is_ours(run)]
        # Steps first: a pipeline that has ended has no open steps.
        for run in sorted(left, key=lambda run: run.run_type == PIPELINE_RUN_TYPE):
            self._fail(run.workspace_id, run.run_id, ServiceFault(LEFT_BEHIND))
            fault_point("recovery.pipeline-failed")
            self._logs.complain(run.workspace_id, run.run_id, LEFT_BEHIND)

    def submit(self, workspace_id: str, run_id: str) -> None:
        """Start a stored pipeline run, and return at once; a fault if it cannot run, or was started before."""
        record = self._pipelines.run(workspace_id, run_id)
        plan = self._plans.stored(workspace_id, record.graph_id, record.assigned)
        self.check(workspace_id, plan)
        active = _Active(
            record=record,
            plan=plan,
            walk=Walk(plan, continue_on_failure=record.continue_on_failure),
            edges=plan.inputs_of(),
            makers=Makers(self._runs, workspace_id),
            notes=retry_notes(self._runs.get(workspace_id, run_id).properties),
        )
        # Before it is Running: then it may be canceled at once.
        self._active[active.key] = active
        try:
            with self._runs.transaction():
                self._pipelines.mark_submitted(workspace_id, run_id)
                self._runs.advance(workspace_id, run_id, RunStatus.RUNNING)
        except BaseException:
            del self._active[active.key]
            raise
        fault_point("pipelines.running")
        self._logs.open(workspace_id, run_id)
        self._put(active, partial(self._begin, active))

    def check(self, workspace_id: str, plan: Plan) -> None:
        """Raise a fault if a dataset of the plan does not exist; all else has been checked by its reader."""
        for data in plan.sources.values():
            self._inputs.check(workspace_id, data)

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a pipeline run and all its steps. Returns False if no such pipeline run waits or runs."""
        run = self._runs.find(workspace_id, run_id)
        if run is None or run.run_type != PIPELINE_RUN_TYPE or run.status.is_terminal:
            return False
        if (workspace_id, run_id) in self._active:
            self._runs.advance(workspace_id, run_id, RunStatus.CANCEL_REQUESTED)
        else:
            self._runs.advance(workspace_id, run_id, RunStatus.CANCELED)
        return True

    def is_busy(self) -> bool:
        """Whether any pipeline runs."""
        return bool(self._active)

    def close(self) -> None:
        """Start no further step, because the service ends. Call it before the jobs are stopped."""
        for active in list(self._active.values()):
            active.is_shut_down = True
            active.walk.stop()
            self._logs.complain(*active.key, SHUT_DOWN)

    def _is_ours(self, run: Run) -> bool:
        if run.run_type == PIPELINE_RUN_TYPE:
            record = self._pipelines.find_run(run.workspace_id, run.run_id)
            return record is not None and (record.is_submitted or record.is_abandoned(self._clock.now()))
        return run.run_type == STEP_RUN_TYPE

    def _listen(self, run: Run) -> None:
        if run.run_type == STEP_RUN_TYPE and run.parent_id:
            active = self._active.get((run.workspace_id, run.parent_id))
            if active:
                self._put(active, partial(self._step_changed, active, run))
        elif run.run_type == PIPELINE_RUN_TYPE and run.status is RunStatus.CANCEL_REQUESTED:
            active = self._active.get((run.workspace_id, run.run_id))
            if active:
                self._put(active, partial(self._stop, active))

    def _listen_to_many(self, runs: list[Run]) -> None:
        """Let steps that were canceled together end together."""
        for parent_id in {run.parent_id or "" for run in runs if run.run_type == STEP_RUN_TYPE}:
            if active := self._active.get((runs[0].workspace_id, parent_id)):
                steps = [run for run in runs if run.parent_id == parent_id and run.run_type == STEP_RUN_TYPE]
                self._put(active, partial(self._steps_ended, active, steps))

    def _put(self, active: _Active, work: Callable[[], None]) -> None:
        """Let the queue work for a pipeline, which fails if the work does."""
        self._queue.put(work, partial(self._break, active), partial(self._abandon, active))

    def _break(self, active: _Active, defect: Exception) -> None:
        """End a pipeline because of an unforeseen error."""
        active.defect = active.defect or defect
        active.walk.stop()
        self._go_on(active)

    def _abandon(self, active: _Active, error: Exception) -> None:
        """End a pipeline that could not even be broken off, and each of its steps by itself."""
        with popped(self._active, active.key):
            form = self._forms.error(_error(defect_fault(active.defect or error)))
            abandon(self._runs, active.key, form, self._executor.cancel)

    def _begin(self, active: _Active) -> None:
        self._announce(active, active.walk.begin())
        self._go_on(active)

    def _announce(self, active: _Active, nodes: list[str]) -> None:
        """Note steps whose predecessors have all ended; `_go_on` starts them."""
        if not nodes:
            return
        record = active.record
        for node in nodes:
            active.run_ids[node] = run_id = self._ids.guid()
            active.nodes[run_id] = node
        active.ready.extend(nodes)
        first = ",".join(f"{node}:{active.run_ids[node]}" for node in nodes[:5])
        self._logs.say(record.workspace_id, record.run_id, f"Submitting {len(nodes)} runs, first five are: {first}")

    def _go_on(self, active: _Active) -> None:
        """Start what is ready, some steps at a time, and end the pipeline if nothing runs any more."""
        for _ in range(STARTED_AT_ONCE):
            if active.ready and not active.walk.is_stopped:
                self._start_step(active, active.ready[0])
                active.ready.popleft()
        if active.walk.is_stopped and active.ready:
            # The others have no run yet.
            self._drop_step(active, active.ready[0])
            active.walk.running.difference_update(active.ready)
            active.ready.clear()
        if active.ready and not active.goes_on:
            active.goes_on = True
            self._put(active, partial(self._go_on_later, active))
        if active.walk.is_stopped:
            self._stop_steps(active)
        if active.walk.is_over:
            self._finish(active)

    def _drop_step(self, active: _Active, node: str) -> None:
        """Do not start a step; its run exists if an attempt to start it has failed."""
        run = self._runs.find(active.record.workspace_id, active.run_ids[node])
        if run and not run.status.is_terminal:
            self._runs.advance(run.workspace_id, run.run_id, RunStatus.CANCELED)
        active.walk.running.discard(node)

    def _go_on_later(self, active: _Active) -> None:
        active.goes_on = False
        self._go_on(active)

    def _start_step(self, active: _Active, node: str) -> None:
        record, run_id, step = active.record, active.run_ids[node], active.plan.steps[node]
        run = self._runs.find(record.workspace_id, run_id) if node == active.tried else None
        active.tried = node
        run = run or self._add_step(active, node)
        if run.status.is_terminal:
            # It failed, or was reused, in an earlier attempt.
            return
        try:
            job = step.job(record.workspace_id, run_id, self._inputs_of(active, node))
            self._step_runs.describe(run, step, job)
            fault_point("pipelines.step-described")
            self._run_or_reuse(active, run, self._reuse.decide(step, job, self._makers(active, node)))
        except (ServiceFault, OSError) as error:
            if is_temporary(error):
                raise
            self._fail(record.workspace_id, run_id, as_fault(error))

    def _add_step(self, active: _Active, node: str) -> Run:
        record, run_id = active.record, active.run_ids[node]
        with self._runs.transaction():
            run = self._step_runs.add(record, active.plan.steps[node], run_id)
            self._pipelines.add_step(record.workspace_id, record.run_id, node, run_id)
        fault_point("pipelines.step-stored")
        self._logs.open(record.workspace_id, run_id)
        return run

    def _run_or_reuse(self, active: _Active, run: Run, attempt: Attempt) -> None:
        self._logs.say(run.workspace_id, run.run_id, f"{attempt.text}.")
        if attempt.origin:
            self._reused_runs.complete(run, attempt.origin)
            return
        active.attempts[run.run_id] = attempt
        say_started(self._logs, run)
        notes = (*attempt.job.notes, *active.notes, f"{attempt.text}.")
        self._executor.submit(replace(attempt.job, notes=notes))

    def _makers(self, active: _Active, node: str) -> dict[str, str]:
        """The runs that made the inputs of a step, by the inputs' names."""
        steps = active.plan.steps
        edges = [edge for edge in active.edges[node] if edge.source.node in steps and edge.source.carries_data]
        return {edge.target.name: active.makers.of(active.run_ids[edge.source.node]).run_id for edge in edges}

    def _inputs_of(self, active: _Active, node: str) -> tuple[JobInput, ...]:
        workspace_id, plan = active.record.workspace_id, active.plan
        found = []
        for edge in active.edges[node]:
            if not edge.source.carries_data or not edge.target.carries_data:
                continue
            name = edge.target.name
            settings = plan.steps[node].input(name)
            if data := plan.sources.get(edge.source.node):
                found.append(self._inputs.of_data(workspace_id, name, settings, data))
                continue
            producer = active.makers.of(active.run_ids[edge.source.node])
            output = plan.steps[edge.source.node].output(edge.source.name)
            found.append(self._inputs.of_output(name, settings, producer, output))
        return tuple(found)

    def _step_changed(self, active: _Active, run: Run) -> None:
        if run.status is RunStatus.RUNNING:
            self._logs.say(run.workspace_id, run.run_id, "Job is running, job runstatus is Running")
        if run.status.is_terminal:
            self._steps_ended(active, [run])

    def _steps_ended(self, active: _Active, runs: list[Run]) -> None:
        ended = [run for run in runs if active.nodes[run.run_id] in active.walk.running]
        for run in ended:
            say_ended(self._logs, run, self._forms.reason(run))
        if ended:
            self._logs.say(*active.key, *(f"Completing processing run id {run.run_id}." for run in ended))
        for run in ended:
            self._note_end(active, run)
        self._go_on(active)

    def _note_end(self, active: _Active, run: Run) -> None:
        attempt = active.attempts.pop(run.run_id, None)
        if attempt and run.status is RunStatus.COMPLETED:
            # If this fails (its output has a link to itself), only its results cannot be reused.
            Attempts(f"remembering the results of run {run.run_id}").attempt(partial(self._reuse.remember, attempt))
        active.failed += [run] if run.status is RunStatus.FAILED else []
        active.canceled_steps += run.status is RunStatus.CANCELED
        ready = active.walk.end(active.nodes[run.run_id], succeeded=run.status is RunStatus.COMPLETED)
        self._announce(active, ready)

    def _stop(self, active: _Active) -> None:
        """Cancel the pipeline."""
        active.is_canceled = True
        active.walk.stop()
        self._go_on(active)

    def _stop_steps(self, active: _Active) -> None:
        if active.is_stopping:
            return
        workspace_id = active.record.workspace_id
        # The last one first: a slot that one of them leaves must not start another that is about to wait.
        running = [active.run_ids[node] for node in reversed(active.run_ids) if node in active.walk.running]
        waited = self._executor.cancel_waiting(workspace_id, running)
        for run_id in running:
            if run_id not in waited and not self._executor.cancel(workspace_id, run_id):
                run = self._runs.get(workspace_id, run_id)
                if not run.status.is_terminal:
                    self._runs.advance(workspace_id, run_id, RunStatus.CANCELED)
        active.is_stopping = True

    def _finish(self, active: _Active) -> None:
        if active.key not in self._active:
            return
        status, error = self._ending(active)
        self._logs.say(*active.key, "Finishing experiment: no runs left and nothing to schedule.")
        properties = self._step_runs.finished(self._runs.get(*active.key), self._clock.now(), status)
        self._runs.change(*active.key, properties=properties)
        fault_point("pipelines.end")
        form = self._forms.error(error) if error else None
        with popped(self._active, active.key):
            self._runs.advance(*active.key, status, error=form)

    def _ending(self, active: _Active) -> tuple[RunStatus, RunError | None]:
        if active.is_shut_down:
            return RunStatus.FAILED, _error(ServiceFault(SHUT_DOWN))
        if active.defect:
            return RunStatus.FAILED, _error(defect_fault(active.defect))
        if active.is_canceled:
            return RunStatus.CANCELED, None
        if active.failed:
            error = self._failed_steps(active.failed)
            self._logs.complain(*active.key, error.message)
            return RunStatus.FAILED, error
        # If a step was canceled by itself, the steps that depend on it have not run.
        return RunStatus.CANCELED if active.canceled_steps else RunStatus.COMPLETED, None

    def _failed_steps(self, failed: list[Run]) -> RunError:
        """Which steps failed, and why the first of them did."""
        names = ", ".join(f"{run.name} ({run.run_id})" for run in failed[:FAILURES_SHOWN])
        text = f"Pipeline has some failed steps: {names}. See child run or execution logs for more details."
        return RunError(message=f"{text} {failed[0].name}: {self._forms.reason(failed[0])}")

    def _fail(self, workspace_id: str, run_id: str, fault: ServiceFault) -> None:
        error = self._forms.error(_error(fault))
        self._runs.advance(workspace_id, run_id, RunStatus.FAILED, error=error)


def _error(fault: ServiceFault) -> RunError:
    return RunError(code=fault.code, message=fault.message)
