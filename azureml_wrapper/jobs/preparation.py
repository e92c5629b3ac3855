"""Prepares a job: what it needs in the workspace, what must not be uploaded, and what would make it fail late.

Account keys and the results of earlier jobs must not be uploaded with the scripts. The SDK uploads everything, `.git`
and `.azureml` included, if a folder has neither `.amlignore` nor `.gitignore`; if it has both, only `.amlignore`
counts (azureml/_project/ignore_file.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import find_datastore, get_datastore, register_blob_datastore
from azureml_wrapper.assets.environments import Packages, find_environment, register_environment
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.job_models import DatastoreFile, EnvironmentFile
from azureml_wrapper.errors import BadData, BadValue, LoginFailed, MissingInput, did_you_mean
from azureml_wrapper.jobs.record import ROOT, job_folders
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Workspace

# The SDK's defaults take minutes to report that an account name is wrong.
_QUICKLY = {"retry_total": 1, "connection_timeout": 20}
AMLIGNORE, GITIGNORE = ".amlignore", ".gitignore"
AZUREML = ".azureml"


def prepare_datastore(ws: Workspace, wanted: DatastoreFile | None) -> str:
    """Register the datastore if necessary, open it once, and return its name.

    A datastore that was registered here and cannot be opened is unregistered again.

    Args:
        wanted: None for the workspace's default datastore.

    Raises:
        LoginFailed: The account key is wrong.
        BadData: The container or the account does not exist.
    """
    if wanted is None:
        name = str(ws.get_default_datastore().name)
        inform(f"No .azureml/datastore.json found: using the workspace's default datastore {name!r}.")
        return name
    if wanted.account_key is None:
        check_container(get_datastore(ws, wanted.datastore_name))
        return wanted.datastore_name
    is_new = find_datastore(ws, wanted.datastore_name) is None
    made = register_blob_datastore(
        ws, wanted.datastore_name, wanted.container_name or "", wanted.account_name or "", wanted.account_key
    )
    try:
        check_container(made)
    except (LoginFailed, BadData):
        if is_new:
            made.unregister()
        raise
    return wanted.datastore_name


def prepare_environment(ws: Workspace, wanted: EnvironmentFile | Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Register the environment if it has changed, and return its name and its environment variables."""
    if isinstance(wanted, Mapping):
        return _of_sdk(ws, wanted), {}
    variables = wanted.environment_variables or {}
    packages = Packages(
        dependencies=tuple(wanted.dependencies or ()),
        requirements=wanted.requirements,
        conda_file=wanted.conda_file,
        docker_image=wanted.docker_image,
        python_version=wanted.python_version,
    )
    if packages == Packages():
        Lookup(ws).environments([wanted.name])
    else:
        register_environment(ws, wanted.name, packages)
    return wanted.name, dict(variables)


def check_container(datastore: Any) -> None:
    """Open a datastore's container with its registered key.

    Raises:
        LoginFailed: The account key is wrong.
        BadData: The datastore has no blob container, or the container or the account does not exist.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError

    service = getattr(datastore, "blob_service", None)
    if service is None:
        raise BadData(f"Datastore {datastore.name!r} is not a blob container; jobs can mount only those.")
    container = f"container {datastore.container_name!r} of storage account {datastore.account_name!r}"
    try:
        service.get_container_client(datastore.container_name).get_container_properties(**_QUICKLY)
    except ClientAuthenticationError as error:
        raise LoginFailed(
            f"The account key of datastore {datastore.name!r} does not open {container}. Copy it again from the "
            "portal (storage account, 'Access keys'). Nothing was submitted."
        ) from error
    except ResourceNotFoundError as error:
        raise BadData(
            f"No {container} found. Create it, or correct datastore.json. Nothing was submitted."
        ) from error
    except AzureError as error:
        first = str(error).strip().splitlines()[0]
        raise BadData(f"Cannot open {container}: {first} Check account_name. Nothing was submitted.") from error


def check_input(datastore: Any, folder: str) -> None:
    """Raise `MissingInput`, with similar names, if a folder of a datastore has no files."""
    if not folder or is_filled(datastore, folder):
        return
    above = folder.rpartition("/")[0]
    known = [name.rstrip("/") for name in _names(datastore, f"{above}/" if above else "")]
    hint = did_you_mean(folder, known) or (f" Found: {', '.join(known[:10])}." if known else " It is empty.")
    raise MissingInput(f"Datastore {datastore.name!r} has no files in the folder {folder!r}.{hint}")


def is_filled(datastore: Any, folder: str) -> bool:
    """Whether a folder of a datastore has any files; a file of this name counts as well."""
    container = datastore.blob_service.get_container_client(datastore.container_name)
    found = (blob.name for blob in container.list_blobs(name_starts_with=folder, results_per_page=100))
    return any(name == folder or name.startswith(f"{folder}/") for name in found)


def _names(datastore: Any, prefix: str) -> list[str]:
    container = datastore.blob_service.get_container_client(datastore.container_name)
    return [str(item.name) for item in container.walk_blobs(name_starts_with=prefix, delimiter="/")]


def _of_sdk(ws: Workspace, definition: Mapping[str, Any]) -> str:
    """Register an environment that the SDK has written; an unchanged definition makes no new version."""
    from azureml.core import Environment

    wanted = Environment._deserialize_and_add_to_object(dict(definition))
    before = find_environment(ws, wanted.name)
    made = wanted.register(ws)
    if before is None or before.version != made.version:
        inform(f"Environment {made.name!r}: registered version {made.version}.")
    return str(made.name)


def protect(directory: Path, private: Sequence[Path], output: Path) -> str:
    """Create `.amlignore` in a script folder that has no list of ignored files, and check what would be uploaded.

    Args:
        directory: The script folder.
        private: Files with secrets.
        output: The job folder.

    Returns:
        Lines that say what was done, and what to consider.

    Raises:
        BadValue: A file with a secret would be uploaded.
    """
    names = [name for name in (AMLIGNORE, GITIGNORE) if (directory / name).is_file()]
    inner = [_resolve(file).relative_to(directory) for file in private if _resolve(file).is_relative_to(directory)]
    message = "" if names else _write(directory, [path for path in inner if path.parts[0] != AZUREML], output)
    name = names[0] if names else AMLIGNORE
    for path in inner:
        if is_sent(directory, directory / path):
            line = AZUREML if path.parts[0] == AZUREML else f"/{path.as_posix()}"
            raise BadValue(
                f"{directory / path} has an account key and would be uploaded with the scripts. Add the line "
                f"{line} to {directory / name}, or write the key as ${{STORAGE_KEY}} and set that variable."
            )
    return message or _about_results(directory, name)


def is_sent(directory: Path, file: Path) -> bool:
    """Whether a file of the script folder would be uploaded with it."""
    from azureml._project.ignore_file import get_project_ignore_file

    return not get_project_ignore_file(str(directory)).is_file_excluded(str(file.absolute()))


def _resolve(file: Path) -> Path:
    """The real folder of a file, and its own name: a link is uploaded as what it points to, under the link's name."""
    return file.expanduser().parent.resolve() / file.name


def _write(directory: Path, private: Sequence[Path], output: Path) -> str:
    root = output.expanduser().absolute()
    inner = [root.relative_to(directory).parts[0]] if root.is_relative_to(directory) and root != directory else [ROOT]
    lines = [".git", AZUREML, "__pycache__", ".venv", ".env", *(f"/{name}/" for name in inner)]
    lines += [f"/{path.as_posix()}" for path in private]
    (directory / AMLIGNORE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"Created {AMLIGNORE}, which excludes from the upload: {' '.join(lines)}\n"


def _about_results(directory: Path, name: str) -> str:
    found = [folder for folder in job_folders(directory) if is_sent(directory, folder / "any")]
    if not found:
        return ""
    first = found[0].relative_to(directory).parts[0]
    return f"The upload includes {len(found)} job folder(s). To exclude them, add the line /{first}/ to {name}.\n"
