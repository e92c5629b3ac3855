"""A project's data: from this machine to the datastore, and from there to the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import MissingInput, did_you_mean
from azureml_wrapper.file_paths import DATA, INPUT, RAW, WORKING
from azureml_wrapper.messages import say
from azureml_wrapper.projects.project import Project
from azureml_wrapper.transfer import sync_folder

if TYPE_CHECKING:
    from azureml.core import Workspace

AHEAD = "--should-upload-datasets True"


def upload(project: Project, datastore: Any, target: str, *, delete: bool = False) -> None:
    """Send the new and changed files of data_blobs/raw and data_blobs/working; raises `TransferFailed`."""
    if not project.data:
        say(f"{project.folder} has neither {DATA}/{RAW} nor {DATA}/{WORKING}: no data to upload.")
    for name, folder in project.data.items():
        report = sync_folder(folder, datastore, target=f"{target}/{name}", delete=delete)
        say(f"{DATA}/{name}: {report}")
        for left_out in report.ignored:
            say(f"  not uploaded: {left_out}")


def required(ws: Workspace, datastore: Any, target: str, path: str, *, mode: str) -> tuple[Any, str]:
    """What a run's configuration says of the required datasets; and their path, "/" at the end of that of a folder.

    Raises `MissingInput` where the datastore has no such file or folder.
    """
    from azureml.core import Dataset
    from azureml.core.runconfig import Data

    place = f"{target}/{path}" if path else target
    is_file = _is_file(datastore, target, path)
    dataset = Dataset.File.from_files((datastore, place), validate=False)
    named = dataset.as_named_input(INPUT)
    consumed = named.as_mount() if mode == "mount" else named.as_download()
    consumed.dataset._ensure_saved(ws)
    return Data.create(consumed), path if is_file else f"{path}/"


def _is_file(datastore: Any, target: str, path: str) -> bool:
    container = datastore.blob_service.get_container_client(datastore.container_name)
    place = f"{target}/{path}" if path else target
    for blob in container.list_blobs(name_starts_with=place, results_per_page=100):
        if blob.name == place:
            return True
        if blob.name.startswith(f"{place}/"):
            return False
    above = place.rpartition("/")[0]
    known = [item.name.rstrip("/") for item in container.walk_blobs(name_starts_with=f"{above}/", delimiter="/")]
    known = [name.removeprefix(f"{target}/") for name in known]
    hint = did_you_mean(path, known) or (f" There are: {', '.join(known[:10])}." if known else "")
    raise MissingInput(
        f"Datastore {datastore.name!r} has no {place!r}.{hint} Correct --required-datasets-path, or upload it from "
        f"{DATA} with {AHEAD}."
    )
