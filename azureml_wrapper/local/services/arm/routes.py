"""Azure Resource Manager: subscriptions, resource groups, workspaces."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.arm import handlers

ROUTES = (
    Route("GET", "/subscriptions", handlers.list_subscriptions),
    Route("GET", "/subscriptions/{subscription}", handlers.get_subscription),
    Route("GET", "{workspace_scope}", handlers.get_workspace),
    Route("GET", "/rp/workspaces{workspace_scope}", handlers.get_workspace),
)
