"""Operations on secrets. A run may use those of its own workspace, as in Azure (`Run.get_secret`)."""

from __future__ import annotations

from azureml_wrapper.local.domain.workspaces import check_secret
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.credential import wire


def put_secret(context: Context, request: Request) -> Response:
    """Set one secret."""
    given = wire.parse_secret(request.json_object())
    made = context.secrets.put(request.workspace_id, given.name, given.value, given.content_type)
    return json_response(wire.secret(made))


def list_secrets(context: Context, request: Request) -> Response:
    """The names of all secrets."""
    return json_response({"value": [{"name": name} for name in context.secrets.names(request.workspace_id)]})


def put_secrets(context: Context, request: Request) -> Response:
    """Set several secrets, all or none."""
    given = wire.parse_batch(request.json_object())
    for item in given:
        check_secret(item.name, item.value)
    made = [context.secrets.put(request.workspace_id, item.name, item.value, item.content_type) for item in given]
    return json_response(wire.batch(made, []))


def get_secrets(context: Context, request: Request) -> Response:
    """Several secrets with their values, and the names of those that do not exist."""
    names = [item.name for item in wire.parse_batch(request.json_object())]
    found = [(name, context.secrets.find(request.workspace_id, name)) for name in names]
    missing = [name for name, secret in found if secret is None]
    return json_response(wire.batch([secret for _, secret in found if secret], missing))


def delete_secrets(context: Context, request: Request) -> Response:
    """Delete several secrets."""
    for item in wire.parse_batch(request.json_object()):
        context.secrets.delete(request.workspace_id, item.name)
    return empty()


def get_secret(context: Context, request: Request) -> Response:
    """One secret with its value."""
    return json_response(wire.secret(context.secrets.get(request.workspace_id, request["secret"])))


def delete_secret(context: Context, request: Request) -> Response:
    """Delete one secret."""
    context.secrets.delete(request.workspace_id, request["secret"])
    return empty()


ALL = "/credential/v2.0{workspace_scope}/secrets"

ROUTES = (
    Route("PUT", ALL, put_secret),
    Route("GET", ALL, list_secrets),
    Route("PUT", ALL + ":putbatch", put_secrets),
    Route("POST", ALL + ":getbatch", get_secrets, reads=True),
    Route("POST", ALL + ":deletebatch", delete_secrets),
    Route("GET", ALL + "/{secret}", get_secret),
    Route("DELETE", ALL + "/{secret}", delete_secret),
)
