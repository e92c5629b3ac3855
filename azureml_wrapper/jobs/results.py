"""Downloads what a job has made into its folder: the run's files, and the folder that it fills on the datastore."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.assets.names import folder_name
from azureml_wrapper.errors import UnregisteredDatastore
from azureml_wrapper.jobs import occupancy
from azureml_wrapper.jobs.occupancy import HeldJob
from azureml_wrapper.jobs.record import filled_folder
from azureml_wrapper.jobs.states import client_of
from azureml_wrapper.run import ENDS
from azureml_wrapper.transfer import TransferReport, download_run_files, has_files, sync_folder
from azureml_wrapper.transfer.blob_container import RegisteredDatastore

# Below the job folder: the datastore's folder, and one folder for each run that the job has had.
RESULTS, RUNS = "results", "runs"


@dataclass(frozen=True, kw_only=True)
class JobResults:
    """What a job folder holds after a download.

    Attributes:
        job: The job folder.
        run_id: The run whose files were downloaded.
        from_run: What was downloaded from the run: its outputs and logs.
        from_datastore: What was downloaded from the folder that the job fills on the datastore.
        note: What to know besides, such as that the job is still running; often empty.
    """

    job: Path
    run_id: str
    from_run: TransferReport
    from_datastore: TransferReport
    note: str

    @property
    def files(self) -> list[Path]:
        """Every file, as a path on this machine."""
        run, store = self.job / RUNS / folder_name(self.run_id), self.job / RESULTS
        return [run / name for name in _names(self.from_run)] + [store / name for name in _names(self.from_datastore)]

    def summary(self) -> dict[str, Any]:
        """Return what `aml results --json` prints."""
        from rich.filesize import decimal

        both = (self.from_run, self.from_datastore)
        return {
            "job": str(self.job),
            "run": self.run_id,
            "files": len(self.files),
            "new": sum(len(report.downloaded) + len(report.copied) for report in both),
            "size": decimal(sum(report.bytes for report in both)),
            "outputs": str(self.job / RUNS / folder_name(self.run_id)) if _names(self.from_run) else None,
            "results": str(self.job / RESULTS) if _names(self.from_datastore) else None,
            "ignored": [*self.from_run.ignored, *self.from_datastore.ignored],
            "note": self.note,
        }


def fetch(held: HeldJob, *, show_progress: bool | None = None) -> JobResults:
    """Download what is missing or has changed, in parallel, resuming downloads that were interrupted.

    Raises:
        TransferFailed: A file could not be downloaded; its `report` lists those that were.
    """
    run = held.http_run()
    with occupancy.locked(held.path, occupancy.RESULTS):
        folder = held.path / RUNS / folder_name(run.id)
        of_run = download_run_files(run, folder, show_progress=show_progress)
        of_store = _from_datastore(held, show_progress)
    note = _note(held, run.status, len(_names(of_run)), len(_names(of_store)))
    return JobResults(job=held.path, run_id=run.id, from_run=of_run, from_datastore=of_store, note=note)


def _from_datastore(held: HeldJob, show_progress: bool | None) -> TransferReport:
    asked = held.record.asked
    target = filled_folder(asked.get("output_path"), str(held.path))
    if not target:
        return TransferReport()
    store = _datastore(held, asked.get("datastore_name"))
    if not has_files(store, target):
        return TransferReport()
    return sync_folder(held.path / RESULTS, store, target=target, direction="down", show_progress=show_progress)


def _datastore(held: HeldJob, name: str | None) -> RegisteredDatastore:
    """The datastore that the job fills; by default that of its workspace."""
    found = client_of(held.record).datastore(name)
    if found is None:
        called = f"datastore {name!r}" if name else "default datastore"
        raise UnregisteredDatastore(
            f"Workspace {held.record.ws_name} has no {called} any more. Register it again to download what the job "
            "has left there."
        )
    return RegisteredDatastore.of(found)


def _note(held: HeldJob, status: str, of_run: int, of_store: int) -> str:
    target = held.record.asked.get("output_path")
    parts = [
        "The run has no files." if not of_run else "",
        f"The datastore has no files in {target}." if target and not of_store else "",
        f"The job is {status}: download again when it has ended." if status not in ENDS else "",
    ]
    return " ".join(filter(None, parts))


def _names(report: TransferReport) -> list[str]:
    """The files that a download has found, new or not."""
    return sorted({*report.downloaded, *report.copied, *report.skipped})
