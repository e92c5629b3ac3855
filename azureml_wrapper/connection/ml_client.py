"""An MLClient of azure-ai-ml, the SDK v2, for a workspace on the local service. Imports no SDK v1."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection.local import ensure_workspace, local_addresses, trust_local
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import WrapperError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from azureml_wrapper.local.domain.addresses import Addresses
    from azureml_wrapper.local.home import Home


def module_of(name: str) -> Any:
    """Import a module of azure-ai-ml; a `WrapperError` says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise WrapperError(
            f"{name} cannot be imported ({error}). Install SDK v2: pip install 'azureml_wrapper[v2]'"
        ) from error


class LocalCredential:
    """A credential of azure-identity's kind, whose tokens are made here, without a request.

    A service that has stopped meanwhile is started again, on the same port.
    """

    def __init__(self, scope: Scope, home: Home) -> None:
        self._scope, self._home = scope, home

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """Return an AccessToken of azure-core for a scope such as `https://ml.azure.com/.default`."""
        from azure.core.credentials import AccessToken

        return AccessToken(*self._new(scopes))

    def get_token_info(self, *scopes: str, **_: Any) -> Any:
        """Return the same as an AccessTokenInfo, which newer clients ask for."""
        from azure.core.credentials import AccessTokenInfo

        return AccessTokenInfo(*self._new(scopes))

    def _new(self, scopes: tuple[str, ...]) -> tuple[str, int]:
        from azureml_wrapper.local import service_process
        from azureml_wrapper.local.tokens import DEFAULT_AUDIENCE, USER_LIFETIME, Tokens

        info = service_process.start(self._home)
        audience = scopes[0].removesuffix("/.default") if scopes else DEFAULT_AUDIENCE
        subscriptions = [self._scope.subscription_id]
        token = Tokens(info.secret).user(audience, subscriptions=subscriptions, python=sys.executable)
        return token, int(time.time()) + USER_LIFETIME


def local_ml_client(scope: Scope, home: Home | None = None) -> MLClient:
    """An MLClient for a workspace on the local service; the service is started and the workspace created if missing.

    The SDK keeps the name of its cloud in AZUREML_CURRENT_CLOUD, for the whole process: with clients of two services
    in one process, what it asks later goes to the service of the last.

    Raises:
        WrapperError: azure-ai-ml is not installed.
        ConnectionFailed: The workspace cannot be created.
    """
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.domain.addresses import LOCAL_CLOUD
    from azureml_wrapper.local.home import Home

    home = home or Home()
    info = service_process.start(home)
    trust_local(home, info)
    ensure_workspace(info, scope)
    library, clouds = module_of("azure.ai.ml"), module_of("azure.ai.ml._azure_environments")
    # Addresses cannot be changed once a cloud has them, so each has a name of its own.
    cloud = f"{LOCAL_CLOUD}{info.port}"
    metadata = {} if cloud in clouds._environments else {"cloud_metadata": _metadata(local_addresses(info))}
    names = (scope.subscription_id, scope.resource_group, scope.name)
    options = {"cloud": cloud, "enable_telemetry": False, "show_progress": False, **metadata}
    client: MLClient = library.MLClient(LocalCredential(scope, home), *names, **options)
    return client


def _metadata(addresses: Addresses) -> dict[str, str]:
    """A cloud as `MLClient(cloud_metadata=…)` takes it (azure/ai/ml/_azure_environments.py, EndpointURLS)."""
    from azureml_wrapper.local.domain.addresses import V2_PORTAL

    return {
        "azure_portal": V2_PORTAL,
        "resource_manager": addresses.arm,
        "active_directory": addresses.arm,
        "aml_resource_id": "https://ml.azure.com/",
        "storage_endpoint": addresses.storage_endpoint,
        "registry_discovery_endpoint": addresses.arm,
    }
