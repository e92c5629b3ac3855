"""The pages. `wsid` in the query is the workspace, as in Azure's studio; the default is `local`."""

from __future__ import annotations

import hmac
import mimetypes
import re
from collections.abc import Callable
from functools import wraps

from azureml_wrapper.local.domain.errors import NotFound, ServiceFault, Unauthenticated
from azureml_wrapper.local.domain.odata import Order
from azureml_wrapper.local.domain.workspaces import DEFAULT_NAME, Workspace
from azureml_wrapper.local.http.messages import Request, Response, file_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.query import Query
from azureml_wrapper.local.studio import views
from azureml_wrapper.local.studio.views import html_response

Page = Callable[[Context, Request, Workspace], Response]
Handler = Callable[[Context, Request], Response]

RUNS_SHOWN = 100
EXPERIMENTS_SHOWN = 100
CHILDREN_SHOWN = 200
# The lists leave out child runs, and runs that MLflow has deleted.
_LISTED = "parent_id IS NULL AND NOT COALESCE(json_extract(body, '$.hidden'), 0)"
_WSID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/(?:providers/[^/]+/)?workspaces/([^/]+)/?", re.IGNORECASE
)


def page(show: Page) -> Handler:
    """A handler that checks the key, finds the workspace, and turns every fault into a page."""

    @wraps(show)
    def handler(context: Context, request: Request) -> Response:
        try:
            if not hmac.compare_digest(request["key"].encode(), context.addresses.open_key.encode()):
                raise Unauthenticated(
                    "Invalid key in the address. The SDK's get_portal_url() returns the current address."
                )
            return show(context, request, _workspace(context, request))
        except ServiceFault as fault:
            return html_response("error.html", fault.status, fault=fault)

    return handler


@page
def show_workspace(context: Context, request: Request, workspace: Workspace) -> Response:
    """A workspace: its experiments and its latest runs."""
    experiments = context.experiments.all(workspace.workspace_id, limit=EXPERIMENTS_SHOWN + 1)
    runs = context.runs.select(f"workspace = ? AND {_LISTED}", (workspace.workspace_id,), limit=20)
    return html_response(
        "workspace.html",
        workspace=workspace,
        experiments=experiments[:EXPERIMENTS_SHOWN],
        has_more=len(experiments) > EXPERIMENTS_SHOWN,
        runs=views.rows(runs, context.clock.now()),
        links=views.Links(context.addresses, workspace),
    )


@page
def show_runs(context: Context, request: Request, workspace: Workspace) -> Response:
    """The latest runs of a workspace, without child runs."""
    runs = context.runs.select(f"workspace = ? AND {_LISTED}", (workspace.workspace_id,), limit=RUNS_SHOWN)
    return _list(context, workspace, "Runs", views.rows(runs, context.clock.now()))


@page
def show_experiment(context: Context, request: Request, workspace: Workspace) -> Response:
    """The latest runs of an experiment, by its id or name."""
    experiment = context.experiments.get(workspace.workspace_id, request["experiment"])
    runs = context.runs.select(
        f"workspace = ? AND experiment_id = ? AND {_LISTED}",
        (workspace.workspace_id, experiment.experiment_id),
        limit=RUNS_SHOWN,
    )
    return _list(context, workspace, f"Experiment {experiment.name}", views.rows(runs, context.clock.now()))


@page
def show_run(context: Context, request: Request, workspace: Workspace) -> Response:
    """One run: its status, steps, metrics, files and log. Reloads itself until the run has ended."""
    run = context.runs.get(workspace.workspace_id, request["run"])
    by_start = Order("starttimeutc", descending=True)
    query = Query(order=by_start, top=CHILDREN_SHOWN, after=request.query.get("before"))
    children = context.runs.page(workspace.workspace_id, query, parent_id=run.run_id)
    metrics, has_more_metrics = views.metrics(context.metrics, run)
    compute = context.computes.find(workspace.workspace_id, run.target) if run.target else None
    found = views.file_names(context.artifacts, workspace, run)
    now = context.clock.now()
    return html_response(
        "run.html",
        run=run,
        row=views.row(run, now),
        steps=views.timeline(children.items[::-1], now),
        earlier=children.continuation,
        metrics=metrics,
        has_more_metrics=has_more_metrics,
        files=found,
        datasets=views.datasets(run),
        log=views.log(context.artifacts, workspace, run, found),
        differences=views.differences(run, compute),
        links=views.Links(context.addresses, workspace),
        refresh=None if run.status.is_terminal else views.REFRESH_SECONDS,
    )


@page
def show_file(context: Context, request: Request, workspace: Workspace) -> Response:
    """One file of a run, unchanged."""
    run = context.runs.get(workspace.workspace_id, request["run"])
    path = views.file_path(context.artifacts, workspace, run, request["path"])
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        # A script may have created the file, so nothing in it may run.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
    }
    return file_response(path, length=path.stat().st_size, headers=headers)


@page
def show_nothing(_: Context, request: Request, workspace: Workspace) -> Response:
    """404 for every other address."""
    raise NotFound(f"Page not found: {request['path']!r}.")


def _list(context: Context, workspace: Workspace, title: str, rows: list[views.Row]) -> Response:
    return html_response(
        "runs.html",
        title=title,
        runs=rows,
        links=views.Links(context.addresses, workspace),
        refresh=views.REFRESH_SECONDS if any(not row.run.status.is_terminal for row in rows) else None,
    )


def _workspace(context: Context, request: Request) -> Workspace:
    given = request.query.get("wsid")
    if not given:
        return context.workspaces.get(DEFAULT_NAME, DEFAULT_NAME, DEFAULT_NAME)
    found = _WSID.fullmatch(given)
    if found is None:
        raise NotFound(f"Invalid wsid {given!r}: expected /subscriptions/…/resourcegroups/…/workspaces/….")
    return context.workspaces.get(*found.groups())


ROUTES = (
    Route("GET", "/studio/{key}", show_workspace, public=True),
    Route("GET", "/studio/{key}/runs", show_runs, public=True),
    Route("GET", "/studio/{key}/runs/{run}", show_run, public=True),
    Route("GET", "/studio/{key}/runs/{run}/files/{path:rest}", show_file, public=True),
    Route("GET", "/studio/{key}/experiments/id/{experiment}", show_experiment, public=True),
    Route("GET", "/studio/{key}/experiments/{experiment}", show_experiment, public=True),
    Route("GET", "/studio/{key}/{path:rest}", show_nothing, public=True),
)
