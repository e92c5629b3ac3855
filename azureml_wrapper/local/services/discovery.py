"""What a client asks before it knows anything: the cloud's addresses, a token, the services' addresses.

These operations need no token. Each address holds a key instead, which only clients of this home know.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from azureml_wrapper.local.domain.addresses import LOCAL_CLOUD, PUBLIC_CLOUD, V2_PORTAL, Addresses
from azureml_wrapper.local.domain.errors import Invalid, Unauthenticated, Unsupported
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.programs import check_program
from azureml_wrapper.local.tokens import DEFAULT_AUDIENCE, USER_LIFETIME

# The keys of azureml/_restclient/service_context.py and azureml/_base_sdk_common/service_discovery.py.
SERVICE_NAMES = (
    "api",
    "catalog",
    "cert",
    "experimentation",
    "gallery",
    "history",
    "hyperdrive",
    "inferencing",
    "mlflow",
    "modelmanagement",
    "notebooks",
    "onboarding",
    "pipelines",
    "workspaceproxy",
)

# Hosts in whose name clients of this service ask for a token, besides its own address: azureml-mlflow and azure-ai-ml
# (`credential_scopes` in their _configuration.py), storage clients with azure-identity, and
# `AbstractAuthentication._get_aml_resource_id`, which adds parts of other addresses to it.
_OWN_AUDIENCE = re.compile(r"https?://(127\.0\.0\.1[:/]|(management|storage)\.azure\.com(/|$)|ml\.azure\.)")


def services(addresses: Addresses) -> dict[str, str]:
    """Service name → base address."""
    return {
        **dict.fromkeys(SERVICE_NAMES, addresses.base),
        "discovery": addresses.discovery,
        "studio": addresses.studio,
    }


def clouds(addresses: Addresses) -> list[dict[str, Any]]:
    """This service as two clouds: SDK v1 asks for AzureCloud by default, whose addresses SDK v2 has built in."""
    return [cloud(addresses, PUBLIC_CLOUD, addresses.studio), cloud(addresses, LOCAL_CLOUD, V2_PORTAL)]


def cloud(addresses: Addresses, name: str, portal: str) -> dict[str, Any]:
    """One cloud, in the form of ARM's `/metadata/endpoints?api-version=2019-05-01`."""
    base = addresses.base
    return {
        "name": name,
        "portal": portal,
        "resourceManager": addresses.arm,
        "authentication": {
            "loginEndpoint": addresses.arm,
            "audiences": [addresses.arm],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "storage": addresses.storage_endpoint,
            "keyVaultDns": "vault.local",
            "sqlServerHostname": "sql.local",
            "azureDataLakeStoreFileSystem": "adls.local",
            "azureDataLakeAnalyticsCatalogAndJob": "adla.local",
            "acrLoginServer": "acr.local",
        },
        **dict.fromkeys(("sqlManagement", "batch", "gallery", "graphAudience", "vmImageAliasDoc", "media"), base),
        "activeDirectoryDataLake": base,
    }


def msi_token(token: str, resource: str, now: datetime) -> dict[str, str]:
    """A managed identity's token (MsiAuthentication of azureml/core/authentication.py)."""
    start = int(now.timestamp())
    return {
        "access_token": token,
        "token_type": "Bearer",
        "resource": resource,
        "expires_in": str(USER_LIFETIME),
        "expires_on": str(start + USER_LIFETIME),
        "not_before": str(start),
    }


def get_services(context: Context, request: Request) -> Response:
    """The addresses of all services."""
    _check_key(request, context.addresses.open_key)
    return json_response(services(context.addresses))


def get_cloud(context: Context, request: Request) -> Response:
    """The addresses of the cloud: ARM, storage, login."""
    _check_key(request, context.addresses.open_key)
    return json_response(clouds(context.addresses))


def get_registry(_: Context, request: Request) -> Response:
    """Always refused: `MLClient(registry_name=…)` calls this first."""
    raise Unsupported(
        f"The local Azure ML has no registries: {request['registry']!r} was asked for. "
        "Open a workspace, and register there what you need."
    )


def get_token(context: Context, request: Request) -> Response:
    """A token of the user, for programs that bring no authentication of their own.

    None for another service: whoever asks for that sends it there.
    """
    _check_key(request, context.addresses.key)
    resource = parse_qs(request.body.decode("latin-1")).get("resource", [""])[0]
    _check_audience(resource)
    named = [name for name in request.query.get("subscriptions", "").split(",") if name]
    program = check_program(request.query["program"]) if "program" in request.query else None
    # SDK v2 compares the audience when it submits a pipeline.
    audience = resource or DEFAULT_AUDIENCE
    token = context.tokens.user(audience, subscriptions=named, creates_workspaces=True, program=program)
    return json_response(msi_token(token, audience, context.clock.now()))


def _check_key(request: Request, key: str) -> None:
    if not hmac.compare_digest(request["key"].encode(), key.encode()):
        raise Unauthenticated(f"{request.path.split('/')[1]}: the key in the address is not this service's.")


def _check_audience(resource: str) -> None:
    if resource and not _OWN_AUDIENCE.match(resource):
        raise Invalid(
            f"No token for {resource}: the local Azure ML issues tokens for itself only. "
            "If azureml-core asks for it, install azureml-core>=1.40."
        )


ROUTES = (
    Route("GET", "/discovery/{key}", get_services, public=True),
    Route("GET", "/metadata/{key}/endpoints", get_cloud, public=True),
    Route("POST", "/msi/{key}/token", get_token, public=True),
    Route("GET", "/registrymanagement/v1.0/registries/{registry}/discovery", get_registry),
)
