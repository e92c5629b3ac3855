"""Files to and from datastores, and from runs: in parallel, resumable, and never half.

    sync_folder("data", datastore, target="images", direction="up")
    download_run_files(run, "results", prefix="outputs/")

Both return a `TransferReport`, and raise `TransferFailed` with a `report` of what was done before. The rules:

- A file is unchanged where its size and MD5 are the same on both sides. Here, the MD5 of an earlier transfer holds
  while size and time of change are the same; there, it is the blob's own Content-MD5, or what an earlier transfer
  has sent or fetched, while the ETag is the same. What cannot be known to be equal is transferred. The storage is
  asked for its listing each time: one request for 5,000 files.
- The side that the direction comes from wins, whatever the times are.
- A file that was renamed is copied at the destination. Nothing is deleted there but with `delete=True`: then what the
  source does not have is removed, after everything else has gone well, and never because the source is empty, nor
  because a link in it leads nowhere at the moment.
- Empty folders are not transferred: the storage has none.
- A broken connection is made again, a file that was begun is continued, also by another process. A file has its
  name only when it is whole and its MD5 is right.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from azureml_wrapper.errors import BadArgument, TransferFailed
from azureml_wrapper.transfer.report import TransferReport

__all__ = ["TransferReport", "download_run_files", "sync_folder"]

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
    """Make the folder `target` of a datastore like a local one ("up"), or the local one like it ("down").

    `datastore` is one of the SDK's, of a blob container; an empty `target` is the whole container. `delete` removes
    at the destination what the source does not have. `show_progress` None shows a bar where standard error is a
    terminal. A local folder that is missing is made ("down"); raises `TransferFailed`.
    """
    from azureml_wrapper.transfer.container import BlobContainer
    from azureml_wrapper.transfer.downloads import download
    from azureml_wrapper.transfer.facts import Facts, alone, facts_file
    from azureml_wrapper.transfer.pair import Pair
    from azureml_wrapper.transfer.uploads import upload

    if direction not in ("up", "down"):
        raise BadArgument(f"direction is {direction!r}; allowed are 'up' and 'down'.")
    folder = Path(local).expanduser()
    if direction == "up" and not folder.is_dir():
        raise TransferFailed(f"{folder} is no folder; nothing was uploaded.")
    container, prefix = BlobContainer.of(datastore), _prefix(target)
    file = facts_file(folder, f"{container.address}/{prefix}")
    with alone(file):
        pair = Pair(folder, container, prefix, Facts.load(file), delete=delete, shown=show_progress)
        try:
            return upload(pair) if direction == "up" else download(pair)
        finally:
            pair.facts.save(file)
            container.http.close()


def download_run_files(
    run: Any,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    show_progress: bool | None = None,
) -> TransferReport:
    """Download the files of a run (`azureml.core.Run`) whose names begin with `prefix`, as `folder`/name.

    `prefix="outputs/"` fetches what the script has left, "" the logs as well. Files that are here already, unchanged
    in the run since an earlier download, are skipped. A run without files gives a report without files: `downloaded`
    and `skipped` are empty. Raises `TransferFailed`.
    """
    from azureml_wrapper.transfer.artifacts import download_artifacts
    from azureml_wrapper.transfer.facts import Facts, alone, facts_file

    target = Path(folder).expanduser()
    file = facts_file(target, f"run {run.id}/{prefix}")
    with alone(file):
        facts = Facts.load(file)
        try:
            return download_artifacts(run, target, prefix=prefix, facts=facts, shown=show_progress)
        finally:
            facts.save(file)


def _prefix(target: str) -> str:
    """`a/b` and `/a/b/` as `a/b/`."""
    parts = [part for part in target.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadArgument(f"target {target!r} leads out of the datastore; give a folder in it.")
    return "/".join([*parts, ""]) if parts else ""
