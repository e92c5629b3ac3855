"""The routes of Azure Resource Manager.

The workspace must exist if its part of a path is called `workspace`, and may be missing if it is called `name`.
"""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.arm import handlers

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourcegroups/{resource_group}"
WORKSPACES = "/providers/Microsoft.MachineLearningServices/workspaces"
DEPLOYMENTS = "/providers/Microsoft.Resources/deployments/"

ROUTES = (
    Route("GET", "/subscriptions", handlers.list_subscriptions),
    Route("GET", SUBSCRIPTION, handlers.get_subscription),
    Route("GET", SUBSCRIPTION + "/resourcegroups", handlers.list_groups),
    Route("GET", GROUP, handlers.get_group),
    Route("HEAD", GROUP, handlers.has_group),
    Route("PUT", GROUP, handlers.put_group, for_users=True),
    Route("GET", SUBSCRIPTION + "/resources", handlers.list_resources),
    Route("GET", GROUP + "/resources", handlers.list_resources),
    Route("GET", "{workspace_scope}", handlers.get_workspace),
    Route("GET", "/rp/workspaces{workspace_scope}", handlers.get_workspace),
    Route("PATCH", "{workspace_scope}", handlers.update_workspace, for_users=True),
    Route("DELETE", GROUP + WORKSPACES + "/{name}", handlers.delete_workspace, for_users=True),
    Route("POST", "{workspace_scope}/resynckeys", handlers.sync_keys, for_users=True),
    Route("GET", SUBSCRIPTION + WORKSPACES, handlers.list_workspaces),
    Route("GET", GROUP + WORKSPACES, handlers.list_workspaces),
    Route("GET", SUBSCRIPTION + DEPLOYMENTS, handlers.list_deployments),
    Route("PUT", GROUP + DEPLOYMENTS + "{deployment}", handlers.deploy, for_users=True),
    Route("GET", GROUP + DEPLOYMENTS + "{deployment}", handlers.get_deployment),
    Route("GET", GROUP + "/deployments/{deployment}/operations", handlers.list_deployment_operations),
    Route("DELETE", GROUP + "/providers/{provider}/{kind}/{name}", handlers.delete_dependency, for_users=True),
    Route("GET", SUBSCRIPTION + "/providers/{provider}", handlers.get_provider),
    Route("POST", SUBSCRIPTION + "/providers/{provider}/register", handlers.get_provider, for_users=True),
)
