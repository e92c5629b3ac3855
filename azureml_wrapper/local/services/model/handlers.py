"""Operations on models."""

from __future__ import annotations

from azureml_wrapper.local.domain.models import patch_model as patched
from azureml_wrapper.local.domain.models import split_model_id
from azureml_wrapper.local.http.bodies import object_list, text
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.model import wire


def register_model(context: Context, request: Request) -> Response:
    """The next version of a model, whose files an asset names."""
    body = wire.read_model(request.json_object())
    url = text(body, "url") or ""
    if url.startswith(wire.ASSET_URL):
        context.models.get_asset(request.workspace_id, url.removeprefix(wire.ASSET_URL))
    return json_response(wire.model(context.models.add(request.workspace_id, text(body, "name") or "", body)))


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
