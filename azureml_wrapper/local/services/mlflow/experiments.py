"""MLflow's operations on experiments. A deleted experiment of MLflow is an archived one of the SDK."""

from __future__ import annotations

from dataclasses import replace

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.runs import JSON, Experiment, amend_experiment
from azureml_wrapper.local.domain.tracking import (
    DEFAULT_EXPERIMENT,
    DEFAULT_EXPERIMENT_ID,
    EXPERIMENT_ATTRIBUTES,
    parse_filter,
    sort,
)
from azureml_wrapper.local.http.messages import Request, Response, json_response, string, string_list
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.mlflow import wire


def create_experiment(context: Context, request: Request) -> Response:
    """Create an experiment; raise `Conflict` if an active one has the name."""
    body = request.json_object()
    name = wire.needed(body, "name")
    if string(body, "artifact_location"):
        raise Invalid("Cannot set artifact_location: files of runs are always in the workspace's storage.")
    if context.experiments.find(request.workspace_id, name):
        raise Conflict(f"Experiment {name} already exists.", code="RESOURCE_ALREADY_EXISTS")
    made = context.experiments.ensure(request.workspace_id, name)
    tags = wire.pairs(body, "tags")
    if tags:
        _add_tags(context, request, made, tags)
    return json_response({"experiment_id": made.experiment_id})


def get_experiment(context: Context, request: Request) -> Response:
    found = find_experiment(context, request, request.query.get("experiment_id", ""))
    return json_response({"experiment": wire.experiment(found, context.addresses.port, request.workspace)})


def get_experiment_by_name(context: Context, request: Request) -> Response:
    """The active experiment with a name, or the last one that was deleted."""
    found = context.experiments.get_any(request.workspace_id, request.query.get("experiment_name", ""))
    return json_response({"experiment": wire.experiment(found, context.addresses.port, request.workspace)})


def search_experiments(context: Context, request: Request) -> Response:
    """The experiments that match a filter, newest first by default."""
    return _listed(context, request, request.json_object())


def list_experiments(context: Context, request: Request) -> Response:
    """Every experiment of a view, newest first (mlflow 1)."""
    body: JSON = {name: request.query.get(name) for name in ("view_type", "page_token", "max_results")}
    if is_number(body["max_results"] or ""):
        body["max_results"] = int(body["max_results"])
    return _listed(context, request, body)


def delete_experiment(context: Context, request: Request) -> Response:
    """Archive an experiment, as the SDK does."""
    return _set_archived(context, request, archived=True)


def restore_experiment(context: Context, request: Request) -> Response:
    return _set_archived(context, request, archived=False)


def set_experiment_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    found = find_experiment(context, request, wire.needed(body, "experiment_id"))
    _add_tags(context, request, found, {wire.needed(body, "key"): string(body, "value") or ""})
    return json_response({})


def delete_experiment_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    found, key = find_experiment(context, request, wire.needed(body, "experiment_id")), wire.needed(body, "key")
    context.experiments.change(
        request.workspace_id,
        found.experiment_id,
        lambda before: replace(before, tags={name: value for name, value in before.tags.items() if name != key}),
    )
    return json_response({})


def find_experiment(context: Context, request: Request, experiment_id: str) -> Experiment:
    """The experiment with an id; "0" is MLflow's default experiment."""
    if experiment_id == DEFAULT_EXPERIMENT_ID:
        return context.experiments.ensure(request.workspace_id, DEFAULT_EXPERIMENT)
    return context.experiments.get(request.workspace_id, experiment_id)


def _listed(context: Context, request: Request, body: JSON) -> Response:
    condition = parse_filter(string(body, "filter"), EXPERIMENT_ATTRIBUTES)
    archived = wire.read_view(string(body, "view_type"))
    found = [
        (each, facts)
        for each in context.experiments.all(request.workspace_id)
        if (archived is None or bool(each.archived) is archived) and condition(facts := wire.experiment_facts(each))
    ]
    found = sort(found, string_list(body.get("order_by"), "order_by"), EXPERIMENT_ATTRIBUTES)
    page, more = wire.page(found, body)
    listed = [wire.experiment(each, context.addresses.port, request.workspace) for each, _ in page]
    return json_response({"experiments": listed, **more})


def _add_tags(context: Context, request: Request, found: Experiment, tags: dict[str, str]) -> None:
    context.experiments.change(
        request.workspace_id,
        found.experiment_id,
        lambda before: amend_experiment(before, description=None, tags=tags),
    )


def _set_archived(context: Context, request: Request, *, archived: bool) -> Response:
    found = find_experiment(context, request, wire.needed(request.json_object(), "experiment_id"))
    instant = context.clock.now() if archived else None
    context.experiments.change(
        request.workspace_id, found.experiment_id, lambda before: replace(before, archived=instant)
    )
    return json_response({})
