"""Makes ready in the workspace what a job needs, and finds out early what would make it fail late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import find_datastore, get_datastore, register_blob_datastore
from azureml_wrapper.assets.environments import Packages, find_environment, register_environment
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.job_models import DatastoreFile, EnvironmentFile
from azureml_wrapper.errors import BadData, LoginFailed, MissingInput, did_you_mean
from azureml_wrapper.messages import say

if TYPE_CHECKING:
    from azureml.core import Workspace

# Nobody waits minutes to learn that the name of an account is wrong.
_QUICKLY = {"retry_total": 1, "connection_timeout": 20}


def prepare_datastore(ws: Workspace, wanted: DatastoreFile | None) -> str:
    """The name of the datastore, registered where it was not, and opened once: before any script is sent.

    One that was registered here and does not open is forgotten again. Raises `LoginFailed` for a wrong key.
    """
    if wanted is None:
        name = str(ws.get_default_datastore().name)
        say(f"There is no .azureml/datastore.json: the workspace's default datastore {name!r} is used.")
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
    """The name of the environment, registered where it has changed, and the variables that jobs in it get."""
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
    """Open a datastore's container with the key that it is registered with."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError

    service = getattr(datastore, "blob_service", None)
    if service is None:
        raise BadData(f"Datastore {datastore.name!r} is no blob container; jobs mount folders of those only.")
    place = f"container {datastore.container_name!r} of storage account {datastore.account_name!r}"
    try:
        service.get_container_client(datastore.container_name).get_container_properties(**_QUICKLY)
    except ClientAuthenticationError as error:
        raise LoginFailed(
            f"The account key of datastore {datastore.name!r} does not open {place}. Copy it again from the portal "
            "(storage account, 'Access keys'). Nothing was sent."
        ) from error
    except ResourceNotFoundError as error:
        raise BadData(f"There is no {place}. Create it, or correct datastore.json. Nothing was sent.") from error
    except AzureError as error:
        first = str(error).strip().splitlines()[0]
        raise BadData(f"{place} cannot be opened: {first} Check account_name. Nothing was sent.") from error


def check_input(datastore: Any, folder: str) -> None:
    """Raise `MissingInput` where a folder of a datastore has no file, with the names that come near."""
    if not folder or is_filled(datastore, folder):
        return
    above = folder.rpartition("/")[0]
    known = [name.rstrip("/") for name in _names(datastore, f"{above}/" if above else "")]
    hint = did_you_mean(folder, known) or (f" There are: {', '.join(known[:10])}." if known else " It is empty.")
    raise MissingInput(f"Datastore {datastore.name!r} has no file in the folder {folder!r}.{hint}")


def is_filled(datastore: Any, folder: str) -> bool:
    """Whether a folder of a datastore has any file; a file of that name counts, too."""
    container = datastore.blob_service.get_container_client(datastore.container_name)
    found = (blob.name for blob in container.list_blobs(name_starts_with=folder, results_per_page=100))
    return any(name == folder or name.startswith(f"{folder}/") for name in found)


def _names(datastore: Any, prefix: str) -> list[str]:
    container = datastore.blob_service.get_container_client(datastore.container_name)
    return [str(item.name) for item in container.walk_blobs(name_starts_with=prefix, delimiter="/")]


def _of_sdk(ws: Workspace, definition: Mapping[str, Any]) -> str:
    """Register an environment as the SDK writes it down; the same definition makes no new version."""
    from azureml.core import Environment

    wanted = Environment._deserialize_and_add_to_object(dict(definition))
    before = find_environment(ws, wanted.name)
    made = wanted.register(ws)
    if before is None or before.version != made.version:
        say(f"Environment {made.name!r}: registered version {made.version}.")
    return str(made.name)
