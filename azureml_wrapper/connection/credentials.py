"""As whom Azure is talked to: for connection.py, and for SDK v2 in v2/client.py.

The order: a service principal of the environment, a managed identity where one is configured, the Azure CLI's login,
a login in the browser if there is a terminal. AZUREML_WRAPPER_AUTH, or `auth=`, names one of them, and no other is
tried then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from azureml_wrapper.errors import LoginFailed, did_you_mean

# Two customs: that of the SDK's own samples, and that of Azure's newer libraries (EnvironmentCredential).
PRINCIPAL_VARIABLES = (
    ("AZUREML_SERVICE_PRINCIPAL_TENANT_ID", "AZUREML_SERVICE_PRINCIPAL_ID", "AZUREML_SERVICE_PRINCIPAL_PASSWORD"),
    ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
)
MANAGED_VARIABLES = ("MSI_ENDPOINT", "IDENTITY_ENDPOINT")
# The file that marks a compute instance of Azure ML (azureml/core/authentication.py, _initialize_msi_auth).
COMPUTE_INSTANCE = Path("/mnt/azmnt/.nbvm")
CLI_SECONDS = 60
AUTH_VARIABLE = "AZUREML_WRAPPER_AUTH"
# For whom the SDK's own tokens are, too (AZURE_PUBLIC_CLOUD.endpoints.active_directory_resource_id).
MANAGEMENT = "https://management.core.windows.net/"
PUBLIC_HOSTS = (".azureml.ms", ".azureml.net")
# A token is asked for anew before it ends, so that no request travels with one that ends on the way.
SPARE_SECONDS = 300

Kind = Literal["service principal", "managed identity", "azure cli", "browser"]
# What users call them -> kind; the SDK's own classes are names, too.
CHOICES: dict[str, Kind] = {
    "cli": "azure cli",
    "browser": "browser",
    "managed-identity": "managed identity",
    "service-principal": "service principal",
}
_CLASSES: dict[str, Kind] = {
    "AzureCliAuthentication": "azure cli",
    "InteractiveLoginAuthentication": "browser",
    "MsiAuthentication": "managed identity",
    "ServicePrincipalAuthentication": "service principal",
}


@dataclass(frozen=True)
class Identity:
    """Who logs in, and how."""

    kind: Kind
    tenant: str = ""
    client: str = ""
    secret: str = field(default="", repr=False)


def choose(environment: Mapping[str, str], *, has_cli: bool, has_terminal: bool) -> list[Identity]:
    """The ways in that there are, in order; `LoginFailed` for a service principal that is only half there."""
    principal = _principal(environment)
    if principal:
        # Who names a service principal wants that one and no other.
        return [principal]
    ways = []
    if any(environment.get(name) for name in MANAGED_VARIABLES) or COMPUTE_INSTANCE.exists():
        client = environment.get("AZURE_CLIENT_ID") or environment.get("DEFAULT_IDENTITY_CLIENT_ID") or ""
        ways.append(Identity("managed identity", client=client))
    if has_cli:
        ways.append(Identity("azure cli"))
    if has_terminal:
        ways.append(Identity("browser", tenant=environment.get("AZURE_TENANT_ID", "")))
    return ways


def authenticate(wanted: str | None = None) -> Any:
    """The SDK's authentication object of the first way in that works; `LoginFailed` says what was tried.

    `wanted`, or else AZUREML_WRAPPER_AUTH, names the only way to try: a key of CHOICES, or a class of the SDK.
    """
    if name := wanted or os.environ.get(AUTH_VARIABLE):
        return _authenticate_as(name)
    has_terminal = bool(sys.stdin) and sys.stdin.isatty()
    ways = choose(os.environ, has_cli=shutil.which("az") is not None, has_terminal=has_terminal)
    failures = []
    for way in ways:
        try:
            return _AUTHENTICATIONS[way.kind](way)
        except LoginFailed as error:
            failures.append(f"{way.kind}: {error}")
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise LoginFailed(
        "Nobody is logged in to Azure. Run `az login` (without a browser: `az login --use-device-code`), "
        "set AZUREML_SERVICE_PRINCIPAL_ID, _TENANT_ID and _PASSWORD, "
        "or give `auth=`, in a notebook for instance azureml.core.authentication.InteractiveLoginAuthentication()."
        + (f" Tried:{tried}" if tried else "")
    )


def plain_tokens(address: str) -> Callable[[], str]:
    """What gives a token for the service at `address`: after `az login` in Azure's public cloud without the SDK."""
    if name := os.environ.get(AUTH_VARIABLE):
        ways = [identify(name, os.environ)]
    else:
        ways = choose(os.environ, has_cli=shutil.which("az") is not None, has_terminal=False)
    if ways and ways[0].kind == "azure cli" and (urlsplit(address).hostname or "").endswith(PUBLIC_HOSTS):
        tokens = CliTokens()
        return lambda: tokens(MANAGEMENT)
    authentication = authenticate()
    return lambda: str(authentication.get_authentication_header()["Authorization"].partition(" ")[2])


def identify(name: str, environment: Mapping[str, str]) -> Identity:
    """Who logs in where that was said by name; `LoginFailed` for a name that there is not."""
    kind = CHOICES.get(name) or _CLASSES.get(name)
    if kind is None:
        known = (*CHOICES, *_CLASSES)
        near = did_you_mean(name, known)
        raise LoginFailed(f"There is no authentication {name!r}.{near} Allowed are {', '.join(known)}.")
    if kind == "service principal":
        principal = _principal(environment)
        if principal is None:
            raise LoginFailed(f"{name!r} needs {', '.join(PRINCIPAL_VARIABLES[0])}, which are not set.")
        return principal
    client = environment.get("AZURE_CLIENT_ID") or environment.get("DEFAULT_IDENTITY_CLIENT_ID") or ""
    tenant = environment.get("AZURE_TENANT_ID", "")
    return Identity(
        kind, tenant=tenant if kind == "browser" else "", client=client if kind == "managed identity" else ""
    )


def named(name: str) -> Identity:
    """Who logs in by that name on this machine; `LoginFailed` where that cannot be."""
    identity = identify(name, os.environ)
    if identity.kind == "azure cli" and shutil.which("az") is None:
        raise LoginFailed(f"{name!r} needs the Azure CLI, and there is no `az` here. Install it, and run `az login`.")
    return identity


def principal() -> Identity | None:
    """The service principal of the environment, which comes before every other way in."""
    return _principal(os.environ)


def _authenticate_as(name: str) -> Any:
    identity = named(name)
    return _AUTHENTICATIONS[identity.kind](identity)


def _principal(environment: Mapping[str, str]) -> Identity | None:
    first, second = PRINCIPAL_VARIABLES
    given = {name: environment.get(name, "") for name in (*first, *second)}
    missing = [name for name in first if not given[name]]
    if 0 < len(missing) < len(first):
        raise LoginFailed(f"The service principal of the environment is not whole: {', '.join(missing)} is missing.")
    for tenant, client, secret in (first, second):
        # AZURE_CLIENT_ID alone names a managed identity, AZURE_TENANT_ID alone a directory.
        if given[tenant] and given[client] and given[secret]:
            return Identity("service principal", given[tenant], given[client], given[secret])
    return None


def _as_principal(identity: Identity) -> Any:
    from azureml.core.authentication import ServicePrincipalAuthentication

    return ServicePrincipalAuthentication(identity.tenant, identity.client, identity.secret)


def _as_managed(identity: Identity) -> Any:
    from azureml.core.authentication import MsiAuthentication

    return MsiAuthentication(identity_config={"client_id": identity.client} if identity.client else None)


def _as_cli(_: Identity) -> Any:
    """The login of the `az` command, wherever it is installed; the SDK's own class wants it in this environment."""
    from azureml.core.authentication import TokenAuthentication

    tokens = CliTokens()
    authentication = TokenAuthentication(tokens)
    tokens(authentication._cloud_type.endpoints.active_directory_resource_id)
    return authentication


def _as_browser(identity: Identity) -> Any:
    from azureml.core.authentication import InteractiveLoginAuthentication

    return InteractiveLoginAuthentication(tenant_id=identity.tenant or None)


_AUTHENTICATIONS = {
    "service principal": _as_principal,
    "managed identity": _as_managed,
    "azure cli": _as_cli,
    "browser": _as_browser,
}


class CliTokens:
    """Tokens of `az account get-access-token`, one per audience until it ends."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, float]] = {}

    def __call__(self, audience: str) -> str:
        token, end = self._tokens.get(audience, ("", 0.0))
        if time.time() > end - SPARE_SECONDS:
            token, end = self._tokens[audience] = _ask_cli(audience)
        return token


def _ask_cli(audience: str) -> tuple[str, float]:
    command = ["az", "account", "get-access-token", "--output", "json", "--resource", audience]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLI_SECONDS, check=True)
        answer = json.loads(done.stdout)
        token = answer["accessToken"]
    except subprocess.CalledProcessError as error:
        raise LoginFailed(f"`az` gives no token: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise LoginFailed(f"`az` gives no token within {CLI_SECONDS} s.") from error
    except (json.JSONDecodeError, KeyError) as error:
        raise LoginFailed("`az account get-access-token` answers something that is no token.") from error
    # Older versions of az give no `expires_on`; their tokens live for an hour.
    return token, float(answer.get("expires_on", time.time() + 3600))
