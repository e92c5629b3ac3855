"""What the script of a project needs in the workspace: a compute target, and the project's data on a datastore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from azureml_wrapper.assets.compute_targets import DEFAULT_SIZE, Cluster, find_compute
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.config.loader import load
from azureml_wrapper.config.models import Model
from azureml_wrapper.config.parsing import read
from azureml_wrapper.config.values import Text
from azureml_wrapper.errors import MissingInput, did_you_mean
from azureml_wrapper.file_paths import DATA, INPUT, RAW, WORKING
from azureml_wrapper.messages import inform
from azureml_wrapper.projects.project import Project
from azureml_wrapper.transfer import sync_folder
from azureml_wrapper.v2.amlcompute import Compute, create
from azureml_wrapper.v2.read import read_compute

if TYPE_CHECKING:
    from azureml.core import Workspace

Count = Annotated[int, Field(ge=0)]


class ComputeFile(Model):
    """`compute.yaml`: a cluster, with the parameters of `WorkspaceWrapper.register_compute` as its keys."""

    noun: ClassVar[str] = "compute"
    compute_name: Text
    compute_size: Text = DEFAULT_SIZE
    compute_min_nodes: Count = 0
    compute_max_nodes: Annotated[int, Field(ge=1)] = 1
    vm_priority: Literal["dedicated", "lowpriority"] = "dedicated"
    idle_seconds: Count = 1800


def read_compute_file(file: Path) -> Compute:
    """Read the cluster that a file describes: in the format of `az ml` if it has a `type`, else as `ComputeFile`.

    Raises:
        ConfigError: The file is invalid; the message lists all problems with their lines.
    """
    content = read(file).data
    if isinstance(content, dict) and "type" in content:
        compute, notes = read_compute(file)
        for note in notes:
            inform(f"{file.name}, {note}")
        return compute
    found, _ = load(ComputeFile, file)
    cluster = Cluster(
        vm_size=found.compute_size,
        min_nodes=found.compute_min_nodes,
        max_nodes=found.compute_max_nodes,
        vm_priority=found.vm_priority,
        idle_seconds=found.idle_seconds,
    )
    return Compute(name=check_compute_name(found.compute_name), cluster=cluster)


def compute_target(ws: Workspace, wanted: Compute | str) -> Any:
    """Return the compute target of a name or of a file; that of a file is created if it does not exist."""
    if isinstance(wanted, str):
        return Lookup(ws).computes([wanted])[wanted]
    found = find_compute(ws, check_compute_name(wanted.name))
    if found is None:
        inform(create(ws, wanted))
        return find_compute(ws, wanted.name)
    differences = wanted.cluster.differences(found)
    but = f" as it is, although its file differs: {'; '.join(differences)}" if differences else ""
    inform(f"Using the existing compute {wanted.name!r}{but}.")
    return found


def upload_data(project: Project, datastore: Any, target: str, *, delete: bool = False) -> None:
    """Upload new and changed files of data_blobs/raw and data_blobs/working below the folder `target`.

    Args:
        delete: Delete from the datastore what the project does not have any more.

    Raises:
        TransferFailed: Not everything could be uploaded. Call again to resume.
    """
    if not project.data:
        inform(f"{project.folder} has neither {DATA}/{RAW} nor {DATA}/{WORKING}: no data to upload.")
    for name, folder in project.data.items():
        report = sync_folder(folder, datastore, target=f"{target}/{name}", delete=delete)
        inform(f"{DATA}/{name}: {report}")
        for left_out in report.ignored:
            inform(f"  not uploaded: {left_out}")


def required_data(ws: Workspace, datastore: Any, target: str, path: str, *, mode: str) -> tuple[Any, str]:
    """Return the SDK's `Data` for a file or folder of the datastore, and its path; that of a folder ends with "/".

    Args:
        target: The folder of the datastore that has the project's data.
        path: The file or folder below `target`.
        mode: "mount" or "download".

    Raises:
        MissingInput: The datastore has no such file or folder.
    """
    from azureml.core import Dataset
    from azureml.core.runconfig import Data

    blob = f"{target}/{path}" if path else target
    is_file = _is_file(datastore, target, path)
    dataset = Dataset.File.from_files((datastore, blob), validate=False)
    named = dataset.as_named_input(INPUT)
    consumed = named.as_mount() if mode == "mount" else named.as_download()
    consumed.dataset._ensure_saved(ws)
    return Data.create(consumed), path if is_file else f"{path}/"


def _is_file(datastore: Any, target: str, path: str) -> bool:
    container = datastore.blob_service.get_container_client(datastore.container_name)
    wanted = f"{target}/{path}" if path else target
    for blob in container.list_blobs(name_starts_with=wanted, results_per_page=100):
        if blob.name == wanted:
            return True
        if blob.name.startswith(f"{wanted}/"):
            return False
    above = wanted.rpartition("/")[0]
    known = [item.name.rstrip("/") for item in container.walk_blobs(name_starts_with=f"{above}/", delimiter="/")]
    known = [name.removeprefix(f"{target}/") for name in known]
    hint = did_you_mean(path, known) or (f" Found: {', '.join(known[:10])}." if known else "")
    raise MissingInput(
        f"Datastore {datastore.name!r} has no {wanted!r}.{hint} Correct --required-datasets-path, or upload it from "
        f"{DATA} with --should-upload-datasets True."
    )
