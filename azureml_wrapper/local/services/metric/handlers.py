"""Operations on metrics."""

from __future__ import annotations

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.metrics import Point, Series, check_series, with_numbers
from azureml_wrapper.local.domain.runs import Experiment
from azureml_wrapper.local.domain.shapes import JSON
from azureml_wrapper.local.http.messages import Request, Response, json_response, object_list, string
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.metric import wire


def log_metrics(context: Context, request: Request) -> Response:
    """Store a batch. Invalid metrics are reported, all others are stored."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    # The SDK sends NaN and Infinity, as Python writes them. An invalid value must not cost the others.
    body = request.json_object(finite=False, bounded=False)
    dtos = object_list(body.get("values"), "values")
    faults = _log(context, run.workspace_id, run.run_id, dtos)
    errors = [wire.failure(dto, fault) for dto, fault in zip(dtos, faults, strict=True) if fault]
    if errors and not body.get("reportErrors"):
        raise next(fault for fault in faults if fault)
    # The SDK reads the body only of a 207.
    return json_response({"errors": errors}, 207) if errors else json_response({})


def list_metrics(context: Context, request: Request) -> Response:
    run = context.runs.get(request.workspace_id, request["run_id"])
    found = context.metrics.series(run.workspace_id, run.origin_id)
    return json_response(
        {"value": [wire.definition(series, run.container_id) for series in found], "continuationToken": None}
    )


def get_metric(context: Context, request: Request) -> Response:
    run = context.runs.get(request.workspace_id, request["run_id"])
    body = request.json_object()
    series = context.metrics.get(run.workspace_id, run.origin_id, string(body, "metricName") or "")
    points, more = context.metrics.points(
        run.workspace_id,
        run.origin_id,
        series.name,
        after=wire.read_place(string(body, "continuationToken")),
        since=wire.read_time(string(body, "startTime")) or "",
        until=wire.read_time(string(body, "endTime")) or "~",
    )
    return json_response(wire.metric(series, points, run.container_id, more))


def query_metrics(context: Context, request: Request) -> Response:
    """Metrics of several runs of an experiment, with all of their values."""
    query = wire.read_query(request.json_object())
    found = context.metrics.query(request.workspace_id, _experiment(context, request).experiment_id, query)
    return json_response(wire.run_metrics(found))


def _experiment(context: Context, request: Request) -> Experiment:
    if name := request.parameters.get("experiment"):
        return context.experiments.get_any(request.workspace_id, name)
    return context.experiments.get(request.workspace_id, request["experiment_id"])


def wait(_: Context, _request: Request) -> Response:
    """Return at once: metrics are stored before they are acknowledged."""
    return json_response({})


def _log(context: Context, workspace: str, run_id: str, dtos: list[JSON]) -> list[ServiceFault | None]:
    """Store what can be stored. Returns the fault of each metric that cannot."""
    now, new_id = offset_time(context.clock.now()) or "", context.ids.guid()
    read = [_read(dto, now, f"{new_id}-{number}") for number, dto in enumerate(dtos)]
    stored = iter(context.metrics.add_all(workspace, run_id, [item for item in read if isinstance(item, tuple)]))
    return [next(stored) if isinstance(item, tuple) else item for item in read]


def _read(dto: JSON, now: str, new_id: str) -> tuple[Series, list[Point]] | ServiceFault:
    try:
        wire.check_text(dto)
        series, points = with_numbers(wire.read_series(dto), wire.read_points(dto, now, new_id))
        check_series(series, len(points))
    except ServiceFault as fault:
        return fault
    return series, points


_RUN = "/metric/v2.0{workspace_scope}/runs/{run_id}"
_HISTORY = "/history/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_RUN}/batch", log_metrics, runs=Runs.FAMILY),
    Route("POST", f"{_RUN}/list", list_metrics, runs=Runs.READ),
    Route("POST", f"{_RUN}/full", get_metric, runs=Runs.READ),
    Route("POST", f"{_HISTORY}/experiments/{{experiment}}/metrics:query", query_metrics, runs=Runs.READ),
    Route("POST", f"{_HISTORY}/experimentids/{{experiment_id}}/metrics:query", query_metrics, runs=Runs.READ),
    Route("GET", f"{_HISTORY}/experiments/{{experiment}}/runs/{{run_id}}/metricsingest/wait", wait),
    Route("GET", f"{_HISTORY}/experimentids/{{experiment_id}}/runs/{{run_id}}/metricsingest/wait", wait),
)
