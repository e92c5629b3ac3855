"""Workspaces, connected once per process; and their services for those who do without the SDK."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection.azure import connect_azure
from azureml_wrapper.connection.credentials import plain_tokens
from azureml_wrapper.connection.local import access_local, connect_local, local_address
from azureml_wrapper.connection.target import DEFAULT_LOCATION, LOCAL, Access, Scope, choose_target

if TYPE_CHECKING:
    from azureml.core import Workspace

_connections: dict[tuple[Any, ...], Workspace] = {}
_connecting = threading.RLock()


def connect(
    scope: Scope, *, auth: Any = None, target: str | None = None, location: str = DEFAULT_LOCATION
) -> Workspace:
    """The workspace of that name, connected once per process; created where it does not exist.

    `auth` is an authentication object of the SDK, or the name of one as credentials.py knows them; for Azure only.
    Raises `ConnectionFailed` or `LoginFailed`.
    """
    where = choose_target(scope.subscription_id, target)
    key = (scope, where, auth if isinstance(auth, str) else id(auth), *(local_address() if where == LOCAL else ()))
    with _connecting:
        if key not in _connections:
            _connections[key] = connect_local(scope) if where == LOCAL else connect_azure(scope, auth, location)
        return _connections[key]


def access(scope: Scope, *, target: str | None, address: str) -> Access:
    """The services of a workspace that was connected before: `address` is where they were then.

    The local service is started if it does not run, and may be on another port by now. In Azure the SDK comes in
    only if `az` has no login. Raises `LoginFailed`.
    """
    if choose_target(scope.subscription_id, target) == LOCAL:
        return access_local(scope)
    return Access(address, plain_tokens(address))
