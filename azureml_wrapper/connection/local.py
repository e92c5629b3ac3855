"""Finds the local Azure ML, starts it if it does not run, and makes this process and its SDK trust it."""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_new_workspace_name
from azureml_wrapper.connection.sdk_workspace import get_workspace, names_of
from azureml_wrapper.connection.target import LOCAL, Access, Scope
from azureml_wrapper.errors import ConnectionFailed

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.local.home import Home, ServiceInfo

# Where `Workspace.get_mlflow_tracking_uri` finds MLflow's service (azureml/mlflow/__init__.py). Discovery has one
# address for it and for the pipelines; azureml-mlflow sends no token over plain HTTP, which the pipelines speak.
MLFLOW_VARIABLE = "AZUREML_DEV_URL_MLFLOW"
# The file of certificates that requests, and so the SDK, trusts.
TRUST_VARIABLE = "REQUESTS_CA_BUNDLE"


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
    found = get_workspace(scope, auth)
    if found is not None:
        return found
    if not create:
        raise ConnectionFailed(f"There is no workspace {scope.name} in {scope.resource_group} of the local Azure ML.")
    from azureml.core import Workspace

    check_new_workspace_name(scope.name)
    with warnings.catch_warnings():
        # That the resource group is made as well; here it is no more than a name.
        warnings.simplefilter("ignore", UserWarning)
        names = names_of(scope, auth)
        return Workspace.create(**names, location=LOCAL, create_resource_group=True, show_output=False)


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


def local_address() -> tuple[Any, ...]:
    """A service that came back on another port is another service to the SDK, which keeps addresses."""
    from azureml_wrapper.local.home import Home

    home = Home()
    return home.path, _start(home).port


def access_local(scope: Scope) -> Access:
    """The services of a workspace on the local service, which is started if it does not run; imports no SDK."""
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    # Not by way of `_start`, which imports the SDK.
    home = Home()
    info = control.start(home)
    _trust(home, info)
    token = Tokens(info.secret).user(subscription=scope.subscription_id)
    return Access(_addresses(info).base, lambda: token)


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
