"""Gets a workspace from the SDK, in Azure or on this machine, and translates what the SDK raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed
from azureml_wrapper.messages import quiet_sdk

if TYPE_CHECKING:
    from azureml.core import Workspace


def names_of(scope: Scope, auth: Any) -> dict[str, Any]:
    """The keywords of the SDK's `Workspace.get` and `Workspace.create`."""
    return {
        "name": scope.name,
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "auth": auth,
    }


def get_workspace(scope: Scope, auth: Any) -> Workspace | None:
    """The workspace, or None if Azure answers that it does not exist; any other error is raised."""
    from azureml.core import Workspace
    from azureml.exceptions import ProjectSystemException

    with translated(scope):
        try:
            with quiet_sdk():
                workspace = Workspace.get(**names_of(scope, auth))
        except ProjectSystemException as error:
            if _says_missing(error):
                return None
            raise
        # The SDK continues without an answer of ARM (azureml/_project/_commands.py, get_workspace).
        if workspace._workspace_autorest_object is None:
            raise ConnectionFailed(
                f"Azure did not answer about workspace {scope.name}. Check the network and the proxy."
            )
        return workspace


def _says_missing(error: BaseException) -> bool:
    """Whether ARM itself answered 404, not a proxy in between.

    The SDK says "Workspace not found." for every 404 (azureml/_base_sdk_common/common.py, resource_error_handling).
    """
    answer = getattr(error.__context__, "response", None)
    if answer is None or answer.status_code != 404:
        return False
    try:
        return bool(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def translated(scope: Scope) -> Iterator[None]:
    """Raise `LoginFailed` or `ConnectionFailed` for what the SDK raises about logins and networks."""
    import requests
    from azure.core.exceptions import AzureError, ClientAuthenticationError
    from azureml.exceptions import AuthenticationException, AzureMLException
    from msrest.exceptions import ClientException

    place = f"workspace {scope.name} of subscription {scope.subscription_id}"
    try:
        yield
    except (AuthenticationException, ClientAuthenticationError) as error:
        raise LoginFailed(f"Azure refused the login to {place}: {_first_lines(error)}") from error
    except (AzureMLException, AzureError, ClientException, requests.RequestException) as error:
        raise ConnectionFailed(f"Cannot connect to {place}: {_first_lines(error)}") from error


def _first_lines(error: Exception) -> str:
    """The message of an SDK error, without the JSON that follows it."""
    text = str(getattr(error, "message", None) or error).strip()
    return "\n".join(text.splitlines()[:5])
