"""ARM's JSON."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.tokens import TENANT, USER


def subscription(name: str) -> dict[str, str]:
    return {
        "id": f"/subscriptions/{name}",
        "subscriptionId": name,
        "displayName": "local",
        "state": "Enabled",
        "tenantId": TENANT,
    }


def workspace(record: Workspace, addresses: Addresses) -> dict[str, Any]:
    """A workspace as `Workspace.get` and `get_details()` read it."""
    group = f"/subscriptions/{record.subscription}/resourcegroups/{record.resource_group}/providers"
    return {
        "id": record.scope,
        "name": record.name,
        "type": "Microsoft.MachineLearningServices/workspaces",
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
            "mlFlowTrackingUri": addresses.service("/mlflow/v1.0", record),
        },
    }
