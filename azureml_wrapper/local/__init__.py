"""The local Azure ML: a workspace that lives in a folder on this machine.

    from azureml_wrapper import local

    ws = local.workspace()          # a real azureml.core.Workspace

The service starts when it is needed, and leaves by itself when it is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.local.home import ServiceInfo

__all__ = ["service", "start", "stop", "workspace"]


def workspace(name: str = "local") -> Workspace:
    """The workspace of that name, on the service of the home folder; both are made where they are missing."""
    from azureml_wrapper.connection.connections import connect
    from azureml_wrapper.connection.target import LOCAL, Scope

    return connect(Scope(LOCAL, LOCAL, name), target=LOCAL)


def start(home: Path | str | None = None) -> ServiceInfo:
    """The running service of a home folder (AZUREML_WRAPPER_HOME unless given), started where there is none."""
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home

    return control.start(Home(home))


def stop(home: Path | str | None = None) -> bool:
    """Stop the service of a home folder; False where none ran."""
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home

    return control.stop(Home(home))


@contextlib.contextmanager
def service(home: Path | str) -> Iterator[ServiceInfo]:
    """A service for the time of a `with` block, in which `workspace()` is on it; it is stopped at the end.

    A process that reads datasets from several homes should name its workspaces differently: rslex, the SDK's reader,
    remembers by a workspace's name where its datastores are.
    """
    import os

    from azureml_wrapper.connection.local import variables_restored
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import HOME_VARIABLE

    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(Path(home).expanduser().absolute())
    try:
        with variables_restored(), control.running(home) as info:
            yield info
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before
