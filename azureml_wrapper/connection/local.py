"""Finds the local Azure ML, starts it if it does not run, and makes this process and its SDK trust it."""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import logging
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_new_workspace_name
from azureml_wrapper.connection.sdk_workspace import get_workspace, names_of
from azureml_wrapper.connection.target import LOCAL, Access, Scope
from azureml_wrapper.errors import ConnectionFailed

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.local.domain.addresses import Addresses
    from azureml_wrapper.local.home import Home, ServiceInfo

# The address that `Workspace.get_mlflow_tracking_uri` returns (azureml/mlflow/__init__.py). Discovery has one address
# for MLflow and for pipelines; azureml-mlflow sends no token over plain HTTP, which pipelines use.
MLFLOW_VARIABLE = "AZUREML_DEV_URL_MLFLOW"
# The cloud of the SDKs: MLClient writes it, and SDK v1 reads it in the same process.
CLOUD_VARIABLE = "AZUREML_CURRENT_CLOUD"
# The file or folder of certificates that requests, and so the SDK, trusts.
TRUST_VARIABLE = "REQUESTS_CA_BUNDLE"


def local_environment(
    home: Home, info: ServiceInfo, subscriptions: Iterable[str] = (), program: str = ""
) -> dict[str, str]:
    """The environment variables with which any program of the SDK uses the local service.

    `subscriptions` are those that the program may name: the SDK refuses others before it asks for a workspace.
    `program` names the pipe for reports to it (local/store/programs.py).

    MSI_ENDPOINT provides a token (azureml/core/authentication.py, MsiAuthentication; azure-identity's
    ManagedIdentityCredential), ARM_CLOUD_METADATA_URL the addresses, REQUESTS_CA_BUNDLE the trust; HBI_WORKSPACE_JOB
    switches the SDK's telemetry off.
    """
    from azureml_wrapper.local.domain.addresses import LOCAL_CLOUD, without_proxy
    from azureml_wrapper.network import trust_variables

    addresses = local_addresses(info)
    return {
        MLFLOW_VARIABLE: addresses.arm.rstrip("/"),
        "ARM_CLOUD_METADATA_URL": addresses.metadata,
        CLOUD_VARIABLE: LOCAL_CLOUD,
        # SDK v2 would look for registries at an address in Azure.
        "REGISTRY_DISCOVERY_ENDPOINT_URL": addresses.arm,
        # With it, DefaultAzureCredential asks MSI_ENDPOINT first (azure-identity 1.24 and later).
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "MSI_ENDPOINT": addresses.msi(subscriptions, program),
        **trust_variables(_trusted_folder(home), os.environ),
        "HBI_WORKSPACE_JOB": "true",
        # The SDK caches the cloud's addresses in a file of this folder; those of Azure must stay apart.
        "AZURE_CONFIG_DIR": str(home.cloud_settings),
        **without_proxy(os.environ),
    }


def connect_local(scope: Scope, home: Home | None = None, *, create: bool = True) -> Workspace:
    """The workspace on the local service, which is started if it does not run.

    Raises:
        ConnectionFailed: The workspace does not exist, and `create` is False.
        BadName: The workspace does not exist, and its name is invalid.
    """
    auth = local_authentication(scope.subscription_id, home)
    found = get_workspace(scope, auth)
    if found is not None:
        return found
    if not create:
        raise ConnectionFailed(
            f"Workspace {scope.name} does not exist in {scope.resource_group} of the local Azure ML."
        )
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    _create_group(scope, auth)
    return Workspace.create(**names_of(scope, auth), location=LOCAL, create_resource_group=True, show_output=False)


def _create_group(scope: Scope, auth: Any) -> None:
    """Create the resource group, which is only a name here, before the SDK does it with a warning."""
    from azure.core.exceptions import ResourceNotFoundError
    from azureml._base_sdk_common.common import resource_client_factory

    groups = resource_client_factory(auth, scope.subscription_id).resource_groups
    try:
        groups.get(scope.resource_group)
    except ResourceNotFoundError:
        groups.create_or_update(scope.resource_group, {"location": LOCAL})


def local_authentication(subscription_id: str, home: Home | None = None) -> Any:
    """The SDK's authentication object for the local service.

    Its tokens are made here, without a request. The SDK asks for one before each of its requests, so that a service
    that has stopped meanwhile is started again, on the same port.
    """
    _prepare_sdk(home)
    from azureml._vendor.azure_cli_core.cloud import AZURE_PUBLIC_CLOUD
    from azureml.core.authentication import AbstractAuthentication, TokenAuthentication

    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    home = home or Home()

    def token(audience: str) -> str:
        info = service_process.start(home)
        return Tokens(info.secret).user(audience, subscriptions=[subscription_id], python=sys.executable)

    class LocalAuthentication(TokenAuthentication):  # type: ignore[misc] # the SDK is not typed
        def get_token(self, *scopes: Any, **_: Any) -> Any:
            """Return a token, also to clients that pass a scope, such as azureml-mlflow, which the SDK refuses."""
            if scopes and isinstance(scopes[0], str):
                return AbstractAuthentication.get_token(self, *scopes)
            return super().get_token(*scopes)

    auth = LocalAuthentication(token, cloud="AzureCloud")
    cloud = copy.deepcopy(AZURE_PUBLIC_CLOUD)
    cloud.endpoints.resource_manager = local_addresses(service_process.start(home)).arm
    auth._cloud_type = cloud
    return auth


def local_address() -> tuple[Any, ...]:
    """What distinguishes services for the SDK, which keeps addresses: the home, and the port it now runs on."""
    from azureml_wrapper.local.home import Home

    home = Home()
    return home.path, _start(home).port


def running_address() -> tuple[Any, ...]:
    """The same if the service runs; it is not started. Imports no SDK."""
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home

    home = Home()
    info = service_process.find(home)
    return home.path, info.port if info else None


def access_local(scope: Scope) -> Access:
    """The services of a workspace on the local service, which is started if it does not run. Imports no SDK."""
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    # `_start` would import the SDK.
    home = Home()
    info = service_process.start(home)
    trust_local(home, info)
    token = Tokens(info.secret).user(subscriptions=[scope.subscription_id], python=sys.executable)
    addresses = local_addresses(info)
    return Access(addresses.base, lambda: token, pipelines=addresses.base, portal=addresses.studio)


def open_local(scope: Scope) -> Access:
    """Like `access_local`; a missing workspace is created, which imports the SDK."""
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import Home

    found = access_local(scope)
    try:
        ask(service_process.start(Home()), scope.path, token=found.token())
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        connect_local(scope)
    return found


def ensure_workspace(info: ServiceInfo, scope: Scope, program: str | None = None) -> None:
    """Ask for a workspace with a token that creates a missing one. Imports no SDK.

    Args:
        program: the pipe to which its creation is reported (local/store/programs.py).

    Raises:
        ConnectionFailed: The workspace cannot be created.
    """
    from azureml_wrapper.local.tokens import Tokens

    token = Tokens(info.secret).user(creates_workspaces=True, program=program)
    try:
        ask(info, scope.path, token=token)
    except urllib.error.HTTPError as error:
        raise ConnectionFailed(json.load(error)["error"]["message"]) from error


def connection_strings(info: ServiceInfo) -> dict[str, str]:
    """Storage account -> how other tools open it, with the account's key. Imports no SDK.

    Clients on aiohttp refuse the addresses that the SDK makes of a datastore's endpoint (domain/addresses.py).
    """
    return {
        account["name"]: f"BlobEndpoint={local_addresses(info).base};AccountName={account['name']};"
        f"AccountKey={account['key']}"
        for account in ask(info, "/datastore/v1.0/accounts")["value"]
    }


def ask(info: ServiceInfo, path: str, *, token: str | None = None) -> Any:
    """The JSON with which the service answers a GET. Imports no SDK.

    Args:
        token: by default one of the user.

    Raises:
        urllib.error.HTTPError: The service answered with an error.
    """
    from azureml_wrapper.local.tokens import Tokens

    request = urllib.request.Request(f"{local_addresses(info).base}{path}")  # noqa: S310 - always http
    request.add_header("Authorization", f"Bearer {token or Tokens(info.secret).user()}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


def _start(home: Home) -> ServiceInfo:
    """The service, started if it does not run. The SDK is imported while its process starts."""
    from concurrent.futures import ThreadPoolExecutor

    from azureml_wrapper.local import service_process

    # Switches the SDK's telemetry off; the SDK reads it when it is imported.
    os.environ.setdefault("HBI_WORKSPACE_JOB", "true")
    if "azureml.core" in sys.modules:
        return service_process.start(home)
    with ThreadPoolExecutor(1) as pool:
        info = pool.submit(service_process.start, home)
        importlib.import_module("azureml.core")
        return info.result()


_preparing = threading.Lock()
_nowhere = logging.NullHandler()


def _prepare_sdk(home: Home | None) -> None:
    """Start the service, and make this process trust it; may be called repeatedly."""
    from azureml_wrapper.local.home import Home

    home = home or Home()
    with _preparing:
        info = _start(home)
    trust_local(home, info)
    # With azure-ai-ml installed, dataprep asks azure-identity for a login before it asks the workspace
    # (azureml/dataprep/api/_aml_auth_resolver.py); the failure that azure-identity logs does not matter here.
    logging.getLogger("azure.identity").addHandler(_nowhere)


def trust_local(home: Home, info: ServiceInfo) -> None:
    """Make this process trust the service, and reach it without a proxy."""
    from azureml_wrapper.local.domain.addresses import without_proxy
    from azureml_wrapper.network import trust_variables

    with _preparing:
        os.environ[MLFLOW_VARIABLE] = local_addresses(info).arm.rstrip("/")
        os.environ.update(trust_variables(_trusted_folder(home), os.environ))
        os.environ.update(without_proxy(os.environ))


@contextlib.contextmanager
def variables_restored() -> Iterator[None]:
    """Restore the environment variables that connecting sets, for a service that is stopped afterwards."""
    from azureml_wrapper.local.domain.addresses import NO_PROXY
    from azureml_wrapper.network import FILE_VARIABLE

    names = (MLFLOW_VARIABLE, CLOUD_VARIABLE, TRUST_VARIABLE, FILE_VARIABLE, *NO_PROXY)
    before = {name: os.environ[name] for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def local_addresses(info: ServiceInfo) -> Addresses:
    """The addresses of a running service."""
    from azureml_wrapper.local.domain.addresses import Addresses
    from azureml_wrapper.local.tokens import Tokens

    return Addresses(port=info.port, key=Tokens(info.secret).key("address"))


def _trusted_folder(home: Home) -> Path:
    """A folder of certificates: those trusted so far, and the local service's authority.

    Its name depends on its content, so that processes can keep using it when either changes.
    """
    from azureml_wrapper.network import certificates

    given = os.environ.get(TRUST_VARIABLE)
    if given and Path(given).parent == home.tls and Path(given).exists():
        return Path(given)
    return home.write_trust(certificates(_trusted(given)) + b"\n" + home.authority.read_bytes())


def _trusted(given: str | None) -> Path:
    """The certificates trusted so far; without those of a home that has been deleted."""
    from azureml_wrapper.local.home import is_trust
    from azureml_wrapper.network import InvalidSetting, trusted

    environment = dict(os.environ)
    if given and is_trust(Path(given)) and not Path(given).exists():
        del environment[TRUST_VARIABLE]
    try:
        return trusted(environment)
    except InvalidSetting as error:
        raise ConnectionFailed(str(error)) from error
