"""The routes of environments (contract: azureml/_restclient/environment_client.py)."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.environment import handlers

_ENVIRONMENTS = "/environment/v1.0{workspace_scope}/environments"
_VERSION = _ENVIRONMENTS + "/{environment}/versions/{version}"
_BUILD = "/environment/v2.0{workspace_scope}/environments/{environment}/versions/{version}"

ROUTES = (
    Route("GET", _ENVIRONMENTS + "/", handlers.list_environments),
    Route("GET", _ENVIRONMENTS, handlers.list_environments),
    Route("GET", _ENVIRONMENTS + "/{environment}", handlers.get_environment),
    Route("PUT", _ENVIRONMENTS + "/{environment}", handlers.put_environment),
    Route("GET", _ENVIRONMENTS + "/{environment}/labels/{label}", handlers.get_labelled),
    Route("GET", _ENVIRONMENTS + "/{environment}/image", handlers.get_image),
    Route("GET", _VERSION, handlers.get_environment),
    Route("PUT", _VERSION, handlers.put_environment),
    Route("PUT", _VERSION + "/metadata", handlers.put_labels),
    Route("GET", _VERSION + "/image", handlers.get_image),
    Route("POST", _VERSION + "/recipe", handlers.refuse_build),
    Route("POST", _ENVIRONMENTS + "/{environment}/recipe", handlers.refuse_build),
    Route("POST", _BUILD + "/image", handlers.refuse_build),
    Route("POST", _BUILD + "/imageoncompute/{compute}", handlers.refuse_build),
)
