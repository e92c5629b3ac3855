"""Registered models and the assets that name their files."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.model import assets, handlers

_ALL = "/modelmanagement/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_ALL}/models", handlers.register_model),
    Route("GET", f"{_ALL}/models", handlers.list_models),
    Route("GET", f"{_ALL}/models/{{model_id}}", handlers.get_model),
    Route("PATCH", f"{_ALL}/models/{{model_id}}", handlers.patch_model),
    Route("DELETE", f"{_ALL}/models/{{model_id}}", handlers.delete_model),
    Route("POST", f"{_ALL}/assets", assets.create_asset),
    Route("GET", f"{_ALL}/assets", assets.list_assets),
    Route("GET", f"{_ALL}/assets/{{asset_id}}", assets.get_asset),
)
