"""The same for one run, as run history offers it."""

from __future__ import annotations

from azureml_wrapper.local.domain.artifacts import Artifact, of_run
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.artifact import wire
from azureml_wrapper.local.services.artifact.handlers import announce, content, contents
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.query import Page


def list_artifacts(context: Context, request: Request) -> Response:
    return json_response(wire.page(_page(context, request)))


def list_contents(context: Context, request: Request) -> Response:
    return json_response(contents(context, request, _page(context, request)))


def get_content(context: Context, request: Request) -> Response:
    return json_response(content(context, request, _find(context, request)))


def get_address(context: Context, request: Request) -> Response:
    return json_response(content(context, request, _find(context, request))["contentUri"])


def create_artifacts(context: Context, request: Request) -> Response:
    return announce(context, request, of_run(context.runs.get(request.workspace_id, request["run_id"]).run_id))


def _find(context: Context, request: Request) -> Artifact:
    return context.artifacts.get(request.workspace, of_run(request["run_id"]), _path(request))


def _page(context: Context, request: Request) -> Page[Artifact]:
    place, prefix = of_run(request["run_id"]), _path(request)
    return context.artifacts.page(request.workspace, place, prefix, request.query.get("continuationtoken", ""))


def _path(request: Request) -> str:
    """The SDK has it in the address, azureml-mlflow behind it."""
    return request.parameters.get("path") or request.query.get("path", "")
