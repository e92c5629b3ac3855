"""The workspace's key vault.

A run may use the secrets of its own workspace, as in Azure (`Run.get_secret`). JSON: azureml/_restclient/models,
credential_dto.py and credential_batch_dto.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.workspaces import Secret, check_secret
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context

JSON = dict[str, Any]

_SECRET = {"name": Needed(str), "contentType": str}


@dataclass(frozen=True)
class Given:
    """A secret as a client names or sets it; `repr` does not show its value."""

    name: str
    value: Any
    content_type: str | None

    def __repr__(self) -> str:
        return f"Given({self.name!r})"


def parse_secret(body: Any) -> Given:
    check_shape(body, Needed(_SECRET), "Secret")
    return Given(body["name"], body.get("value"), body.get("contentType"))


def parse_batch(body: JSON) -> list[Given]:
    check_shape(body, {"secrets": [dict]}, "Body")
    return [parse_secret(item) for item in body.get("secrets") or []]


def secret_json(record: Secret) -> JSON:
    return {
        "name": record.name,
        "value": record.value,
        "contentType": record.content_type,
        "createdTime": offset_time(record.created),
        "modifiedTime": offset_time(record.modified),
    }


def batch_json(found: list[Secret], missing: list[str]) -> JSON:
    return {"secrets": [secret_json(record) for record in found], "notFoundSecrets": missing}


def put_secret(context: Context, request: Request) -> Response:
    """Set one secret."""
    given = parse_secret(request.json_object())
    made = context.secrets.put(request.workspace_id, given.name, given.value, given.content_type)
    return json_response(secret_json(made))


def list_secrets(context: Context, request: Request) -> Response:
    """The names of all secrets."""
    return json_response({"value": [{"name": name} for name in context.secrets.names(request.workspace_id)]})


def put_secrets(context: Context, request: Request) -> Response:
    """Set several secrets, all or none."""
    given = parse_batch(request.json_object())
    for item in given:
        check_secret(item.name, item.value)
    made = [context.secrets.put(request.workspace_id, item.name, item.value, item.content_type) for item in given]
    return json_response(batch_json(made, []))


def get_secrets(context: Context, request: Request) -> Response:
    """Several secrets with their values, and the names of those that do not exist."""
    names = [item.name for item in parse_batch(request.json_object())]
    found = [(name, context.secrets.find(request.workspace_id, name)) for name in names]
    missing = [name for name, secret in found if secret is None]
    return json_response(batch_json([secret for _, secret in found if secret], missing))


def delete_secrets(context: Context, request: Request) -> Response:
    """Delete several secrets."""
    for item in parse_batch(request.json_object()):
        context.secrets.delete(request.workspace_id, item.name)
    return empty()


def get_secret(context: Context, request: Request) -> Response:
    """One secret with its value."""
    return json_response(secret_json(context.secrets.get(request.workspace_id, request["secret"])))


def delete_secret(context: Context, request: Request) -> Response:
    """Delete one secret."""
    context.secrets.delete(request.workspace_id, request["secret"])
    return empty()


ALL = "/credential/v2.0{workspace_scope}/secrets"

ROUTES = (
    Route("PUT", ALL, put_secret),
    Route("GET", ALL, list_secrets),
    Route("PUT", ALL + ":putbatch", put_secrets),
    Route("POST", ALL + ":getbatch", get_secrets, runs=Runs.READ),
    Route("POST", ALL + ":deletebatch", delete_secrets),
    Route("GET", ALL + "/{secret}", get_secret),
    Route("DELETE", ALL + "/{secret}", delete_secret),
)
