"""The routes of run history, each with the experiment's name (as clients use it) and with its id (as jobs do)."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.history import events, handlers

_HISTORY = "/history/v1.0{workspace_scope}"


def _of_experiment(parent: str) -> tuple[Route, ...]:
    runs = f"{_HISTORY}/{parent}"
    run = f"{runs}/runs/{{run_id}}"
    return (
        Route("POST", f"{runs}/runs:query", handlers.query_runs, reads=True),
        Route("GET", f"{runs}/runcounts", handlers.count_runs),
        Route("PATCH", f"{runs}/batch/runs", handlers.patch_runs),
        Route("POST", f"{runs}/batch/events", events.post_events),
        Route("GET", run, handlers.get_run, awaits=handlers.await_end),
        Route("PATCH", run, handlers.patch_run),
        Route("GET", f"{run}/details", handlers.get_details),
        Route("GET", f"{run}/children", handlers.list_children),
        Route("GET", f"{run}/token", handlers.get_token),
        Route("DELETE", f"{run}/tags", handlers.delete_tags),
        Route("POST", f"{run}/events", events.post_event),
    )


ROUTES = (
    *_of_experiment("experiments/{experiment}"),
    *_of_experiment("experimentids/{experiment_id}"),
    Route("GET", f"{_HISTORY}/runs/{{run_id}}", handlers.get_workspace_run, awaits=handlers.await_end),
    Route("GET", f"{_HISTORY}/runs/{{run_id}}/details", handlers.get_workspace_details),
    Route("GET", f"{_HISTORY}/computes/{{compute}}/runs", handlers.list_by_compute),
)
