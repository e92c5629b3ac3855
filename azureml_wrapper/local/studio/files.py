"""The files of a run, as its page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.artifacts import of_run
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.artifacts import ArtifactStore

FILES_SHOWN = 300
LOG_BYTES = 64 * 1024

# In order of preference: output of the user's script first, then logs of the service.
_LOGS = ("user_logs/", "azureml-logs/70_driver_log", "logs/azureml/executionlogs.txt", "azureml-logs/")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


@dataclass(frozen=True, kw_only=True)
class Log:
    """The end of a log, which omits the first `skipped` bytes."""

    name: str
    text: str
    skipped: int


def names(artifacts: ArtifactStore, workspace: Workspace, run: Run) -> list[str]:
    """The paths of the run's first files."""
    return [file.path for file in artifacts.page(workspace, of_run(run.run_id)).items[:FILES_SHOWN]]


def path(artifacts: ArtifactStore, workspace: Workspace, run: Run, name: str) -> Path:
    """The path of a run's file; raise `NotFound` if it is missing, `Invalid` for a name outside the run's folder."""
    found = artifacts.file(workspace, artifacts.get(workspace, of_run(run.run_id), name))
    if not found.is_file():
        raise NotFound(f"Run {run.run_id} has no file {name!r}.")
    return found


def log(artifacts: ArtifactStore, workspace: Workspace, run: Run, given: list[str]) -> Log | None:
    """The end of the most relevant log; None if the run has none."""
    for wanted in _LOGS:
        for name in given:
            if name.startswith(wanted):
                return _tail(path(artifacts, workspace, run, name), name)
    return None


def is_image(name: str) -> bool:
    """Whether browsers show the file as an image."""
    return name.lower().endswith(_IMAGES)


def _tail(file: Path, name: str) -> Log:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        skipped = max(size - LOG_BYTES, 0)
        stream.seek(skipped)
        return Log(name=name, text=stream.read(LOG_BYTES).decode("utf-8", "replace"), skipped=skipped)
