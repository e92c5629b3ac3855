"""Which Azure ML answers, and as whom: the only module that sets authentication and addresses.

A config with `subscription_id: "local"`, the variable AZUREML_WRAPPER_TARGET=local or an explicit `target="local"`
means the local Azure ML; everything else is Azure. Both give a real `azureml.core.Workspace`.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from azureml_wrapper.errors import ConnectionFailed, LoginFailed
from azureml_wrapper.messages import hushed, say
from azureml_wrapper.names import check_new_workspace_name

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.local.home import Home, ServiceInfo

LOCAL = "local"
TARGET_VARIABLE = "AZUREML_WRAPPER_TARGET"
# Where `Workspace.get_mlflow_tracking_uri` finds MLflow's service (azureml/mlflow/__init__.py). Discovery has one
# address for it and for the pipelines; azureml-mlflow sends no token over plain HTTP, which the pipelines speak.
MLFLOW_VARIABLE = "AZUREML_DEV_URL_MLFLOW"
# The file of certificates that requests, and so the SDK, trusts.
TRUST_VARIABLE = "REQUESTS_CA_BUNDLE"
Target = Literal["azure", "local"]


@dataclass(frozen=True)
class Scope:
    """The three names of a workspace, as every config has them."""

    subscription_id: str
    resource_group: str
    name: str


@dataclass(frozen=True)
class Access:
    """How the services of a workspace are asked without the SDK, whose import takes longer than most answers."""

    address: str
    token: Callable[[], str] = field(repr=False)


_connections: dict[tuple[Any, ...], Workspace] = {}
_connecting = threading.RLock()


def connect(scope: Scope, *, auth: Any = None, target: str | None = None, location: str = "eastus") -> Workspace:
    """The workspace of that name, connected once per process; created where it does not exist.

    `auth` is an authentication object of the SDK, or the name of one as login.py knows them; for Azure only.
    Raises `ConnectionFailed` or `LoginFailed`.
    """
    where = choose_target(scope.subscription_id, target)
    key = (scope, where, auth if isinstance(auth, str) else id(auth), *(_local_address() if where == LOCAL else ()))
    with _connecting:
        if key not in _connections:
            _connections[key] = connect_local(scope) if where == LOCAL else connect_azure(scope, auth, location)
        return _connections[key]


def connect_azure(scope: Scope, auth: Any = None, location: str = "eastus") -> Workspace:
    """The workspace in Azure; it is created where Azure itself says that it does not exist."""
    # Of a connection to the local service before this one.
    if "//127.0.0.1:" in os.environ.get(MLFLOW_VARIABLE, ""):
        del os.environ[MLFLOW_VARIABLE]
    if auth is None or isinstance(auth, str):
        from azureml_wrapper.login import authenticate

        auth = authenticate(auth)
    found = _get(scope, auth)
    if found is not None:
        return found
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    say(f"Workspace {scope.name} does not exist; it is created in {location}. This takes a minute or two.")
    with _translated(scope):
        return Workspace.create(**_names(scope, auth), location=location, create_resource_group=True, exist_ok=True)


def choose_target(subscription_id: str, target: str | None = None) -> Target:
    """ "local" or "azure": the explicit argument wins, then AZUREML_WRAPPER_TARGET, then the subscription."""
    chosen = target or os.environ.get(TARGET_VARIABLE) or (LOCAL if subscription_id == LOCAL else "azure")
    if chosen not in ("azure", "local"):
        raise ValueError(f"target is {chosen!r}; allowed are 'azure' and 'local'.")
    return "local" if chosen == "local" else "azure"


def access(scope: Scope, *, target: str | None, address: str) -> Access:
    """The services of a workspace that was connected before: `address` is where they were then.

    The local service is started where it does not run, and may be on another port by now. In Azure the SDK comes in
    only where nobody is logged in by `az`. Raises `LoginFailed`.
    """
    if choose_target(scope.subscription_id, target) != LOCAL:
        from azureml_wrapper.login import plain_tokens

        return Access(address, plain_tokens(address))
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    # Not by way of `_start`, which imports the SDK.
    home = Home()
    info = control.start(home)
    _trust(home, info)
    token = Tokens(info.secret).user(subscription=scope.subscription_id)
    return Access(_addresses(info).base, lambda: token)


def local_environment(home: Home, info: ServiceInfo) -> dict[str, str]:
    """The variables with which a program that knows nothing of this project talks to the local service.

    MSI_ENDPOINT gives it a token (azureml/core/authentication.py, MsiAuthentication), ARM_CLOUD_METADATA_URL the
    addresses, REQUESTS_CA_BUNDLE the trust, HBI_WORKSPACE_JOB switches the SDK's telemetry off.
    """
    from azureml_wrapper.local.domain.addresses import without_proxy

    addresses = _addresses(info)
    return {
        MLFLOW_VARIABLE: addresses.arm.rstrip("/"),
        "ARM_CLOUD_METADATA_URL": addresses.metadata,
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
        "MSI_ENDPOINT": addresses.msi,
        TRUST_VARIABLE: str(_trust_bundle(home)),
        "HBI_WORKSPACE_JOB": "true",
        # The SDK keeps the cloud's addresses in a file of this folder; it must not see those of Azure, nor they ours.
        "AZURE_CONFIG_DIR": str(home.path / "azure"),
        **without_proxy(os.environ),
    }


def connect_local(scope: Scope, home: Home | None = None, *, create: bool = True) -> Workspace:
    """The workspace on the local service, which is started where it does not run."""
    auth = local_authentication(scope.subscription_id, home)
    found = _get(scope, auth)
    if found is not None:
        return found
    if not create:
        raise ConnectionFailed(f"There is no workspace {scope.name} in {scope.resource_group} of the local Azure ML.")
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    with warnings.catch_warnings():
        # That the resource group is made as well; here it is no more than a name.
        warnings.simplefilter("ignore", UserWarning)
        return Workspace.create(**_names(scope, auth), location=LOCAL, create_resource_group=True, show_output=False)


def local_authentication(subscription_id: str, home: Home | None = None) -> Any:
    """The SDK's authentication object for the local service.

    Its token is made here, without a request; and since the SDK asks for one before each request, a service that has
    left meanwhile is started again, on the same port.
    """
    _prepare_sdk(home)
    from azureml._vendor.azure_cli_core.cloud import AZURE_PUBLIC_CLOUD
    from azureml.core.authentication import AbstractAuthentication, TokenAuthentication

    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    place = home or Home()

    def token(audience: str) -> str:
        info = control.start(place)
        return Tokens(info.secret).user(audience, subscription=subscription_id)

    class LocalAuthentication(TokenAuthentication):  # type: ignore[misc] # the SDK is not typed
        def get_token(self, *scopes: Any, **_: Any) -> Any:
            """Also for clients that name a scope, such as azureml-mlflow; the SDK's own method refuses those."""
            if scopes and isinstance(scopes[0], str):
                return AbstractAuthentication.get_token(self, *scopes)
            return super().get_token(*scopes)

    auth = LocalAuthentication(token, cloud="AzureCloud")
    cloud = copy.deepcopy(AZURE_PUBLIC_CLOUD)
    cloud.endpoints.resource_manager = _addresses(control.start(place)).arm
    auth._cloud_type = cloud
    return auth


def _names(scope: Scope, auth: Any) -> dict[str, Any]:
    return {
        "name": scope.name,
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "auth": auth,
    }


def _get(scope: Scope, auth: Any) -> Workspace | None:
    """The workspace, or None where Azure says that there is none; everything else that goes wrong is raised."""
    from azureml.core import Workspace
    from azureml.exceptions import ProjectSystemException

    with _translated(scope):
        try:
            with hushed():
                workspace = Workspace.get(**_names(scope, auth))
        except ProjectSystemException as error:
            if _says_missing(error):
                return None
            raise
        # Where ARM cannot be reached, the SDK goes on with nothing (azureml/_project/_commands.py, get_workspace).
        if workspace._workspace_autorest_object is None:
            raise ConnectionFailed(
                f"Azure did not answer about workspace {scope.name}. Check the network and the proxy."
            )
        return workspace


def _says_missing(error: BaseException) -> bool:
    """Whether ARM's answer was a 404 of its own, not that of a proxy on the way.

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
def _translated(scope: Scope) -> Iterator[None]:
    """What the SDK and its libraries raise about logins and networks becomes one of our two errors."""
    import requests
    from azure.core.exceptions import AzureError, ClientAuthenticationError
    from azureml.exceptions import AuthenticationException, AzureMLException
    from msrest.exceptions import ClientException

    place = f"workspace {scope.name} of subscription {scope.subscription_id}"
    try:
        yield
    except (AuthenticationException, ClientAuthenticationError) as error:
        raise LoginFailed(f"Azure refuses the login to {place}: {_first_lines(error)}") from error
    except (AzureMLException, AzureError, ClientException, requests.RequestException) as error:
        raise ConnectionFailed(f"Cannot connect to {place}: {_first_lines(error)}") from error


def _first_lines(error: Exception) -> str:
    """An SDK error's own words, without the JSON that it prints after them."""
    text = str(getattr(error, "message", None) or error).strip()
    return "\n".join(text.splitlines()[:5])


def _local_address() -> tuple[Any, ...]:
    """A service that came back on another port is another service to the SDK, which keeps addresses."""
    from azureml_wrapper.local.home import Home

    home = Home()
    return home.path, _start(home).port


def _start(home: Home) -> ServiceInfo:
    """The service, started where it does not run. A start waits for a process: the SDK is imported meanwhile."""
    from concurrent.futures import ThreadPoolExecutor

    from azureml_wrapper.local import control

    # Switches the SDK's telemetry off; read when it is imported.
    os.environ.setdefault("HBI_WORKSPACE_JOB", "true")
    if "azureml.core" in sys.modules:
        return control.start(home)
    with ThreadPoolExecutor(1) as pool:
        info = pool.submit(control.start, home)
        importlib.import_module("azureml.core")
        return info.result()


_preparing = threading.Lock()
_nowhere = logging.NullHandler()


def _prepare_sdk(home: Home | None) -> None:
    """Start the service, and let this process trust it. Safe to call again and again."""
    from azureml_wrapper.local.home import Home

    place = home or Home()
    with _preparing:
        info = _start(place)
    _trust(place, info)
    # Where azure-ai-ml is installed, dataprep first asks azure-identity for a login, and only then the workspace
    # (azureml/dataprep/api/_aml_auth_resolver.py): what it logs of finding nobody means nothing here.
    logging.getLogger("azure.identity").addHandler(_nowhere)


def _trust(home: Home, info: ServiceInfo) -> None:
    """Let this process trust the service, and ask it without a proxy."""
    from azureml_wrapper.local.domain.addresses import without_proxy

    with _preparing:
        os.environ[MLFLOW_VARIABLE] = _addresses(info).arm.rstrip("/")
        os.environ[TRUST_VARIABLE] = str(_trust_bundle(home))
        os.environ.update(without_proxy(os.environ))


@contextlib.contextmanager
def variables_restored() -> Iterator[None]:
    """For a service that is gone afterwards: what connecting to it sets in the environment is taken back."""
    from azureml_wrapper.local.domain.addresses import NO_PROXY

    names = (MLFLOW_VARIABLE, TRUST_VARIABLE, *NO_PROXY)
    before = {name: os.environ[name] for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def _addresses(info: ServiceInfo) -> Any:
    from azureml_wrapper.local.domain.addresses import Addresses
    from azureml_wrapper.local.tokens import Tokens

    return Addresses(port=info.port, key=Tokens(info.secret).key("address"))


def _trust_bundle(home: Home) -> Path:
    """A file of certificates: those trusted so far, and the local service's authority.

    It is named by its content, so that it can be given to processes that outlive a change of either.
    """
    given = os.environ.get(TRUST_VARIABLE)
    if given and Path(given).parent == home.tls and Path(given).exists():
        return Path(given)
    content = _trusted(given).read_bytes() + b"\n" + home.authority.read_bytes()
    return home.write_trust(content)


def _trusted(given: str | None) -> Path:
    """The certificates trusted so far. Those of a home that has been deleted since are not missed."""
    import certifi

    from azureml_wrapper.local.home import is_trust

    if given is None or not given or (is_trust(Path(given)) and not Path(given).exists()):
        return Path(certifi.where())
    if not Path(given).is_file():
        raise ConnectionFailed(
            f"{TRUST_VARIABLE} is {given!r}, which is no file. Let it name a file of the certificates that are "
            "trusted, or unset it."
        )
    return Path(given)
