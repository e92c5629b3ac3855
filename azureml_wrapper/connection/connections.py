"""Connects to workspaces, once per process; and to their services, for code that does without the SDK."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_new_workspace_name
from azureml_wrapper.connection.credentials import authenticate, plain_tokens
from azureml_wrapper.connection.discovery import discover
from azureml_wrapper.connection.local import (
    MLFLOW_VARIABLE,
    access_local,
    connect_local,
    local_address,
    open_local,
    running_address,
)
from azureml_wrapper.connection.sdk_workspace import get_workspace, names_of, translated
from azureml_wrapper.connection.target import (
    DEFAULT_LOCATION,
    LOCAL,
    Access,
    Scope,
    check_subscription,
    choose_target,
    is_local_address,
)
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Workspace

_connections: dict[tuple[Any, ...], Workspace] = {}
_connecting = threading.RLock()


def connect(
    scope: Scope, *, auth: Any = None, target: str | None = None, location: str = DEFAULT_LOCATION
) -> Workspace:
    """The workspace of a scope, connected once per process; created if it does not exist.

    Args:
        scope: Names of the workspace.
        auth: Authentication object of the SDK, or a name that credentials.py knows. Only for Azure.
        target: "azure" or "local". Default: see `choose_target`.
        location: Azure region of a workspace that has to be created.

    Raises:
        BadValue: The id of the subscription is neither a GUID nor "local" (a ValueError).
        ConnectionFailed: Azure ML does not answer.
        LoginFailed: Azure refuses the login, or none was found.
    """
    chosen = choose_target(scope.subscription_id, target)
    key = (scope, chosen, _key_of(auth), *(local_address() if chosen == LOCAL else ()))
    with _connecting:
        if key not in _connections:
            _connections[key] = connect_local(scope) if chosen == LOCAL else connect_azure(scope, auth, location)
        return _connections[key]


def connected(scope: Scope, *, auth: Any = None, target: str | None = None, **_: Any) -> Workspace | None:
    """The workspace if this process has connected to it already; sends no request and starts no service."""
    if not _connections:
        return None
    chosen = choose_target(scope.subscription_id, target)
    running = running_address() if chosen == LOCAL else ()
    return _connections.get((scope, chosen, _key_of(auth), *running))


def _key_of(auth: Any) -> Any:
    return auth if isinstance(auth, str) else id(auth)


def connect_azure(scope: Scope, auth: Any = None, location: str = DEFAULT_LOCATION) -> Workspace:
    """The workspace in Azure; created if Azure itself answers that it does not exist."""
    check_subscription(scope.subscription_id)
    # Left behind by an earlier connection to the local service.
    if is_local_address(os.environ.get(MLFLOW_VARIABLE, "")):
        os.environ.pop(MLFLOW_VARIABLE, None)
    if auth is None or isinstance(auth, str):
        auth = authenticate(auth)
    found = get_workspace(scope, auth)
    if found is not None:
        return found
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    inform(f"Creating workspace {scope.name} in {location}, because it does not exist. This takes a minute or two.")
    with translated(scope):
        return Workspace.create(**names_of(scope, auth), location=location, create_resource_group=True, exist_ok=True)


def open_services(
    scope: Scope, *, auth: Any = None, target: str | None = None, location: str = DEFAULT_LOCATION
) -> Access:
    """The services of a workspace, for commands that only read; a missing workspace is created, as by `connect`.

    The SDK is imported only if the workspace is missing, or if the login is not that of the Azure CLI in the public
    cloud: the SDK's other logins are its own.

    Raises:
        BadValue, ConnectionFailed, LoginFailed: As for `connect`.
    """
    if choose_target(scope.subscription_id, target) == LOCAL:
        return open_local(scope)
    check_subscription(scope.subscription_id)
    found = discover(scope, auth) if auth is None or isinstance(auth, str) else None
    return found or access_of(connect(scope, auth=auth, target=target, location=location))


def access_of(workspace: Workspace) -> Access:
    """The services of a workspace that the SDK has connected to."""
    addresses = workspace.service_context

    def token() -> str:
        return str(workspace._auth.get_authentication_header()["Authorization"].partition(" ")[2])

    return Access(
        str(addresses._get_run_history_url()),
        token,
        pipelines=str(addresses._get_pipelines_url()),
        portal=str(addresses._get_workspace_portal_url()),
    )


def access(scope: Scope, *, target: str | None, address: str) -> Access:
    """The services of a workspace that was connected before.

    The local service is started if it does not run, and may be on another port by now. In Azure, the SDK is imported
    only if `az` has no login.

    Args:
        scope: Names of the workspace.
        target: "azure" or "local", as for `connect`.
        address: Address of the services when the workspace was connected. Only for Azure.

    Raises:
        LoginFailed: Azure refuses the login, or none was found.
    """
    if choose_target(scope.subscription_id, target) == LOCAL:
        return access_local(scope)
    check_subscription(scope.subscription_id)
    return Access(address, plain_tokens(address))
