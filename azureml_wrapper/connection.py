"""Which Azure ML answers, and as whom: the only module that sets authentication and addresses.

A config with `subscription_id: "local"`, the variable AZUREML_WRAPPER_TARGET=local or an explicit `target="local"`
means the local Azure ML; everything else is Azure. Both give a real `azureml.core.Workspace`.
"""

from __future__ import annotations

import copy
import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.local.home import Home, ServiceInfo

LOCAL = "local"
TARGET_VARIABLE = "AZUREML_WRAPPER_TARGET"
Target = Literal["azure", "local"]


@dataclass(frozen=True)
class Scope:
    """The three names of a workspace, as every config has them."""

    subscription_id: str
    resource_group: str
    name: str


def choose_target(subscription_id: str, target: str | None = None) -> Target:
    """ "local" or "azure": the explicit argument wins, then AZUREML_WRAPPER_TARGET, then the subscription."""
    chosen = target or os.environ.get(TARGET_VARIABLE) or (LOCAL if subscription_id == LOCAL else "azure")
    if chosen not in ("azure", "local"):
        raise ValueError(f"target is {chosen!r}; allowed are 'azure' and 'local'.")
    return "local" if chosen == "local" else "azure"


def local_environment(home: Home, info: ServiceInfo) -> dict[str, str]:
    """The variables with which a program that knows nothing of this project talks to the local service.

    MSI_ENDPOINT gives it a token (azureml/core/authentication.py, MsiAuthentication), ARM_CLOUD_METADATA_URL the
    addresses, REQUESTS_CA_BUNDLE the trust, HBI_WORKSPACE_JOB switches the SDK's telemetry off.
    """
    addresses = _addresses(info)
    return {
        "ARM_CLOUD_METADATA_URL": addresses.metadata,
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
        "MSI_ENDPOINT": addresses.msi,
        "REQUESTS_CA_BUNDLE": str(_trust_bundle(home)),
        "HBI_WORKSPACE_JOB": "true",
        # The SDK keeps the cloud's addresses in a file of this folder; it must not see those of Azure, nor they ours.
        "AZURE_CONFIG_DIR": str(home.path / "azure"),
    }


def connect_local(scope: Scope, home: Home | None = None, *, create: bool = True) -> Workspace:
    """The workspace on the local service, which is started where it does not run."""
    _prepare_sdk(home)
    from azureml.core import Workspace
    from azureml.exceptions import ProjectSystemException

    auth = local_authentication(scope.subscription_id, home)
    names = {
        "name": scope.name,
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "auth": auth,
    }
    try:
        return Workspace.get(**names)
    except ProjectSystemException as error:
        # The SDK's words for a 404 of ARM (azureml/_base_sdk_common/common.py, resource_error_handling).
        if not create or "Workspace not found" not in str(error):
            raise
    return Workspace.create(**names, location="local", create_resource_group=True, show_output=False)


def local_authentication(subscription_id: str, home: Home | None = None) -> Any:
    """The SDK's authentication object for the local service.

    Its token is made here, without a request; and since the SDK asks for one before each request, a service that has
    left meanwhile is started again, on the same port.
    """
    _prepare_sdk(home)
    from azureml._vendor.azure_cli_core.cloud import AZURE_PUBLIC_CLOUD
    from azureml.core.authentication import TokenAuthentication

    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    place = home or Home()

    def token(audience: str) -> str:
        info = control.start(place)
        return Tokens(info.secret).user(audience, subscription=subscription_id)

    auth = TokenAuthentication(token, cloud="AzureCloud")
    cloud = copy.deepcopy(AZURE_PUBLIC_CLOUD)
    cloud.endpoints.resource_manager = _addresses(control.start(place)).arm
    auth._cloud_type = cloud
    return auth


_preparing = threading.Lock()


def _prepare_sdk(home: Home | None) -> None:
    """Start the service, and let this process trust it. Safe to call again and again."""
    from azureml_wrapper.local import control
    from azureml_wrapper.local.home import Home

    place = home or Home()
    with _preparing:
        control.start(place)
        os.environ.setdefault("HBI_WORKSPACE_JOB", "true")
        os.environ["REQUESTS_CA_BUNDLE"] = str(_trust_bundle(place))


def _addresses(info: ServiceInfo) -> Any:
    from azureml_wrapper.local.domain.addresses import Addresses
    from azureml_wrapper.local.tokens import Tokens

    return Addresses(port=info.port, key=Tokens(info.secret).key("address"))


def _trust_bundle(home: Home) -> Path:
    """A file of certificates: those trusted so far, and the local service's authority.

    It is named by its content, so that it can be given to processes that outlive a change of either.
    """
    import certifi

    given = os.environ.get("REQUESTS_CA_BUNDLE")
    if given and Path(given).parent == home.tls and Path(given).exists():
        return Path(given)
    base = Path(given) if given else Path(certifi.where())
    content = base.read_bytes() + b"\n" + home.authority.read_bytes()
    bundle = home.tls / f"trust-{hashlib.sha256(content).hexdigest()[:16]}.pem"
    if not bundle.exists():
        temporary = bundle.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(bundle)
    return bundle
