"""The enabled schedules that wait for blobs, kept in memory: each is looked at every two seconds."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from azureml_wrapper.local.domain.pipelines import Schedule, Watch
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datastores import DatastoreStore
from azureml_wrapper.local.store.published import ScheduleStore

# How long a datastore may lead elsewhere before that is noticed.
PLACE_SECONDS = 30.0

Key = tuple[str, str]
Folder = tuple[str, str, str]


class WatchedFolders:
    """Schedules by the folder that they watch. The first look reads them; `put` gets every change."""

    def __init__(
        self, database: Database, schedules: ScheduleStore, datastores: DatastoreStore, blobs: BlobStore
    ) -> None:
        self._database, self._store, self._datastores, self._blobs = database, schedules, datastores, blobs
        self._lock = threading.Lock()
        self._folders: dict[Folder, dict[Key, tuple[Schedule, Watch]]] = {}
        self._places: dict[Folder, tuple[Path, float]] = {}
        self._of: dict[Key, Folder] = {}
        self._is_read = False

    def all(self) -> list[tuple[Folder, list[tuple[Schedule, Watch]]]]:
        """The schedules of each folder."""
        if not self._is_read:
            # In a transaction, as the changes that `put` gets.
            with self._database.transaction():
                for schedule in self._store.active():
                    self.put(schedule)
                self._is_read = True
        with self._lock:
            return [(folder, [*found.values()]) for folder, found in self._folders.items()]

    def put(self, schedule: Schedule) -> None:
        """Note what a schedule is now. Call it in the transaction that stores it."""
        with self._lock:
            self._drop((schedule.workspace_id, schedule.schedule_id))
            self._put(schedule)

    def changed(self, folder: Folder) -> int | None:
        """When a file was last added to or removed from a folder; None if it does not exist."""
        place, now = self._places.get(folder), time.monotonic()
        if place is None or place[1] <= now:
            place = self._places[folder] = self._find(folder), now + PLACE_SECONDS
        try:
            return place[0].stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            # The next look says whether its container or datastore still exists.
            del self._places[folder]
            return None

    def _find(self, folder: Folder) -> Path:
        workspace_id, name, path = folder
        datastore = self._datastores.get(workspace_id, name)
        inside = f"{path}/any".lstrip("/")
        return self._blobs.path(datastore.account, datastore.container, inside).parent

    def _put(self, schedule: Schedule) -> None:
        watch, key = schedule.watch, (schedule.workspace_id, schedule.schedule_id)
        if watch and schedule.is_active:
            folder = (schedule.workspace_id, watch.datastore, watch.path)
            self._of[key] = folder
            self._folders.setdefault(folder, {})[key] = schedule, watch

    def _drop(self, key: Key) -> None:
        folder = self._of.pop(key, None)
        if folder:
            del self._folders[folder][key]
            if not self._folders[folder]:
                del self._folders[folder]
                self._places.pop(folder, None)
