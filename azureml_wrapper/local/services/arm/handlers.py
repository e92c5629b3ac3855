"""Operations of Azure Resource Manager."""

from __future__ import annotations

from azureml_wrapper.local.domain.workspaces import DEFAULT_NAME
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.arm import wire
from azureml_wrapper.local.services.context import Context


def list_subscriptions(context: Context, request: Request) -> Response:
    """The subscriptions that have a workspace, and the one that the caller's token names."""
    names = set(context.workspaces.subscriptions()) | {DEFAULT_NAME}
    if request.identity.subscription:
        names.add(request.identity.subscription)
    return json_response({"value": [wire.subscription(name) for name in sorted(names)]})


def get_subscription(_: Context, request: Request) -> Response:
    return json_response(wire.subscription(request["subscription"]))


def get_workspace(context: Context, request: Request) -> Response:
    return json_response(wire.workspace(request.workspace, context.addresses))
