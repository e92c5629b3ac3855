"""Experiments, a part of run history. Their runs are the history service's.

JSON: ExperimentDto, ModifyExperimentDto and others of azureml/_restclient/models.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import Order, parse_filter, parse_order
from azureml_wrapper.local.domain.runs import Experiment, amend_experiment
from azureml_wrapper.local.http.messages import Request, Response, json_response, string, string_list, string_map
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.query import Page, Query

# ViewType of azureml/core/experiment.py → Experiment.archived
_VIEWS = {"activeonly": False, "archivedonly": True, "all": None}


def experiment_json(record: Experiment) -> dict[str, Any]:
    return {
        "experimentId": record.experiment_id,
        "name": record.name,
        "description": record.description,
        "createdUtc": offset_time(record.created),
        "tags": record.tags,
        "archivedTime": offset_time(record.archived),
        "latestModifiedRunDateTime": None,
        "artifactLocation": None,
    }


def page_json(found: Page[Experiment]) -> dict[str, Any]:
    return {"value": [experiment_json(item) for item in found.items], "continuationToken": found.continuation}


def read_query(body: dict[str, Any]) -> Query:
    return Query(
        filter=parse_filter(string(body, "filter")),
        order=parse_order(string(body, "orderby"), Order("createdutc", descending=True)),
        top=body["top"] if isinstance(body.get("top"), int) else None,
        after=string(body, "continuationToken"),
    )


def read_view(name: str | None) -> bool | None:
    """Which experiments to list: False active ones (the default), True archived ones, None both."""
    view = (name or "ActiveOnly").lower()
    if view not in _VIEWS:
        raise Invalid(f"Unknown view type {name!r}: allowed are ActiveOnly, ArchivedOnly and All.")
    return _VIEWS[view]


def get_experiment(context: Context, request: Request) -> Response:
    return json_response(experiment_json(context.experiments.get(request.workspace_id, request["experiment"])))


def get_experiment_by_id(context: Context, request: Request) -> Response:
    return json_response(experiment_json(context.experiments.get(request.workspace_id, request["experiment_id"])))


def create_experiment(context: Context, request: Request) -> Response:
    return json_response(experiment_json(context.experiments.ensure(request.workspace_id, request["experiment"])))


def query_experiments(context: Context, request: Request) -> Response:
    body = request.json_object()
    archived = read_view(string(body, "viewType") or request.query.get("viewtype"))
    found = context.experiments.page(request.workspace_id, read_query(body), archived=archived)
    return json_response(page_json(found))


def update_experiment(context: Context, request: Request) -> Response:
    """Change tags or description; archive or restore."""
    body, now = request.json_object(), context.clock.now()
    changed = context.experiments.change(
        request.workspace_id, request["experiment_id"], lambda experiment: _updated(experiment, body, now)
    )
    return json_response(experiment_json(changed))


def delete_experiment(context: Context, request: Request) -> Response:
    experiment = context.experiments.get(request.workspace_id, request["experiment_id"])
    context.experiments.delete(request.workspace_id, experiment.experiment_id)
    return json_response({})


def delete_tags(context: Context, request: Request) -> Response:
    names = string_list(request.json_object().get("tags"), "tags")
    context.experiments.change(
        request.workspace_id, request["experiment_id"], lambda experiment: _without(experiment, names)
    )
    return json_response({"errors": {}})


def _updated(experiment: Experiment, body: dict[str, Any], now: datetime) -> Experiment:
    if body.get("name") not in (None, experiment.name):
        raise Invalid(f"Experiment {experiment.name} cannot be renamed to {body['name']}.")
    changed = amend_experiment(experiment, description=string(body, "description"), tags=string_map(body, "tags"))
    if body.get("archive") is None:
        return changed
    return replace(changed, archived=(experiment.archived or now) if body["archive"] else None)


def _without(experiment: Experiment, names: list[str]) -> Experiment:
    return replace(experiment, tags={key: value for key, value in experiment.tags.items() if key not in names})


_HISTORY = "/history/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_HISTORY}/experiments:query", query_experiments, runs=Runs.READ),
    Route("GET", f"{_HISTORY}/experiments/{{experiment}}", get_experiment),
    Route("POST", f"{_HISTORY}/experiments/{{experiment}}", create_experiment, runs=Runs.ADD),
    Route("GET", f"{_HISTORY}/experimentids/{{experiment_id}}", get_experiment_by_id),
    Route("PATCH", f"{_HISTORY}/experimentids/{{experiment_id}}", update_experiment),
    Route("DELETE", f"{_HISTORY}/experimentids/{{experiment_id}}", delete_experiment),
    Route("POST", f"{_HISTORY}/experimentids/{{experiment_id}}/tags:delete", delete_tags),
)
