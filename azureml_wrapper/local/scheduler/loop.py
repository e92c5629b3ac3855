"""The scheduler: one thread that sleeps until the next instant, and is woken when a schedule changes.

A firing is kept before it is begun: in one transaction the schedule's next instant moves on and the run's records are
made. A kill -9 before it leaves the firing due, one after it leaves a run that waits to be begun, which is the first
thing that the next process does. So none is lost and none comes twice.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.pipelines import PipelineExecutor, PipelineRun
from azureml_wrapper.local.domain.published import Submission
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.domain.schedules import Schedule, Watch
from azureml_wrapper.local.domain.storage import Blob
from azureml_wrapper.local.executor.stepruns import fault_error
from azureml_wrapper.local.scheduler import triggers
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datastores import DatastoreStore
from azureml_wrapper.local.store.pipelines import PipelineStore
from azureml_wrapper.local.store.published import PublishedStore
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.schedules import ScheduleStore
from azureml_wrapper.local.store.submissions import SubmissionStore

# A machine that slept or whose clock was set is noticed after this long.
LONGEST_SLEEP = 30.0
# How often the time of a watched folder is read. It is a file's metadata, so there is no need to wait minutes for it.
LOOK_SECONDS = 2.0
PAGE = 5000
# What keeps one schedule from firing, but must not keep the others.
FAULTS = (ServiceFault, OSError, ValueError, OverflowError, sqlite3.Error)

log = logging.getLogger("azureml_wrapper.local")

Key = tuple[str, str]


@dataclass(frozen=True)
class _Look:
    """When a folder has to be listed again even if its time stays the same, and that time."""

    again: datetime
    mark: int | None


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


class SchedulerLoop:
    """Lets the schedules of every workspace fire."""

    def __init__(self, stores: Stores, executor: PipelineExecutor, clock: Clock) -> None:
        self._stores, self._executor, self._clock = stores, executor, clock
        self._looks: dict[Key, _Look] = {}
        self._complaints: dict[Key, str] = {}
        self._wake = threading.Event()
        self._is_closed = self._is_behind = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what an earlier process of the service left, and begin to fire."""
        self.resume()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Fire no more, because the service ends."""
        self._is_closed = True
        self._wake.set()
        if self._thread:
            self._thread.join()

    def is_busy(self) -> bool:
        """Whether any schedule is enabled: the service then has to stay."""
        return bool(self._stores.schedules.active())

    def add(self, schedule: Schedule) -> Schedule:
        """Store a new schedule, and plan it. Blobs that are there already do not make it fire."""
        planned = replace(schedule, next_fire=triggers.first_instant(schedule, schedule.anchor))
        with self._stores.database.transaction():
            self._stores.schedules.put(planned)
            self._see_all(planned)
        self._wake.set()
        return planned

    def change(self, schedule: Schedule) -> Schedule:
        """Store a changed schedule, and plan it anew where that matters."""
        now = self._clock.now()
        with self._stores.database.transaction():
            before = self._stores.schedules.get(schedule.workspace_id, schedule.schedule_id)
            planned = replace(schedule, next_fire=_planned(before, schedule, now), last_fire=before.last_fire)
            self._stores.schedules.put(planned)
            if planned.watch != before.watch or planned.is_active != before.is_active:
                self._stores.schedules.forget(planned)
                self._see_all(planned)
        self._wake.set()
        return planned

    def resume(self) -> None:
        """Begin the runs that were made and not begun: by an earlier process, or because of what may be over now."""
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
        """Fire what is due; the seconds until something may be due again."""
        if self._is_behind:
            self.resume()
        waits = [LONGEST_SLEEP]
        for schedule in self._stores.schedules.active():
            key = (schedule.workspace_id, schedule.schedule_id)
            try:
                waits.append(self._attend(schedule))
                self._complaints.pop(key, None)
            except FAULTS as error:
                # It may have made a run.
                self._is_behind = True
                self._complain(key, schedule.name, str(error))
        return max(0.0, min(waits))

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            try:
                seconds = self.tick()
            except FAULTS:
                log.exception("schedules cannot be read")
                seconds = LONGEST_SLEEP
            self._wake.wait(seconds)

    def _attend(self, schedule: Schedule) -> float:
        if self._is_closed:
            return LONGEST_SLEEP
        if schedule.watch:
            self._look(schedule, schedule.watch)
            return LOOK_SECONDS
        if schedule.next_fire and schedule.next_fire <= self._clock.now():
            self._fire(schedule)
            schedule = self._stores.schedules.get(schedule.workspace_id, schedule.schedule_id)
        return (schedule.next_fire - self._clock.now()).total_seconds() if schedule.next_fire else LONGEST_SLEEP

    def _fire(self, schedule: Schedule) -> None:
        """Fire a recurrence for the instant that is due."""
        now = self._clock.now()
        with self._stores.database.transaction():
            current = self._current(schedule)
            if current is None or current.next_fire is None or current.next_fire > now:
                return
            record = self._make(current, triggers.for_instant(current, current.next_fire))
            self._stores.schedules.plan(current, triggers.next_instant(current, now), current.next_fire)
        self._begin(record)

    def _look(self, schedule: Schedule, watch: Watch) -> None:
        """Look for changed blobs: the folder's time first, its files where that has changed or it is time to."""
        now, key = self._clock.now(), (schedule.workspace_id, schedule.schedule_id)
        is_due = schedule.next_fire is not None and schedule.next_fire <= now
        mark, last = self._mark(schedule, watch), self._looks.get(key)
        if last and last.mark == mark and now < last.again and not is_due:
            return
        for record in self._changes(schedule, watch, now):
            self._begin(record)
        self._looks[key] = _Look(now + watch.polling, mark)

    def _changes(self, schedule: Schedule, watch: Watch, now: datetime) -> list[PipelineRun]:
        """Note the changes since the last look, and make the runs that are due for them."""
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
            return [self._make(current, triggers.for_blob(current, watch, name)) for name in changed]

    def _burst(self, schedule: Schedule, watch: Watch, now: datetime, batch: timedelta) -> list[PipelineRun]:
        """One run for all changes, so much time after the first of them was seen."""
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
        return [self._make(schedule, triggers.for_batch(schedule, watch, [*waiting]))]

    def _current(self, schedule: Schedule) -> Schedule | None:
        """The schedule as it is now, where it is still enabled."""
        found = self._stores.schedules.find(schedule.workspace_id, schedule.schedule_id)
        return found if found and found.is_active else None

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
        """Begin a run that was made; one that cannot be begun fails, and says why."""
        try:
            self._check(record)
            self._executor.submit(record.workspace_id, record.run_id)
        except ServiceFault as fault:
            if self._stores.pipelines.run(record.workspace_id, record.run_id).is_submitted:
                raise
            error = fault_error(fault)
            self._stores.runs.advance(record.workspace_id, record.run_id, RunStatus.FAILED, error=error)

    def _check(self, record: PipelineRun) -> None:
        schedule = self._stores.schedules.find(record.workspace_id, record.schedule_id or "")
        if schedule and schedule.endpoint_id:
            self._stores.published.endpoint(record.workspace_id, schedule.endpoint_id).pipeline_id()
        self._stores.published.pipeline(record.workspace_id, record.pipeline_id or "").check_active()

    def _see_all(self, schedule: Schedule) -> None:
        """Count every blob as seen; what a disabled schedule misses does not make it fire later."""
        if schedule.watch and schedule.is_active:
            self._stores.schedules.see(schedule, self._listing(schedule, schedule.watch), waiting=False)

    def _mark(self, schedule: Schedule, watch: Watch) -> int | None:
        """When a file of the folder last came or went; None where there is no such folder."""
        datastore = self._stores.datastores.get(schedule.workspace_id, watch.datastore)
        inside = f"{watch.path}/any".lstrip("/")
        try:
            folder = self._stores.blobs.path(datastore.account, datastore.container, inside).parent
            return folder.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

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
        """Say once what keeps a schedule from firing."""
        if self._complaints.get(key) != text:
            log.warning("schedule %s (%s) cannot fire: %s", name, key[1], text)
        self._complaints[key] = text


def _planned(before: Schedule, after: Schedule, now: datetime) -> datetime | None:
    """The next instant of a changed schedule; being enabled again counts as no new schedule."""
    if before.body.get("Recurrence") != after.body.get("Recurrence"):
        return triggers.first_instant(after, now)
    if before.is_active and after.is_active and before.watch == after.watch:
        return before.next_fire
    return triggers.next_instant(after, now)
