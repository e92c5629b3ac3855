"""Metrics of runs."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.metric import handlers

_RUN = "/metric/v2.0{workspace_scope}/runs/{run_id}"
_HISTORY = "/history/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_RUN}/batch", handlers.log_metrics),
    Route("POST", f"{_RUN}/list", handlers.list_metrics, reads=True),
    Route("POST", f"{_RUN}/full", handlers.get_metric, reads=True),
    Route("GET", f"{_HISTORY}/experiments/{{experiment}}/runs/{{run_id}}/metricsingest/wait", handlers.wait),
    Route("GET", f"{_HISTORY}/experimentids/{{experiment_id}}/runs/{{run_id}}/metricsingest/wait", handlers.wait),
)
