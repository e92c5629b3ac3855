"""Datastores: names for containers of storage accounts."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.datastore import handlers

_BASE = "/datastore/v1.0{workspace_scope}"

ROUTES = (
    Route("GET", f"{_BASE}/datastores", handlers.list_datastores),
    Route("POST", f"{_BASE}/datastores", handlers.create_datastore),
    Route("GET", f"{_BASE}/datastores/{{name}}", handlers.get_datastore),
    Route("PUT", f"{_BASE}/datastores/{{name}}", handlers.update_datastore),
    Route("DELETE", f"{_BASE}/datastores/{{name}}", handlers.delete_datastore),
    Route("GET", f"{_BASE}/default", handlers.get_default),
    Route("PUT", f"{_BASE}/default/{{name}}", handlers.set_default),
)
