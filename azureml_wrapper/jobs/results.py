"""Brings what a job has made into its folder: the files of the run, and the datastore's folder that it fills."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import folder_name
from azureml_wrapper.jobs import locks
from azureml_wrapper.transfer import TransferReport, download_run_files, sync_folder
from azureml_wrapper.transfer.report import size_text

if TYPE_CHECKING:
    from azureml_wrapper.jobs.folder import JobFolder

# Below the job folder: the datastore's folder, and a folder for each run that the job has had.
RESULTS, RUNS = "results", "runs"


@dataclass(frozen=True, kw_only=True)
class JobResults:
    """What is in the job folder now. `from_run` are the files of the run, `from_datastore` those of the datastore.

    `note` says what a reader may miss: that there was nothing, or that the job still runs.
    """

    job: Path
    run_id: str
    from_run: TransferReport
    from_datastore: TransferReport
    note: str

    @property
    def files(self) -> list[Path]:
        """Every file, where it is now."""
        run, store = self.job / RUNS / folder_name(self.run_id), self.job / RESULTS
        return [run / name for name in names(self.from_run)] + [store / name for name in names(self.from_datastore)]

    def record(self) -> dict[str, Any]:
        """As `aml results --json` prints it."""
        both = (self.from_run, self.from_datastore)
        return {
            "job": str(self.job),
            "run": self.run_id,
            "files": len(self.files),
            "new": sum(len(report.downloaded) + len(report.copied) for report in both),
            "size": size_text(sum(report.bytes for report in both)),
            "outputs": str(self.job / RUNS / folder_name(self.run_id)) if names(self.from_run) else None,
            "results": str(self.job / RESULTS) if names(self.from_datastore) else None,
            "ignored": [*self.from_run.ignored, *self.from_datastore.ignored],
            "note": self.note,
        }


def names(report: TransferReport) -> list[str]:
    """The files that a download has found."""
    return sorted({*report.downloaded, *report.copied, *report.skipped})


def fetch(folder: JobFolder, *, show_progress: bool | None = None) -> JobResults:
    """Fetch what is not here yet; `TransferFailed` where a file could not be, and `report` tells which were.

    Parallel, resumed where it was interrupted, and compared with the sizes and MD5s that the storage tells.
    """
    run = folder.run
    with locks.locked(folder.path, locks.RESULTS):
        place = folder.path / RUNS / folder_name(run.id)
        of_run = download_run_files(run.raw, place, show_progress=show_progress)
        of_store = _of_datastore(folder, show_progress)
    note = _note(folder, run.status, len(names(of_run)), len(names(of_store)))
    return JobResults(job=folder.path, run_id=run.id, from_run=of_run, from_datastore=of_store, note=note)


def _of_datastore(folder: JobFolder, show_progress: bool | None) -> TransferReport:
    from azureml_wrapper.jobs.preparation import is_filled
    from azureml_wrapper.jobs.repetition import asked
    from azureml_wrapper.jobs.submission import datastore_of, output_path

    config = asked(folder, {})
    target = output_path(config)
    store = datastore_of(folder.workspace.ws, config)
    if not target or not is_filled(store, target):
        return TransferReport()
    return sync_folder(folder.path / RESULTS, store, target=target, direction="down", show_progress=show_progress)


def _note(folder: JobFolder, status: str, of_run: int, of_store: int) -> str:
    from azureml_wrapper.run import ENDS

    target = folder.record.asked.get("output_path")
    parts = [
        "The run has no files." if not of_run else "",
        f"There is nothing in {target} of the datastore." if target and not of_store else "",
        f"The job is {status}: fetch again when it has ended." if status not in ENDS else "",
    ]
    return " ".join(filter(None, parts))
