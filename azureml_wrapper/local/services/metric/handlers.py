"""Operations on metrics."""

from __future__ import annotations

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.metrics import check_series
from azureml_wrapper.local.http.bodies import JSON, object_list, text
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.metric import wire


def log_metrics(context: Context, request: Request) -> Response:
    """Store a batch; a metric that cannot be stored is reported, and keeps none of the others out."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    # The SDK sends NaN and Infinity as Python writes them.
    body = request.json_object(finite=False)
    errors = []
    for dto in object_list(body.get("values"), "values"):
        try:
            _log(context, run.workspace_id, run.run_id, dto)
        except ServiceFault as fault:
            if not body.get("reportErrors"):
                raise
            errors.append(wire.failure(dto, fault))
    # The SDK reads the body of a 207 only.
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
    series = context.metrics.get(run.workspace_id, run.origin_id, text(body, "metricName") or "")
    points, more = context.metrics.points(
        run.workspace_id,
        run.origin_id,
        series.name,
        after=wire.read_place(text(body, "continuationToken")),
        since=wire.read_time(text(body, "startTime")) or "",
        until=wire.read_time(text(body, "endTime")) or "~",
    )
    return json_response(wire.metric(series, points, run.container_id, more))


def wait(_: Context, _request: Request) -> Response:
    """Metrics are stored before they are acknowledged, so there is nothing to wait for."""
    return json_response({})


def _log(context: Context, workspace: str, run_id: str, dto: JSON) -> None:
    series = wire.read_series(dto)
    now = offset_time(context.clock.now()) or ""
    points = wire.read_points(dto, now, context.ids.guid())
    check_series(series, len(points))
    context.metrics.add(workspace, run_id, series, points)
