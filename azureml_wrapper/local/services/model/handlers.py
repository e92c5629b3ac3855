"""Operations on models and assets."""

from __future__ import annotations

from azureml_wrapper.local.domain.models import patch_model as patched
from azureml_wrapper.local.domain.models import split_model_id
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response, object_list, string
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.model import wire


def register_model(context: Context, request: Request) -> Response:
    """Register the next version of a model, whose files an asset lists."""
    body = wire.read_model(request.json_object())
    url = string(body, "url") or ""
    if url.startswith(wire.ASSET_URL):
        context.models.get_asset(request.workspace_id, url.removeprefix(wire.ASSET_URL))
    return json_response(wire.model(context.models.add(request.workspace_id, string(body, "name") or "", body)))


def list_models(context: Context, request: Request) -> Response:
    found = context.models.page(request.workspace_id, wire.read_query(request.query))
    address = context.addresses.service("/modelmanagement/v1.0", request.workspace) + "/models"
    return json_response(wire.page(found, address))


def get_model(context: Context, request: Request) -> Response:
    return json_response(wire.model(context.models.get(request.workspace_id, *split_model_id(request["model_id"]))))


def patch_model(context: Context, request: Request) -> Response:
    operations = object_list(request.json(), "The body")
    changed = context.models.change(
        request.workspace_id, *split_model_id(request["model_id"]), lambda body: patched(body, operations)
    )
    return json_response(wire.model(changed))


def delete_model(context: Context, request: Request) -> Response:
    context.models.delete(request.workspace_id, *split_model_id(request["model_id"]))
    return empty()


def create_asset(context: Context, request: Request) -> Response:
    body = wire.read_asset(request.json_object())
    asset_id = context.ids.guid().replace("-", "")
    return json_response(wire.asset(context.models.add_asset(request.workspace_id, asset_id, body)))


def get_asset(context: Context, request: Request) -> Response:
    return json_response(wire.asset(context.models.get_asset(request.workspace_id, request["asset_id"])))


def list_assets(context: Context, request: Request) -> Response:
    found = context.models.assets(
        request.workspace_id, run_id=request.query.get("runid"), name=request.query.get("name")
    )
    return json_response({"value": [wire.asset(asset) for asset in found]})


_ALL = "/modelmanagement/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_ALL}/models", register_model),
    Route("GET", f"{_ALL}/models", list_models),
    Route("GET", f"{_ALL}/models/{{model_id}}", get_model),
    Route("PATCH", f"{_ALL}/models/{{model_id}}", patch_model),
    Route("DELETE", f"{_ALL}/models/{{model_id}}", delete_model),
    Route("POST", f"{_ALL}/assets", create_asset),
    Route("GET", f"{_ALL}/assets", list_assets),
    Route("GET", f"{_ALL}/assets/{{asset_id}}", get_asset),
)
