"""Runs sweeps: several runs at a time, bad ones stopped early, the best one named at the end.

Nothing polls: the run store reports when a run has ended, the metric store when one has logged. The work queue
handles both one after the other. As in graph.py, all of it can be repeated.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from azureml_wrapper.local.domain.errors import ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import Executor, NewJob, RunForms
from azureml_wrapper.local.domain.metrics import Point
from azureml_wrapper.local.domain.runs import JSON, Run, RunError, RunStatus
from azureml_wrapper.local.domain.sweeps import SWEEP_RUN_TYPE, Children, Scores, Sweep, Values
from azureml_wrapper.local.executor.cancellation import abandon, popped
from azureml_wrapper.local.executor.runlogs import SweepLogs
from azureml_wrapper.local.executor.workqueue import WorkQueue, defect_fault
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.metrics import BEGINNING, MetricStore, Place
from azureml_wrapper.local.store.runs import RunStore

# The property of a sweep that names its best run.
BEST_RUN = "best_child_run_id"
LEFT_BEHIND = "The local service ended while the sweep was running. Submit it again."
ALL_FAILED = "User errors were found in at least one of the child runs. All of them failed; see their logs."


@dataclass
class _Active:
    """A sweep in progress."""

    parent: Run
    sweep: Sweep
    samples: list[Values]
    started: int = 0
    unsubmitted: list[NewJob] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    ends: list[RunStatus] = field(default_factory=list)
    history: dict[str, Scores] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    timer: threading.Timer | None = None
    defect: Exception | None = None
    is_stopping: bool = False
    is_shut_down: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.parent.workspace_id, self.parent.run_id

    @property
    def is_over(self) -> bool:
        return not self.running and (self.is_stopping or self.started == len(self.samples))


class SweepExecutor:
    """The sweeps that run (domain/sweeps.py, Sweeps); `executor` runs their scripts."""

    def __init__(
        self,
        *,
        executor: Executor,
        runs: RunStore,
        metrics: MetricStore,
        children: Children,
        logs: SweepLogs,
        forms: RunForms,
        queue: WorkQueue,
    ) -> None:
        self._executor, self._runs, self._metrics = executor, runs, metrics
        self._children, self._logs, self._forms = children, logs, forms
        self._active: dict[tuple[str, str], _Active] = {}
        self._queue = queue
        runs.listen(self._run_changed)
        metrics.listen(self._logged)

    def recover(self) -> None:
        """Fail what an earlier process of the service left. The jobs' own recovery comes first."""
        for run in self._runs.unfinished():
            if run.run_type == SWEEP_RUN_TYPE:
                error = self._form(ServiceFault(LEFT_BEHIND))
                self._runs.advance(run.workspace_id, run.run_id, RunStatus.FAILED, error=error)
                fault_point("recovery.sweep-failed")

    def submit(self, parent: Run, sweep: Sweep) -> None:
        """Start a stored sweep, and return at once."""
        active = _Active(parent=parent, sweep=sweep, samples=sweep.samples(parent.run_id))
        self._active[active.key] = active
        try:
            self._runs.advance(*active.key, RunStatus.RUNNING)
        except BaseException:
            del self._active[active.key]
            raise
        fault_point("sweeps.running")
        self._logs.begin(parent, len(active.samples))
        active.timer = threading.Timer(sweep.minutes * 60, lambda: self._put(active, partial(self._time_out, active)))
        active.timer.daemon = True
        active.timer.start()
        self._put(active, partial(self._go_on, active))

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a sweep and all its runs. Returns False if no such sweep runs."""
        if (workspace_id, run_id) not in self._active:
            return False
        # The rest follows when the run store reports it.
        self._runs.advance(workspace_id, run_id, RunStatus.CANCEL_REQUESTED)
        return True

    def close(self) -> None:
        """Start no further run, because the service ends. Call it before the jobs are stopped."""
        for active in list(self._active.values()):
            active.is_stopping = active.is_shut_down = True
            self._stop_timer(active)

    def _run_changed(self, run: Run) -> None:
        if run.run_type == SWEEP_RUN_TYPE and run.status is RunStatus.CANCEL_REQUESTED:
            if active := self._active.get((run.workspace_id, run.run_id)):
                self._put(active, partial(self._stop, active))
        elif run.parent_id and run.status.is_terminal:
            active = self._active.get((run.workspace_id, run.parent_id))
            if active:
                self._put(active, partial(self._ended, active, run))

    def _logged(self, workspace_id: str, run_id: str, name: str) -> None:
        for active in list(self._active.values()):
            if name == active.sweep.metric and run_id in active.running and workspace_id == active.key[0]:
                self._put(active, partial(self._judge, active, run_id))

    def _put(self, active: _Active, work: Callable[[], None]) -> None:
        """Let the queue work for a sweep, which fails if the work does."""
        self._queue.put(work, partial(self._break, active), partial(self._abandon, active))

    def _break(self, active: _Active, defect: Exception) -> None:
        """End a sweep because of an unforeseen error."""
        active.defect = active.defect or defect
        self._cancel_all(active)

    def _abandon(self, active: _Active, error: Exception) -> None:
        """End a sweep that could not even be broken off, and each of its runs by itself."""
        active.is_stopping = True
        self._stop_timer(active)
        with popped(self._active, active.key):
            abandon(self._runs, active.key, self._form(defect_fault(active.defect or error)), self._executor.cancel)

    def _go_on(self, active: _Active) -> None:
        """Start runs up to the number that may run at a time."""
        if active.key not in self._active:
            return
        self._submit(active)
        while (
            not active.is_stopping
            and active.started < len(active.samples)
            and len(active.running) < active.sweep.most_concurrent
        ):
            self._start(active)
        if active.started == len(active.samples):
            self._runs.change(*active.key, tags={"_aml_system_all_jobs_generated": "true"})
        if active.is_over:
            self._finish(active)

    def _start(self, active: _Active) -> None:
        number, sweep = active.started, active.sweep
        run_id, values = f"{active.parent.run_id}_{number}", active.samples[number]
        try:
            made = self._children.make(active.parent, run_id, sweep, values)
            with self._runs.transaction():
                self._runs.change(*active.key, tags=_child_tag(run_id, values))
                self._runs.add(made.run, made.definition)
        except ServiceFault as fault:
            if is_temporary(fault):
                raise
            # The run does not exist, so it cannot fail: its id is taken, or its snapshot is gone.
            self._logs.say(active.parent, "SCHEDULER", f"Job {run_id} could not be created: {fault.message}")
            self._runs.change(*active.key, tags=_child_tag(run_id, values))
            active.ends.append(RunStatus.FAILED)
            active.started += 1
            return
        active.started += 1
        active.running.add(run_id)
        active.unsubmitted.append(made)
        fault_point("sweeps.child-stored")
        self._logs.say(active.parent, "SCHEDULER", f"Scheduled job, id='{run_id}'")
        self._submit(active)

    def _submit(self, active: _Active) -> None:
        """Submit the jobs whose runs are stored."""
        while active.unsubmitted:
            made = active.unsubmitted[0]
            try:
                self._executor.submit(made.job)
            except ServiceFault as fault:
                if is_temporary(fault):
                    raise
                self._runs.advance(*_key(made.run), RunStatus.FAILED, error=self._form(fault))
            active.unsubmitted.pop(0)

    def _ended(self, active: _Active, run: Run) -> None:
        if run.run_id in active.running:
            # From the start: several processes of a run may have sent their values out of order.
            active.history.pop(run.run_id, None)
            active.places.pop(run.run_id, None)
            self._read_metric(active, run.run_id)
            active.running.discard(run.run_id)
            active.ends.append(run.status)
        self._go_on(active)

    def _judge(self, active: _Active, run_id: str) -> None:
        """Stop a run that the policy rejects. Several values that came together are judged one after the other."""
        if run_id not in active.running:
            return
        for count in self._read_metric(active, run_id):
            if reason := active.sweep.policy.ends(run_id, active.history, count):
                self._logs.say(
                    active.parent, "POLICY", f"Job {run_id} is stopped early: {active.sweep.metric} {reason}."
                )
                self._executor.cancel(active.key[0], run_id)
                return

    def _read_metric(self, active: _Active, run_id: str) -> range:
        """Read the values that a run has logged since the last call; the range of their numbers, from 1."""
        name, workspace = active.sweep.metric, active.key[0]
        if all(series.name != name for series in self._metrics.series(workspace, run_id)):
            return range(0)
        points, place = self._metrics.rest(workspace, run_id, name, active.places.get(run_id, BEGINNING))
        active.places[run_id] = place
        scores = active.history.setdefault(run_id, Scores(is_maximized=active.sweep.is_maximized))
        before = len(scores)
        for value in numbers(points):
            scores.add(value)
        return range(before + 1, len(scores) + 1)

    def _time_out(self, active: _Active) -> None:
        if not active.is_over:
            self._logs.say(
                active.parent, "CONTROLLER", f"The sweep has reached its limit of {active.sweep.minutes} minutes."
            )
            self._runs.advance(*active.key, RunStatus.CANCEL_REQUESTED)

    def _stop(self, active: _Active) -> None:
        """Cancel the sweep."""
        self._runs.change(*active.key, tags={"_aml_system_cancellation_requested": "true"})
        self._cancel_all(active)

    def _cancel_all(self, active: _Active) -> None:
        active.is_stopping = True
        self._submit(active)
        for run_id in sorted(active.running):
            self._executor.cancel(active.key[0], run_id)
        if active.is_over:
            self._finish(active)

    def _finish(self, active: _Active) -> None:
        if active.key not in self._active:
            return
        self._stop_timer(active)
        status, error = self._ending(active)
        scores = {run: values.best_logged() for run, values in active.history.items()}
        properties = _last_properties(active.sweep, scores)
        self._runs.change(*active.key, properties=properties)
        fault_point("sweeps.end")
        if not properties and status is RunStatus.COMPLETED:
            self._warn(active, _no_best_run(active.sweep.metric, self._logged_names(active)))
        self._logs.say(active.parent, "CONTROLLER", f"Experiment was '{self._word(status)}'.")
        with popped(self._active, active.key):
            self._runs.advance(*active.key, status, error=error)

    def _logged_names(self, active: _Active) -> set[str]:
        """The names of all metrics that the sweep's runs have logged."""
        runs = (f"{active.parent.run_id}_{number}" for number in range(active.started))
        return {series.name for run_id in runs for series in self._metrics.series(active.key[0], run_id)}

    def _warn(self, active: _Active, text: str) -> None:
        self._logs.say(active.parent, "CONTROLLER", text)
        warning = {"source": "SweepWarning", "message": text}
        self._runs.amend(*active.key, lambda run: replace(run, warnings=_with(run.warnings, warning)))

    def _ending(self, active: _Active) -> tuple[RunStatus, JSON | None]:
        if active.is_shut_down:
            return RunStatus.FAILED, self._form(ServiceFault(LEFT_BEHIND))
        if active.defect:
            return RunStatus.FAILED, self._form(defect_fault(active.defect))
        if active.is_stopping:
            return RunStatus.CANCELED, None
        if active.ends and set(active.ends) == {RunStatus.FAILED}:
            return RunStatus.FAILED, self._form(ServiceFault(ALL_FAILED, code="UserError"))
        return RunStatus.COMPLETED, None

    def _form(self, fault: ServiceFault) -> JSON:
        return self._forms.error(RunError(code=fault.code, message=fault.message, component="hyperdrive"))

    @staticmethod
    def _word(status: RunStatus) -> str:
        return {
            RunStatus.COMPLETED: "ExperimentStatus.FINISHED",
            RunStatus.CANCELED: "ExperimentStatus.CANCELLED",
        }.get(status, "ExperimentStatus.FAILED")

    @staticmethod
    def _stop_timer(active: _Active) -> None:
        if active.timer:
            active.timer.cancel()


def _with(warnings: Sequence[JSON], warning: JSON) -> list[JSON]:
    return [*warnings, warning] if warning not in warnings else [*warnings]


def numbers(points: list[Point]) -> Iterator[float]:
    """The numbers among the cells of points, in order."""
    for point in points:
        yield from (value for value in map(_number, point.data.values()) if value is not None)


def _number(value: Any) -> float | None:
    # NaN and infinity are stored as strings (domain/metrics.py, storable).
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _no_best_run(metric: str, logged: set[str]) -> str:
    """Why a sweep has no best run, and which names its primary metric may have meant."""
    if metric in logged:
        return f"The sweep has no best run, because no run logged a number as its primary metric {metric!r}."
    if not logged:
        return f"The sweep has no best run, because no run logged its primary metric {metric!r}, or any other metric."
    near = difflib.get_close_matches(metric, logged, n=1)
    question = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"The sweep has no best run, because no run logged its primary metric {metric!r}. Logged metrics: "
        f"{', '.join(map(repr, sorted(logged)))}.{question}"
    )


def _key(run: Run) -> tuple[str, str]:
    return run.workspace_id, run.run_id


def _child_tag(run_id: str, values: Values) -> dict[str, str]:
    """The tag that `HyperDriveRun.get_hyperparameters` reads."""
    return {f"_aml_system_{run_id}": json.dumps(values)}


def _last_properties(sweep: Sweep, scores: Mapping[str, float | None]) -> dict[str, str]:
    """The best run, if one has logged the metric."""
    best: str | None = None
    top = 0.0
    for run_id, score in scores.items():
        if score is not None and (best is None or sweep.better(score, top)):
            best, top = run_id, score
    if best is None:
        return {}
    return {
        "score": str(top),
        BEST_RUN: best,
        "best_metric_status": "Succeeded",
        "best_data_container_id": f"dcid.{best}",
    }
