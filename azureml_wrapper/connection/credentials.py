"""How to log in to Azure, for SDK v1 and, in v2/client.py, for SDK v2.

Tried in this order: a service principal from the environment; a managed identity, if one is configured; the login of
the Azure CLI; a login in the browser, on a terminal. AZUREML_WRAPPER_AUTH or `auth=` names one of them; then no other
is tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from azureml_wrapper.errors import LoginFailed, did_you_mean
from azureml_wrapper.messages import quiet_sdk

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

# The names that the SDK's own samples use, and those of Azure's newer libraries (EnvironmentCredential).
PRINCIPAL_VARIABLES = (
    ("AZUREML_SERVICE_PRINCIPAL_TENANT_ID", "AZUREML_SERVICE_PRINCIPAL_ID", "AZUREML_SERVICE_PRINCIPAL_PASSWORD"),
    ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
)
MANAGED_VARIABLES = ("MSI_ENDPOINT", "IDENTITY_ENDPOINT")
# The file that marks a compute instance of Azure ML (azureml/core/authentication.py, _initialize_msi_auth).
COMPUTE_INSTANCE = Path("/mnt/azmnt/.nbvm")
CLI_SECONDS = 60
AUTH_VARIABLE = "AZUREML_WRAPPER_AUTH"
# The audience of the SDK's own tokens (AZURE_PUBLIC_CLOUD.endpoints.active_directory_resource_id).
MANAGEMENT = "https://management.core.windows.net/"
PUBLIC_HOSTS = (".azureml.ms", ".azureml.net")
# Tokens are renewed before they expire, so that none expires on its way to the service.
SPARE_SECONDS = 300

Kind = Literal["service principal", "managed identity", "azure cli", "browser"]
# The names for users; those of the SDK's classes work as well.
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


def candidates(environment: Mapping[str, str], *, has_cli: bool, has_terminal: bool) -> list[Identity]:
    """The identities to try, in order; `LoginFailed` if only half of a service principal is set."""
    principal = _principal(environment)
    if principal:
        # An explicit service principal excludes every other identity.
        return [principal]
    found = []
    if any(environment.get(name) for name in MANAGED_VARIABLES) or COMPUTE_INSTANCE.exists():
        found.append(Identity("managed identity", client=_client(environment)))
    if has_cli:
        found.append(Identity("azure cli"))
    if has_terminal:
        found.append(Identity("browser", tenant=environment.get("AZURE_TENANT_ID", "")))
    return found


def authenticate(name: str | None = None) -> Any:
    """The SDK's authentication object of the first login that works.

    Args:
        name: The only login to try, a key of CHOICES or a class of the SDK. Default: AZUREML_WRAPPER_AUTH, else all.

    Raises:
        LoginFailed: No login works. The message lists what was tried.
    """
    if name := name or os.environ.get(AUTH_VARIABLE):
        identity = named(name)
        return _AUTHENTICATIONS[identity.kind](identity)
    has_terminal = bool(sys.stdin) and sys.stdin.isatty()
    failures = []
    for identity in candidates(os.environ, has_cli=shutil.which("az") is not None, has_terminal=has_terminal):
        try:
            return _AUTHENTICATIONS[identity.kind](identity)
        except LoginFailed as error:
            failures.append(f"{identity.kind}: {error}")
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise LoginFailed(
        "Not logged in to Azure. Run `az login` (without a browser: `az login --use-device-code`), set "
        "AZUREML_SERVICE_PRINCIPAL_ID, _TENANT_ID and _PASSWORD, or pass `auth=`; in a notebook, for instance, "
        "azureml.core.authentication.InteractiveLoginAuthentication()." + (f" Tried:{tried}" if tried else "")
    )


def plain_tokens(address: str) -> Callable[[], str]:
    """A function that returns a token for the service at `address`.

    After `az login`, and in Azure's public cloud, it does without the SDK, whose import takes seconds.
    """
    tokens = cli_tokens()
    if tokens and is_public(address):
        return lambda: tokens(MANAGEMENT)
    authentication = authenticate()
    return lambda: str(authentication.get_authentication_header()["Authorization"].partition(" ")[2])


def cli_tokens(name: str | None = None) -> CliTokens | None:
    """The tokens of `az login`, if that is what `authenticate` tries first: the only login that needs no SDK."""
    if name := name or os.environ.get(AUTH_VARIABLE):
        found = [identify(name, os.environ)]
    else:
        found = candidates(os.environ, has_cli=shutil.which("az") is not None, has_terminal=False)
    return CliTokens() if found and found[0].kind == "azure cli" else None


def is_public(address: str) -> bool:
    """Whether a service is in Azure's public cloud, which takes the tokens of `MANAGEMENT`."""
    return (urlsplit(address).hostname or "").endswith(PUBLIC_HOSTS)


def identify(name: str, environment: Mapping[str, str]) -> Identity:
    """The identity of a name; `LoginFailed` for an unknown name, or a service principal that is not set."""
    kind = CHOICES.get(name) or _CLASSES.get(name)
    if kind is None:
        known = (*CHOICES, *_CLASSES)
        hint = did_you_mean(name, known)
        source = f" in {AUTH_VARIABLE}" if environment.get(AUTH_VARIABLE) == name else ""
        raise LoginFailed(f"Unknown authentication {name!r}{source}.{hint} Expected one of {', '.join(known)}.")
    if kind == "service principal":
        principal = _principal(environment)
        if principal is None:
            raise LoginFailed(f"{name!r} requires {', '.join(PRINCIPAL_VARIABLES[0])}, which are not set.")
        return principal
    if kind == "managed identity":
        return Identity(kind, client=_client(environment))
    return Identity(kind, tenant=environment.get("AZURE_TENANT_ID", "") if kind == "browser" else "")


def named(name: str) -> Identity:
    """The identity of a name on this machine; `LoginFailed` if it cannot be used here."""
    identity = identify(name, os.environ)
    if identity.kind == "azure cli" and shutil.which("az") is None:
        raise LoginFailed(f"{name!r} requires the Azure CLI, but `az` was not found. Install it, and run `az login`.")
    return identity


def principal() -> Identity | None:
    """The service principal of the environment, which precedes every other identity; None if it has none."""
    return _principal(os.environ)


def _client(environment: Mapping[str, str]) -> str:
    """The client id of a managed identity; empty for the machine's only one."""
    return environment.get("AZURE_CLIENT_ID") or environment.get("DEFAULT_IDENTITY_CLIENT_ID") or ""


def _principal(environment: Mapping[str, str]) -> Identity | None:
    first, second = PRINCIPAL_VARIABLES
    given = {name: environment.get(name, "") for name in (*first, *second)}
    missing = [name for name in first if not given[name]]
    if 0 < len(missing) < len(first):
        verb = "is" if len(missing) == 1 else "are"
        raise LoginFailed(f"Incomplete service principal: {', '.join(missing)} {verb} not set.")
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
    """The login of `az`, wherever it is installed; the SDK's own class requires it in this Python environment."""
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
    """Tokens of the Azure CLI's login, one per audience until it expires; azure-identity keeps none."""

    def __init__(self) -> None:
        self._tokens: dict[str, AccessToken] = {}

    def __call__(self, audience: str) -> str:
        token = self._tokens.get(audience)
        if token is None or time.time() > token.expires_on - SPARE_SECONDS:
            token = self._tokens[audience] = _request_from_cli(audience)
        return token.token


def _request_from_cli(audience: str) -> AccessToken:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import AzureCliCredential

    try:
        # It logs as a warning what it raises.
        with quiet_sdk():
            token: AccessToken = AzureCliCredential(process_timeout=CLI_SECONDS).get_token(f"{audience}/.default")
            return token
    except ClientAuthenticationError as error:
        raise LoginFailed(f"`az account get-access-token` returned no token: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What `az` itself printed, if it did; azure-identity replaces some of it."""
    cause = error.__cause__
    if isinstance(cause, subprocess.TimeoutExpired):
        return f"no answer within {CLI_SECONDS} s."
    printed = cause.stderr.strip() if isinstance(cause, subprocess.CalledProcessError) and cause.stderr else ""
    return printed or str(error).strip().splitlines()[0]
