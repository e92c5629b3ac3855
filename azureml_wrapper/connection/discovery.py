"""Finds a workspace's services in Azure without the SDK, with the login of the Azure CLI.

The SDK asks the same: Azure Resource Manager for the workspace, and the address that it names for the services
(azureml/_base_sdk_common/service_discovery.py).
"""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import Any

import urllib3

from azureml_wrapper import network
from azureml_wrapper.connection.credentials import MANAGEMENT, cli_tokens, is_public
from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed

RESOURCE_MANAGER = "https://management.azure.com"
VERSION = "2022-05-01"
PORTAL = "https://ml.azure.com"
# The SDK's variables for another cloud (azureml/_vendor/azure_cli_core/cloud.py).
CLOUD_VARIABLES = ("AZUREML_CURRENT_CLOUD", "ARM_CLOUD_METADATA_URL")
PUBLIC_CLOUD = "AzureCloud"
TIMEOUT = urllib3.Timeout(connect=20, read=60)
RETRIES = 3


def discover(scope: Scope, auth: str | None = None) -> Access | None:
    """The services of a workspace; None if only the SDK can find out.

    That is: if `auth`, or what comes first by default, is not the login of the Azure CLI, if the workspace is not in
    the public cloud, or if Azure answers that it does not exist.

    Raises:
        ConnectionFailed: Azure does not answer, or with an error.
        LoginFailed: The Azure CLI has no login, or Azure refuses it.
    """
    if any(os.environ.get(name, PUBLIC_CLOUD) != PUBLIC_CLOUD for name in CLOUD_VARIABLES):
        return None
    tokens = cli_tokens(auth)
    if tokens is None:
        return None
    found = _get(scope, f"{RESOURCE_MANAGER}{scope.path}?api-version={VERSION}", tokens(MANAGEMENT))
    address = (found or {}).get("properties", {}).get("discoveryUrl")
    services = (address and _get(scope, address)) or {}
    if not is_public(services.get("history", "")):
        return None
    return Access(
        services["history"],
        lambda: tokens(MANAGEMENT),
        pipelines=services.get("pipelines") or services["history"],
        portal=services.get("studio") or PORTAL,
    )


def _get(scope: Scope, address: str, token: str = "") -> dict[str, Any] | None:
    """The JSON at an address; None if Azure itself, not a proxy, answers that it does not exist."""
    place = f"workspace {scope.name} of subscription {scope.subscription_id}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        pool = network.connections(address, retries=RETRIES)
        answer = pool.request("GET", address, headers=headers, timeout=TIMEOUT)
        content = json.loads(answer.data)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, network.InvalidSetting) as error:
        raise ConnectionFailed(f"Cannot connect to {place}: {network.reason_of(error)}") from error
    if answer.status == HTTPStatus.OK and isinstance(content, dict):
        return content
    fault = content.get("error") if isinstance(content, dict) else None
    reason = fault.get("message") if isinstance(fault, dict) else f"HTTP {answer.status}"
    if answer.status == HTTPStatus.NOT_FOUND and fault:
        return None
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise LoginFailed(f"Azure refused the login to {place}: {reason}")
    raise ConnectionFailed(f"Cannot connect to {place}: {reason}")
