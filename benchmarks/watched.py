"""A place whose service counts its requests, and may throw metrics away (programs/service.py)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import ServiceInfo
from benchmarks.ours import PROGRAMS, PYTHON, Place

START_SECONDS = 30.0


class WatchedPlace(Place):
    """Starts its service itself, so that it is another program."""

    def __init__(self, folder: Path, *, discards_metrics: bool = False) -> None:
        super().__init__(folder)
        self._own = {"REQUESTS": str(folder / "requests"), "METRICS": "discard" if discards_metrics else "keep"}
        self._service: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        return {**super().variables, **self._own}

    def start(self) -> ServiceInfo:
        found = service_process.find(self.home)
        if found:
            return found
        self.home.create()
        reader, writer = os.pipe()
        command: list[str | Path] = [
            PYTHON,
            PROGRAMS / "service.py",
            "--home",
            self.home.path,
            "--idle",
            "0",
            "--ready-fd",
            str(writer),
        ]
        with self.home.log_file.open("ab") as log:
            self._service = subprocess.Popen(
                command, env=self.variables, stdout=log, stderr=log, pass_fds=[writer], start_new_session=True
            )
        os.close(writer)
        with os.fdopen(reader) as ready:
            ready.read()
        return self._await()

    def stop(self) -> None:
        super().stop()
        if self._service:
            self._service.wait()

    def _await(self) -> ServiceInfo:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := service_process.find(self.home):
                return found
            time.sleep(0.01)
        raise RuntimeError(f"The watched service did not start; see {self.home.log_file}.")


@contextlib.contextmanager
def watched_place(folder: Path, *, discards_metrics: bool = False) -> Iterator[WatchedPlace]:
    folder.mkdir(parents=True)
    made = WatchedPlace(folder, discards_metrics=discards_metrics)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
