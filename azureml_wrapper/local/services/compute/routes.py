"""The routes of compute clusters."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.compute import handlers

ALL = "{workspace_scope}/computes"
ONE = "{workspace_scope}/computes/{compute}"
LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"

ROUTES = (
    Route("GET", ALL, handlers.list_computes),
    Route("GET", "/rp/workspaces" + ALL, handlers.list_computes),
    Route("GET", ONE, handlers.get_compute),
    Route("GET", "/rp/workspaces" + ONE, handlers.get_compute),
    Route("PUT", ONE, handlers.put_compute, for_users=True),
    Route("PATCH", ONE, handlers.update_compute, for_users=True),
    Route("DELETE", ONE, handlers.delete_compute, for_users=True),
    Route("POST", ONE + "/listNodes", handlers.list_nodes, reads=True),
    Route("POST", "{workspace_scope}/checkComputeNameAvailability", handlers.check_instance_name),
    Route("GET", LOCATION + "/computeOperationsStatus/{operation}", handlers.get_operation),
    Route("GET", LOCATION + "/vmSizes", handlers.list_vm_sizes),
)
