"""The scheduler: one thread that sleeps until something is due, and wakes up when a schedule changes.

A run is stored before it is started: one transaction moves the schedule to its next time and creates the records of
the run. A kill -9 before it leaves the schedule due; a kill -9 after it leaves a run to be started, which the next
process does first. So no run is lost and none starts twice.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from azureml_wrapper.local.background import Attempts
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import ServiceFault, is_temporary
from azureml_wrapper.local.domain.jobs import RunForms
from azureml_wrapper.local.domain.pipelines import PipelineForms, PipelineRun, Schedule, Submission, Watch
from azureml_wrapper.local.domain.plans import PipelineExecutor
from azureml_wrapper.local.domain.runs import RunError, RunStatus
from azureml_wrapper.local.domain.storage import Blob
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.scheduler import triggers
from azureml_wrapper.local.scheduler.watched import Folder, Key, WatchedFolders
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datastores import DatastoreStore
from azureml_wrapper.local.store.pipelines import PipelineStore, SubmissionStore
from azureml_wrapper.local.store.published import PublishedStore, ScheduleStore
from azureml_wrapper.local.store.runs import RunStore

# How long it takes to notice that the machine slept or its clock was set.
LONGEST_SLEEP = 30.0
# How often the time of a watched folder is read. That is cheap, so it is not worth waiting for minutes.
LOOK_SECONDS = 2.0
PAGE = 5000
# Errors that stop one schedule, but must not stop the others.
FAULTS = (ServiceFault, OSError, ValueError, OverflowError, sqlite3.Error)

log = logging.getLogger("azureml_wrapper.local")


@dataclass(frozen=True)
class _Look:
    """When a folder was listed, and until when it need not be if its modification time `changed` stays the same."""

    at: datetime
    again: datetime
    changed: int | None


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What the scheduler reads and writes."""

    database: Database
    schedules: ScheduleStore
    submissions: SubmissionStore
    published: PublishedStore
    pipelines: PipelineStore
    runs: RunStore
    datastores: DatastoreStore
    blobs: BlobStore
    forms: PipelineForms
    run_forms: RunForms


class SchedulerLoop:
    """Fires the schedules of every workspace."""

    def __init__(self, stores: Stores, executor: PipelineExecutor, clock: Clock) -> None:
        self._stores, self._executor, self._clock = stores, executor, clock
        self._watched = WatchedFolders(stores.database, stores.schedules, stores.datastores, stores.blobs)
        self._looks: dict[Key, _Look] = {}
        self._complaints: dict[Key, str] = {}
        self._wake = threading.Event()
        self._is_closed = self._is_behind = False
        self._pause = LONGEST_SLEEP
        self._last_tick: datetime | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Resume what an earlier process of the service left, and start firing."""
        self.resume()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop firing, because the service ends."""
        self._is_closed = True
        self._wake.set()
        if self._thread:
            self._thread.join()

    def is_busy(self) -> bool:
        """Whether any schedule is enabled; the service stays up as long as one is."""
        return self._stores.schedules.is_any_active()

    def add(self, schedule: Schedule) -> Schedule:
        """Store and plan a new schedule. Blobs that exist already do not fire it."""
        planned = replace(schedule, next_fire=triggers.first_instant(schedule, schedule.anchor))
        with self._stores.database.transaction():
            self._stores.schedules.put(planned)
            self._see_all(planned)
            self._watched.put(planned)
        self._wake.set()
        return planned

    def change(self, schedule: Schedule) -> Schedule:
        """Store a changed schedule, and plan it again if that matters."""
        now = self._clock.now()
        with self._stores.database.transaction():
            before = self._stores.schedules.get(schedule.workspace_id, schedule.schedule_id)
            planned = replace(schedule, next_fire=_planned(before, schedule, now), last_fire=before.last_fire)
            self._stores.schedules.put(planned)
            if planned.watch != before.watch or planned.is_active != before.is_active:
                self._stores.schedules.forget(planned)
                self._see_all(planned)
            self._watched.put(planned)
        self._wake.set()
        return planned

    def resume(self) -> None:
        """Start runs that were stored but not started: by an earlier process, or because of an error."""
        self._is_behind = False
        for record in self._stores.pipelines.planned():
            key = (record.workspace_id, record.run_id)
            try:
                self._begin(record)
                self._complaints.pop(key, None)
            except FAULTS as error:
                self._is_behind = True
                self._complain(key, "of the run", str(error))

    def tick(self) -> float:
        """Fire what is due. Returns the seconds until something may be due again."""
        if self._is_behind:
            self.resume()
        waits = [LONGEST_SLEEP]
        self._notice_setback(self._clock.now())
        for schedule in self._stores.schedules.due(self._clock.now()):
            if not schedule.watch and not self._attempt(schedule, partial(self._fire, schedule)):
                waits.append(LOOK_SECONDS)
        for folder, found in self._watched.all():
            self._look_at(folder, found)
            waits.append(LOOK_SECONDS)
        now = self._clock.now()
        following = self._stores.schedules.next_after(now)
        if following:
            waits.append((following - now).total_seconds())
        return max(0.0, min(waits))

    def _attempt(self, schedule: Schedule, work: Callable[[], None]) -> bool:
        """Do the work of a schedule. Returns False if that failed."""
        key = (schedule.workspace_id, schedule.schedule_id)
        try:
            if not self._is_closed:
                work()
            self._complaints.pop(key, None)
        except FAULTS as error:
            if self._is_gone(schedule):
                self._watched.put(replace(schedule, is_active=False))
                return True
            # It may have stored a run.
            self._is_behind = True
            self._complain(key, schedule.name, str(error))
            return False
        return True

    def _look_at(self, folder: Folder, found: list[tuple[Schedule, Watch]]) -> None:
        """Look at a folder once for all schedules that watch it."""
        try:
            changed = self._watched.changed(folder)
        except FAULTS as error:
            for schedule, _ in found:
                self._attempt(schedule, partial(_raise, error))
            return
        for schedule, watch in found:
            self._attempt(schedule, partial(self._look, schedule, watch, changed))

    def _run(self) -> None:
        attempts = Attempts("the scheduler")
        while not self._is_closed:
            self._wake.clear()
            self._pause = LONGEST_SLEEP
            attempts.attempt(self._tick)
            self._wake.wait(self._pause)

    def _tick(self) -> None:
        self._pause = self.tick()

    def _notice_setback(self, now: datetime) -> None:
        """Plan again what was planned by a clock that is set back now, or was while the service did not run."""
        if self._last_tick is None or now < self._last_tick:
            ahead = [each for each in self._stores.schedules.active() if triggers.is_set_back(each, now)]
            planned = [self._attempt(each, partial(self._set_back, each)) for each in ahead]
            if not all(planned):
                return
        self._last_tick = now

    def _set_back(self, schedule: Schedule) -> None:
        """Plan a schedule again, because the clock was set back."""
        log.warning("the clock was set back: schedule %s is planned again", schedule.name)
        store, now, key = self._stores.schedules, self._clock.now(), (schedule.workspace_id, schedule.schedule_id)
        with self._stores.database.transaction():
            store.put(replace(store.get(*key), anchor=now, last_fire=None))
            # Read again, because a recurrence counts from the anchor.
            planned = triggers.after_setback(store.get(*key), now)
            store.put(planned)
            self._watched.put(planned)

    def _fire(self, schedule: Schedule) -> None:
        """Fire a recurrence for the time that is due."""
        now = self._clock.now()
        with self._stores.database.transaction():
            current = self._current(schedule)
            if current is None or current.next_fire is None or current.next_fire > now:
                return
            record = self._make(current, triggers.for_instant(current, current.next_fire))
            self._stores.schedules.plan(current, triggers.next_instant(current, now), current.next_fire)
        fault_point("schedules.fired")
        self._begin(record)

    def _look(self, schedule: Schedule, watch: Watch, changed: int | None) -> None:
        """Look for changed blobs: at the folder's time first, at its files if that has changed or polling is due."""
        now, key = self._clock.now(), (schedule.workspace_id, schedule.schedule_id)
        is_due = schedule.next_fire is not None and schedule.next_fire <= now
        last = self._looks.get(key)
        if last and last.changed == changed and last.at <= now < last.again and not is_due:
            return
        records = self._changes(schedule, watch, now)
        with self._stores.database.transaction():
            # A burst has another end now.
            self._watched.put(self._current(schedule) or replace(schedule, is_active=False))
        for record in records:
            fault_point("schedules.changes-stored")
            self._begin(record)
        self._looks[key] = _Look(now, now + watch.polling, changed)

    def _changes(self, schedule: Schedule, watch: Watch, now: datetime) -> list[PipelineRun]:
        """Record the changes since the last look, and store the runs that are due for them."""
        store = self._stores.schedules
        found = self._listing(schedule, watch)
        with self._stores.database.transaction():
            current = self._current(schedule)
            if current is None:
                return []
            seen = store.blobs(current)
            changed = triggers.changed_blobs(seen, found)
            store.forget(current, [name for name in seen if name not in found])
            store.see(current, changed, waiting=watch.batch is not None)
            if watch.batch:
                return self._burst(current, watch, now, watch.batch)
            if changed:
                store.plan(current, None, now)
            return [
                self._make(current, triggers.for_blob(current, watch, name, self._stores.forms)) for name in changed
            ]

    def _burst(self, schedule: Schedule, watch: Watch, now: datetime, batch: timedelta) -> list[PipelineRun]:
        """Store one run for all changes, when `batch` has passed since the first of them was seen."""
        store = self._stores.schedules
        waiting = store.blobs(schedule, waiting_only=True)
        if not waiting:
            store.plan(schedule, None, schedule.last_fire)
            return []
        if schedule.next_fire is None or schedule.next_fire > now:
            store.plan(schedule, schedule.next_fire or now + batch, schedule.last_fire)
            return []
        store.stop_waiting(schedule)
        store.plan(schedule, None, now)
        return [self._make(schedule, triggers.for_batch(schedule, watch, [*waiting], self._stores.forms))]

    def _current(self, schedule: Schedule) -> Schedule | None:
        """The schedule as it is now, if it is still enabled."""
        found = self._stores.schedules.find(schedule.workspace_id, schedule.schedule_id)
        return found if found and found.is_active else None

    def _is_gone(self, schedule: Schedule) -> bool:
        """Whether a schedule was disabled meanwhile, or deleted with its workspace."""
        try:
            return self._current(schedule) is None
        except FAULTS:
            return False

    def _make(self, schedule: Schedule, asked: Submission) -> PipelineRun:
        workspace_id, pipeline_id = schedule.workspace_id, schedule.pipeline_id
        if schedule.endpoint_id:
            endpoint = self._stores.published.endpoint(workspace_id, schedule.endpoint_id)
            pipeline_id = endpoint.versions[endpoint.default_version]
        published = self._stores.published.pipeline(workspace_id, pipeline_id or "")
        asked = replace(asked, pipeline_id=published.pipeline_id)
        record, _ = self._stores.submissions.add_published(workspace_id, published, asked)
        return record

    def _begin(self, record: PipelineRun) -> None:
        """Start a stored run; a run that cannot start fails with the reason."""
        try:
            self._check(record)
            self._executor.submit(record.workspace_id, record.run_id)
        except ServiceFault as fault:
            if is_temporary(fault) or self._stores.pipelines.run(record.workspace_id, record.run_id).is_submitted:
                raise
            error = self._stores.run_forms.error(RunError(code=fault.code, message=fault.message))
            self._stores.runs.advance(record.workspace_id, record.run_id, RunStatus.FAILED, error=error)

    def _check(self, record: PipelineRun) -> None:
        schedule = self._stores.schedules.find(record.workspace_id, record.schedule_id or "")
        if schedule and schedule.endpoint_id:
            self._stores.published.endpoint(record.workspace_id, schedule.endpoint_id).pipeline_id()
        self._stores.published.pipeline(record.workspace_id, record.pipeline_id or "").check_active()

    def _see_all(self, schedule: Schedule) -> None:
        """Mark every blob as seen: what a disabled schedule misses must not fire it later."""
        if schedule.watch and schedule.is_active:
            self._stores.schedules.see(schedule, self._listing(schedule, schedule.watch), waiting=False)

    def _listing(self, schedule: Schedule, watch: Watch) -> dict[str, str]:
        """The blobs of a folder, not those of folders inside it, as in Azure: name → ETag."""
        datastore = self._stores.datastores.get(schedule.workspace_id, watch.datastore)
        place, prefix = (datastore.account, datastore.container), f"{watch.path}/" if watch.path else ""
        found: dict[str, str] = {}
        marker = ""
        while True:
            items = self._stores.blobs.page(*place, prefix, delimiter="/", marker=marker, limit=PAGE)
            found.update({item.name: item.etag for item in items if isinstance(item, Blob)})
            if len(items) < PAGE:
                return found
            marker = items[-1].name

    def _complain(self, key: Key, name: str, text: str) -> None:
        """Log once what prevents a schedule from firing."""
        if self._complaints.get(key) != text:
            log.warning("schedule %s (%s) cannot fire: %s", name, key[1], text)
        self._complaints[key] = text


def _raise(error: Exception) -> None:
    raise error


def _planned(before: Schedule, after: Schedule, now: datetime) -> datetime | None:
    """The next time of a changed schedule; enabling it again does not make it a new one."""
    # Without a start time, a recurrence that was sent again counts from a new anchor.
    if (before.anchor, before.recurrence) != (after.anchor, after.recurrence):
        return triggers.first_instant(after, now)
    if before.is_active and after.is_active and before.watch == after.watch:
        return before.next_fire
    return triggers.next_instant(after, now)
