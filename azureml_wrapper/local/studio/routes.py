"""The web page. Its addresses hold the key that opens them, and are those of azureml/core/_portal.py."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.studio import handlers

ROUTES = (
    Route("GET", "/studio/{key}", handlers.show_workspace, public=True),
    Route("GET", "/studio/{key}/runs", handlers.show_runs, public=True),
    Route("GET", "/studio/{key}/runs/{run}", handlers.show_run, public=True),
    Route("GET", "/studio/{key}/runs/{run}/files/{path:rest}", handlers.show_file, public=True),
    Route("GET", "/studio/{key}/experiments/id/{experiment}", handlers.show_experiment, public=True),
    Route("GET", "/studio/{key}/experiments/{experiment}", handlers.show_experiment, public=True),
    Route("GET", "/studio/{key}/{path:rest}", handlers.show_nothing, public=True),
)
