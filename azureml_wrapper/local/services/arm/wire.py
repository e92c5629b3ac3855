"""ARM's JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape
from azureml_wrapper.local.domain.workspaces import DEFAULT_NAME, ResourceGroup, Workspace
from azureml_wrapper.local.store.documents import Document
from azureml_wrapper.local.tokens import TENANT, USER

JSON = dict[str, Any]

_RESOURCE = {"type": Needed(str), "name": Needed(str), "location": str, "tags": MapOf(str)}
_NESTED = {"resources": [_RESOURCE]}
_PROPERTIES = {"friendlyName": str, "description": str, "encryption": {"status": str}, "template": _NESTED}
_TEMPLATE = {"properties": {"template": {"resources": [{**_RESOURCE, "properties": _PROPERTIES}]}}}
_UPDATE = {"tags": MapOf(str), "properties": {"friendlyName": str, "description": str}}

WORKSPACE_TYPE = "Microsoft.MachineLearningServices/workspaces"

# Regions with Azure ML. `Workspace.create` refuses other locations; here the name has no effect.
LOCATIONS = (
    *("Australia East", "Australia Southeast", "Brazil South", "Canada Central", "Canada East", "Central India"),
    *("Central US", "East Asia", "East US", "East US 2", "France Central", "Germany West Central", "Israel Central"),
    *("Italy North", "Japan East", "Japan West", "Jio India West", "Korea Central", "North Central US"),
    *("North Europe", "Norway East", "Poland Central", "Qatar Central", "South Africa North", "South Central US"),
    *("South India", "Southeast Asia", "Spain Central", "Sweden Central", "Switzerland North", "Switzerland West"),
    *("UAE North", "UK South", "UK West", "West Central US", "West Europe", "West India", "West US", "West US 2"),
    *("West US 3", DEFAULT_NAME),
)

# Resources that the SDK adds to a template beside the workspace (azureml/_workspace/arm_template_builder.py).
_MADE_WITH_WORKSPACE = {
    "storageAccount": "microsoft.storage/storageaccounts",
    "keyVault": "microsoft.keyvault/vaults",
    "applicationInsights": "microsoft.insights/components",
}
_WITHOUT_EFFECT = ("containerRegistry", "adbWorkspace", "primaryUserAssignedIdentity")


def subscription(name: str, *, for_program: bool = False) -> dict[str, str]:
    """A subscription. The SDK shows the names in its error for one that is not listed."""
    hint = "local; others: aml local exec --workspace SUBSCRIPTION/RESOURCE_GROUP/NAME"
    return {
        "id": f"/subscriptions/{name}",
        "subscriptionId": name,
        "displayName": hint if for_program and name == DEFAULT_NAME else "local",
        "state": "Enabled",
        "tenantId": TENANT,
    }


def workspace(record: Workspace, addresses: Addresses) -> dict[str, Any]:
    """A workspace as `Workspace.get` and `get_details()` read it."""
    group = f"/subscriptions/{record.subscription}/resourcegroups/{record.resource_group}/providers"
    return {
        "id": record.scope,
        "name": record.name,
        "type": WORKSPACE_TYPE,
        "location": record.location,
        "tags": record.tags,
        "identity": {"type": "SystemAssigned", "principalId": USER, "tenantId": TENANT},
        "sku": {"name": "Basic", "tier": "Basic"},
        "properties": {
            "friendlyName": record.friendly_name or record.name,
            "description": record.description,
            "workspaceId": record.workspace_id,
            "provisioningState": "Succeeded",
            "creationTime": offset_time(record.created),
            "storageAccount": f"{group}/microsoft.storage/storageaccounts/{record.storage_account}",
            "keyVault": f"{group}/microsoft.keyvault/vaults/{record.name}",
            "applicationInsights": f"{group}/microsoft.insights/components/{record.name}",
            "containerRegistry": None,
            "discoveryUrl": addresses.discovery,
            "hbiWorkspace": False,
            "allowPublicAccessWhenBehindVnet": False,
            "imageBuildCompute": "",
            "mlFlowTrackingUri": addresses.mlflow(record),
        },
    }


def resource(record: Workspace) -> JSON:
    """A workspace as ARM lists it among all resources."""
    return {
        "id": record.scope,
        "name": record.name,
        "type": WORKSPACE_TYPE,
        "location": record.location,
        "tags": record.tags,
    }


def group(record: ResourceGroup) -> JSON:
    return {
        "id": record.scope,
        "name": record.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": record.location,
        "tags": record.tags,
        "properties": {"provisioningState": "Succeeded"},
    }


def provider(subscription_name: str, namespace: str) -> JSON:
    kinds = ("workspaces", "workspaces/computes", "components", "vaults", "storageAccounts", "registries")
    return {
        "id": f"/subscriptions/{subscription_name}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": "Registered",
        "resourceTypes": [
            {"resourceType": kind, "locations": list(LOCATIONS), "apiVersions": ["2021-01-01"]} for kind in kinds
        ],
    }


def parse_filter(text: str) -> Callable[[Workspace], bool]:
    """The filters that the SDK sends: `resourceType eq '…' and resourceGroup eq '…'`, `substringof('…',name)`."""
    tests = [_clause(clause) for clause in text.split(" and ") if clause.strip()]
    return lambda record: all(test(record) for test in tests)


def _clause(text: str) -> Callable[[Workspace], bool]:
    found = re.fullmatch(r"(?:(resourceType|resourceGroup) eq |substringof\()'([^']*)'(?:, *name\))?", text.strip())
    if not found:
        raise Unsupported(
            f"Unsupported filter {text!r}: the local service filters by resourceType, resourceGroup and name."
        )
    field, value = found[1], found[2].lower()
    if field == "resourceType":
        return lambda _: value == WORKSPACE_TYPE.lower()
    if field == "resourceGroup":
        return lambda record: value == record.resource_group.lower()
    return lambda record: value in record.name.lower()


def parse_group(subscription: str, name: str, body: JSON) -> ResourceGroup:
    """The resource group that a PUT describes."""
    check_shape(body, {"location": str, "tags": MapOf(str)}, "ResourceGroup")
    location, tags = body.get("location") or DEFAULT_NAME, body.get("tags") or {}
    return ResourceGroup(subscription=subscription, name=name, location=location, tags=tags)


def parse_update(before: Workspace, body: JSON) -> Workspace:
    """`before` with the changes of a PATCH; raise `Unsupported` for settings without a meaning here."""
    check_shape(body, _UPDATE, "Workspace")
    properties = body.get("properties") or {}
    others = {key for key, value in properties.items() if value is not None} - {"friendlyName", "description"}
    others |= {key for key in ("sku", "identity") if body.get(key)}
    if others:
        raise Unsupported(
            f"Unsupported workspace settings: {', '.join(sorted(others))}. In the local service, only tags, "
            "friendlyName and description can be changed."
        )
    return replace(
        before,
        tags=before.tags if body.get("tags") is None else body["tags"],
        friendly_name=_either(properties.get("friendlyName"), before.friendly_name),
        description=_either(properties.get("description"), before.description),
    )


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a template creates: groups as (name, location), workspaces as fields, all resources as (type, name)."""

    groups: list[tuple[str, str]]
    workspaces: list[JSON]
    resources: list[tuple[str, str]]


def parse_template(body: JSON) -> Template:
    """The template of an ARM deployment, as azureml/_workspace/arm_template_builder.py builds it."""
    check_shape(body, _TEMPLATE, "Deployment")
    resources = ((body.get("properties") or {}).get("template") or {}).get("resources")
    if not isinstance(resources, list):
        raise Invalid("The deployment has no template with a list of resources.")
    nested = [inner for item in resources for inner in _nested(item)]
    if not all({"type", "name"} <= item.keys() for item in (*resources, *nested)):
        raise Invalid("Every resource in the deployment's template requires a type and a name.")
    kinds = {item["type"].lower() for item in resources}
    return Template(
        groups=[
            (item["name"], item.get("location") or DEFAULT_NAME)
            for item in nested
            if item["type"].endswith("/resourceGroups")
        ],
        workspaces=[_workspace_fields(item, kinds) for item in resources if item["type"] == WORKSPACE_TYPE],
        # Without nested deployments: the SDK stops reporting progress at a name that it does not expect.
        resources=[(item["type"], item["name"]) for item in resources if not _nested(item)],
    )


def _nested(item: JSON) -> list[JSON]:
    if item.get("type") != "Microsoft.Resources/deployments":
        return []
    template = (item.get("properties") or {}).get("template") or {}
    found: list[JSON] = template.get("resources") or []
    return found


def _workspace_fields(item: JSON, kinds: set[str]) -> JSON:
    properties = item.get("properties") or {}
    _check_dependencies(item["name"], properties, kinds)
    return {
        "name": item["name"],
        "location": item.get("location") or DEFAULT_NAME,
        "tags": item.get("tags") or {},
        "friendly_name": properties.get("friendlyName") or item["name"],
        "description": properties.get("description") or "",
    }


def _check_dependencies(name: str, properties: JSON, kinds: set[str]) -> None:
    given = [key for key, kind in _MADE_WITH_WORKSPACE.items() if properties.get(key) and kind not in kinds]
    given += [key for key in _WITHOUT_EFFECT if properties.get(key)]
    if (properties.get("encryption") or {}).get("status") == "Enabled":
        given.append("encryption")
    if given:
        raise Unsupported(
            f"Workspace {name} cannot use existing Azure resources ({', '.join(given)}). A local workspace has "
            "its own storage and secrets; remove these settings."
        )


def deployment(path: str, name: str, document: Document) -> JSON:
    return {
        "id": path,
        "name": name,
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "provisioningState": "Succeeded",
            "timestamp": document.modified,
            "duration": "PT0S",
            "mode": "Incremental",
        },
    }


def deployment_operations(path: str, document: Document) -> list[JSON]:
    return [
        {
            "id": f"{path}/{number}",
            "operationId": str(number),
            "properties": {
                "provisioningState": "Succeeded",
                "duration": "PT0S",
                "targetResource": {"id": f"{path}/{name}", "resourceType": kind, "resourceName": name},
            },
        }
        for number, (kind, name) in enumerate(document.body["resources"])
    ]


def _either(value: str | None, default: str) -> str:
    return default if value is None else value
