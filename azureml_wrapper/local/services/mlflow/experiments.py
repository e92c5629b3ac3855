"""MLflow's operations on experiments."""

from __future__ import annotations

from dataclasses import replace

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.patches import amend_experiment
from azureml_wrapper.local.domain.runs import Experiment
from azureml_wrapper.local.domain.tracking import DEFAULT_EXPERIMENT, DEFAULT_EXPERIMENT_ID
from azureml_wrapper.local.http.bodies import text
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.mlflow import wire


def create(context: Context, request: Request) -> Response:
    """Create an experiment; raise `Conflict` if an active one has the name."""
    body = request.json_object()
    name = wire.needed(body, "name")
    if text(body, "artifact_location"):
        raise Invalid("Cannot set artifact_location: files of runs are always in the workspace's storage.")
    if context.experiments.find(request.workspace_id, name):
        raise Conflict(f"Experiment {name} already exists.", code="RESOURCE_ALREADY_EXISTS")
    made = context.experiments.ensure(request.workspace_id, name)
    tags = wire.pairs(body, "tags")
    if tags:
        _amend(context, request, made, tags)
    return json_response({"experiment_id": made.experiment_id})


def get(context: Context, request: Request) -> Response:
    found = find(context, request, request.query.get("experiment_id", ""))
    return json_response({"experiment": wire.experiment(found, context.addresses.port, request.workspace)})


def get_by_name(context: Context, request: Request) -> Response:
    found = context.experiments.get_any(request.workspace_id, request.query.get("experiment_name", ""))
    return json_response({"experiment": wire.experiment(found, context.addresses.port, request.workspace)})


def search(context: Context, request: Request) -> Response:
    """All experiments on one page, newest first; filters are refused."""
    body = request.json_object()
    if text(body, "filter"):
        raise Invalid("The local service does not filter experiments; remove filter_string.")
    archived = wire.read_view(text(body, "view_type"))
    found = [
        each
        for each in context.experiments.all(request.workspace_id)
        if archived is None or bool(each.archived) is archived
    ]
    listed = [wire.experiment(each, context.addresses.port, request.workspace) for each in found]
    return json_response({"experiments": listed})


def delete(context: Context, request: Request) -> Response:
    """Archive an experiment, as the SDK does."""
    return _archive(context, request, archived=True)


def restore(context: Context, request: Request) -> Response:
    return _archive(context, request, archived=False)


def set_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    found = find(context, request, wire.needed(body, "experiment_id"))
    _amend(context, request, found, {wire.needed(body, "key"): text(body, "value") or ""})
    return json_response({})


def find(context: Context, request: Request, experiment_id: str) -> Experiment:
    """The experiment with an id; "0" is MLflow's default experiment."""
    if experiment_id == DEFAULT_EXPERIMENT_ID:
        return context.experiments.ensure(request.workspace_id, DEFAULT_EXPERIMENT)
    return context.experiments.get(request.workspace_id, experiment_id)


def _amend(context: Context, request: Request, found: Experiment, tags: dict[str, str]) -> None:
    context.experiments.change(
        request.workspace_id,
        found.experiment_id,
        lambda before: amend_experiment(before, description=None, tags=tags),
    )


def _archive(context: Context, request: Request, *, archived: bool) -> Response:
    found = find(context, request, wire.needed(request.json_object(), "experiment_id"))
    instant = context.clock.now() if archived else None
    context.experiments.change(
        request.workspace_id, found.experiment_id, lambda before: replace(before, archived=instant)
    )
    return json_response({})
