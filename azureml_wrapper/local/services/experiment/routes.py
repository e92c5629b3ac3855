"""Experiments, a part of run history."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.experiment import handlers

_HISTORY = "/history/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_HISTORY}/experiments:query", handlers.query_experiments, reads=True),
    Route("GET", f"{_HISTORY}/experiments/{{experiment}}", handlers.get_experiment),
    Route("POST", f"{_HISTORY}/experiments/{{experiment}}", handlers.create_experiment),
    Route("GET", f"{_HISTORY}/experimentids/{{experiment_id}}", handlers.get_experiment_by_id),
    Route("PATCH", f"{_HISTORY}/experimentids/{{experiment_id}}", handlers.update_experiment),
    Route("DELETE", f"{_HISTORY}/experimentids/{{experiment_id}}", handlers.delete_experiment),
    Route("POST", f"{_HISTORY}/experimentids/{{experiment_id}}/tags:delete", handlers.delete_tags),
)
