"""The public functions of `azureml_wrapper.local`: a workspace on the local service, and the service itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.local import connection_strings, variables_restored
from azureml_wrapper.connection.target import LOCAL, Scope
from azureml_wrapper.errors import NotRegistered, did_you_mean

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azureml.core import Workspace

    from azureml_wrapper.local.home import ServiceInfo


def workspace(name: str = "local") -> Workspace:
    """Return the workspace of that name on the service of the home folder; both are created if missing."""
    return connect(Scope(LOCAL, LOCAL, name), target=LOCAL)


def ml_client(workspace: str = "local") -> MLClient:
    """Return an MLClient of SDK v2 (azure-ai-ml) for the workspace of that name; both are created if missing.

    What the service answers to SDK v2 is in docs/sdk-v2.md. SDK v1 in the same process sees the same workspace.

    Raises:
        WrapperError: azure-ai-ml is not installed.
        ConnectionFailed: The name is invalid.
    """
    from azureml_wrapper.connection.ml_client import local_ml_client

    return local_ml_client(Scope(LOCAL, LOCAL, workspace))


def connection_string(account: str) -> str:
    """Return how tools other than the SDK open a storage account: `BlobEndpoint=…;AccountName=…;AccountKey=…`.

    The string contains the account's key. It names the service's port, which stays the same unless another program
    takes it while no service runs; the service is started if it does not run.

    Args:
        account: the name of the account, such as `ws.get_default_datastore().account_name`.

    Raises:
        NotRegistered: The service has no such account.
    """
    found = connection_strings(start())
    if account not in found:
        raise NotRegistered(
            f"The local Azure ML has no storage account {account!r}.{did_you_mean(account, found)} It has: "
            f"{', '.join(sorted(found))}."
        )
    return found[account]


def start(home: Path | str | None = None) -> ServiceInfo:
    """Return the running service of a home folder, started if it does not run.

    Args:
        home: the folder; by default AZUREML_WRAPPER_HOME, or else ~/.azureml_wrapper/local.
    """
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home

    return service_process.start(Home(home))


def stop(home: Path | str | None = None) -> bool:
    """Stop the service of a home folder; return False if none was running."""
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home

    return service_process.stop(Home(home))


@contextlib.contextmanager
def service(home: Path | str) -> Iterator[ServiceInfo]:
    """Run a service for the duration of a `with` block, in which `workspace()` uses it.

    A process that reads datasets from several homes should name its workspaces differently: rslex, the SDK's reader,
    remembers by a workspace's name where its datastores are.
    """
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import HOME_VARIABLE

    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(Path(home).expanduser().absolute())
    try:
        with variables_restored(), service_process.running(home) as info:
            yield info
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before
