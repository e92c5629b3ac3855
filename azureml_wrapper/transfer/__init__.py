"""Files to and from datastores, and from runs: in parallel, resumable, never half-written.

    sync_folder("data", datastore, target="images", direction="up")
    download_run_files(run, "results", prefix="outputs/")

Both return a `TransferReport`, and raise `TransferFailed`, whose `report` is what was done before. The rules:

- A file is unchanged if its size and MD5 are the same on both sides. Here, the MD5 of an earlier transfer holds while
  the size and the times of the file are the same. In the storage, it is the blob's own Content-MD5, or the MD5 of
  what an earlier transfer has sent or fetched, while the ETag is the same. Files that are not known to be equal are
  transferred. The storage is listed each time: one request per 5,000 files.
- The source wins, whatever the times are.
- A file that was renamed is copied at the target. Nothing is deleted there without `delete=True`. With it, what the
  source does not have is deleted, after everything else has succeeded; never because the source is empty, nor because
  a link in it is broken at the moment.
- Empty folders are not transferred: the storage has no folders.
- A broken connection is reopened, and a file that was interrupted is resumed, by another process as well. A file gets
  its name only when it is complete and its MD5 is right.

This package knows datastores, runs and folders; which job or project they belong to is not its business.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from azureml_wrapper.errors import BadArgument, TransferFailed
from azureml_wrapper.transfer.outcome import TransferReport

__all__ = ["TransferReport", "download_run_files", "has_files", "sync_folder"]

Direction = Literal["up", "down"]


def sync_folder(
    local: str | os.PathLike[str],
    datastore: Any,
    *,
    target: str = "",
    direction: Direction = "up",
    delete: bool = False,
    show_progress: bool | None = None,
) -> TransferReport:
    """Make the folder `target` of a datastore equal to a local folder ("up"), or the local one equal to it ("down").

    Args:
        local: The local folder; created if it is missing ("down").
        datastore: One of the SDK's datastores, or a `RegisteredDatastore`; of a blob container.
        target: The folder of the datastore; by default the whole container.
        direction: "up" or "down".
        delete: Delete at the target what the source does not have.
        show_progress: Show a bar; by default if standard error is a terminal.

    Raises:
        TransferFailed: Not everything could be transferred. Call again to resume.
    """
    from azureml_wrapper.transfer.blob_container import BlobContainer
    from azureml_wrapper.transfer.download import download
    from azureml_wrapper.transfer.plan import ChecksumCache, Endpoints, cache_file, one_at_a_time
    from azureml_wrapper.transfer.upload import upload

    if direction not in ("up", "down"):
        raise BadArgument(f"direction must be 'up' or 'down', got {direction!r}.")
    folder = Path(local).expanduser()
    if direction == "up" and not folder.is_dir():
        raise TransferFailed(f"{folder} is not a folder; nothing was uploaded.")
    container, prefix = BlobContainer.of(datastore), _prefix(target)
    file = cache_file(folder, f"{container.address}/{prefix}")
    with one_at_a_time(file):
        ends = Endpoints(folder, container, prefix, ChecksumCache.load(file), delete=delete, shown=show_progress)
        try:
            return upload(ends) if direction == "up" else download(ends)
        finally:
            ends.cache.save(file)
            container.http.close()


def has_files(datastore: Any, target: str) -> bool:
    """Whether a folder of a datastore has any files.

    Raises:
        TransferFailed: The datastore cannot be read.
    """
    from azureml_wrapper.transfer.blob_container import BlobContainer
    from azureml_wrapper.transfer.outcome import Outcome

    container = BlobContainer.of(datastore)
    with Outcome(f"from {target} in {container.label}").reporting():
        try:
            return container.has(_prefix(target))
        finally:
            container.http.close()


def download_run_files(
    run: Any,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    show_progress: bool | None = None,
) -> TransferReport:
    """Download the files of a run as `folder`/name. Unchanged files are skipped.

    Args:
        run: An `azureml.core.Run`, or another object with the methods of `RunFiles`.
        folder: The local folder; created if it is missing.
        prefix: How the names of the files begin: "outputs/" for what the script has left, "" for the logs as well.
        show_progress: Show a bar; by default if standard error is a terminal.

    Returns:
        A report; if the run has no files, its `downloaded` and `skipped` are empty.

    Raises:
        TransferFailed: Not everything could be downloaded. Call again to resume.
    """
    from azureml_wrapper.transfer.download import SdkRunFiles, download_run
    from azureml_wrapper.transfer.plan import ChecksumCache, cache_file, one_at_a_time

    files = run if hasattr(run, "addresses") else SdkRunFiles(run)
    target = Path(folder).expanduser()
    file = cache_file(target, f"run {run.id}/{prefix}")
    with one_at_a_time(file):
        cache = ChecksumCache.load(file)
        try:
            return download_run(files, target, prefix=prefix, cache=cache, shown=show_progress)
        finally:
            cache.save(file)


def _prefix(target: str) -> str:
    """Normalize `a/b` and `/a/b/` to `a/b/`."""
    parts = [part for part in target.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadArgument(f"target {target!r} leads out of the datastore. Use a folder in it.")
    return "/".join([*parts, ""]) if parts else ""
