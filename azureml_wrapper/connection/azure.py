"""Connects to a workspace in Azure, and creates one that does not exist yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_new_workspace_name
from azureml_wrapper.connection.credentials import authenticate
from azureml_wrapper.connection.local import MLFLOW_VARIABLE
from azureml_wrapper.connection.sdk_workspace import get_workspace, names_of, translated
from azureml_wrapper.connection.target import DEFAULT_LOCATION, Scope
from azureml_wrapper.messages import say

if TYPE_CHECKING:
    from azureml.core import Workspace


def connect_azure(scope: Scope, auth: Any = None, location: str = DEFAULT_LOCATION) -> Workspace:
    """The workspace in Azure; it is created where Azure itself says that it does not exist."""
    # Of a connection to the local service before this one.
    if "//127.0.0.1:" in os.environ.get(MLFLOW_VARIABLE, ""):
        del os.environ[MLFLOW_VARIABLE]
    if auth is None or isinstance(auth, str):
        auth = authenticate(auth)
    found = get_workspace(scope, auth)
    if found is not None:
        return found
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    say(f"Workspace {scope.name} does not exist; it is created in {location}. This takes a minute or two.")
    with translated(scope):
        return Workspace.create(**names_of(scope, auth), location=location, create_resource_group=True, exist_ok=True)
