"""The files of a run, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.blobs import BlobStore

CONTAINER = "azureml"
FILES_SHOWN = 300
LOG_BYTES = 64 * 1024

# In this order: what the user's script printed, then what the service noted.
_LOGS = ("user_logs/", "azureml-logs/70_driver_log", "logs/azureml/executionlogs.txt", "azureml-logs/")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


@dataclass(frozen=True, kw_only=True)
class Log:
    """The end of a log; `skipped` bytes stand before it."""

    name: str
    text: str
    skipped: int


def of_run(blobs: BlobStore, workspace: Workspace, run: Run) -> list[str]:
    """The paths of the run's files, at most `FILES_SHOWN`."""
    if not blobs.has_container(workspace.storage_account, CONTAINER):
        return []
    prefix = _prefix(run)
    names = islice(blobs.names(workspace.storage_account, CONTAINER, prefix), FILES_SHOWN)
    return [name.removeprefix(prefix) for name in names]


def path(blobs: BlobStore, workspace: Workspace, run: Run, name: str) -> Path:
    """Where a file of the run lies; `NotFound` where there is none, `Invalid` for a name that leads elsewhere."""
    found = blobs.path(workspace.storage_account, CONTAINER, _prefix(run) + name)
    if not found.is_file():
        raise NotFound(f"Run {run.run_id} has no file {name!r}.")
    return found


def log(blobs: BlobStore, workspace: Workspace, run: Run, names: list[str]) -> Log | None:
    """The end of the log that matters most, None where the run has written none."""
    for wanted in _LOGS:
        for name in names:
            if name.startswith(wanted):
                return _tail(path(blobs, workspace, run, name), name)
    return None


def is_image(name: str) -> bool:
    """Whether a browser shows the file as a picture."""
    return name.lower().endswith(_IMAGES)


def _tail(file: Path, name: str) -> Log:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        skipped = max(size - LOG_BYTES, 0)
        stream.seek(skipped)
        return Log(name=name, text=stream.read(LOG_BYTES).decode("utf-8", "replace"), skipped=skipped)


def _prefix(run: Run) -> str:
    return f"ExperimentRun/{run.container_id}/"
