"""Operations on assets."""

from __future__ import annotations

from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.model import wire


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
