"""MLflow's operations on runs."""

from __future__ import annotations

from datetime import datetime

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.metrics import VALUES_PER_REQUEST, Point, Series, check_series
from azureml_wrapper.local.domain.runs import JSON, Run, RunPatch, SystemManaged, amend
from azureml_wrapper.local.domain.tracking import (
    RUN_NAME,
    check_batch,
    read_status,
    with_datasets,
    with_model,
    with_parameters,
)
from azureml_wrapper.local.http.messages import Request, Response, json_response, object_list, string
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.mlflow import wire
from azureml_wrapper.local.services.mlflow.experiments import find_experiment


def create_run(context: Context, request: Request) -> Response:
    """Create a run that the program ends itself; in a job, a child of the job's run."""
    body = request.json_object()
    experiment = find_experiment(context, request, string(body, "experiment_id") or "0")
    if experiment.archived:
        raise Invalid(f"Experiment {experiment.name} is deleted; restore it with restore_experiment to add runs.")
    tags, run_id = wire.pairs(body, "tags"), context.ids.guid()
    name = string(body, "run_name") or tags.get(RUN_NAME) or run_id
    # A job's token may write only to the family of its run.
    parent = tags.get("mlflow.parentRunId") or request.identity.run_id
    if parent:
        context.guard_run(request.identity, request.workspace_id, parent)
        context.runs.get(request.workspace_id, parent)
    run = Run(
        workspace_id=request.workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=context.clock.now(),
        parent_id=parent,
        uuid=context.ids.guid(),
        submitted_by="local",
        display_name=name,
    )
    context.runs.add(amend(run, RunPatch(tags={**tags, RUN_NAME: name})))
    start = wire.read_time(body, "start_time")
    begun = context.runs.advance(request.workspace_id, run_id, read_status("RUNNING"), at=start)
    return json_response({"run": _shown(context, request, begun)})


def get_run(context: Context, request: Request) -> Response:
    run = context.runs.get(request.workspace_id, request.query.get("run_id") or request.query.get("run_uuid") or "")
    return json_response({"run": _shown(context, request, run)})


def update_run(context: Context, request: Request) -> Response:
    """Change name or status. An ended run may run again; only the service sets the status of a job's run."""
    body = request.json_object()
    run = _writable(context, request, body)
    name, word = string(body, "run_name"), string(body, "status")
    if name:
        patch = _tagging({RUN_NAME: name})
        run = context.runs.amend(run.workspace_id, run.run_id, lambda before: amend(before, patch))
    status = read_status(word) if word else run.status
    if status is not run.status:
        if run.is_system_managed:
            raise SystemManaged()
        run = context.runs.advance(
            run.workspace_id, run.run_id, status, at=wire.read_time(body, "end_time"), again=True
        )
    return json_response({"run_info": wire.info(run, context.addresses.port, request.workspace)})


def delete_run(context: Context, request: Request) -> Response:
    """Hide a run from searches and from the SDK's lists. Its record and its files stay."""
    return _set_hidden(context, request, hidden=True)


def restore_run(context: Context, request: Request) -> Response:
    return _set_hidden(context, request, hidden=False)


def log_metric(context: Context, request: Request) -> Response:
    body = request.json_object(finite=False)
    _log(context, _writable(context, request, body), [body])
    return json_response({})


def log_parameter(context: Context, request: Request) -> Response:
    body = request.json_object()
    run = _writable(context, request, body)
    given = {wire.needed(body, "key"): string(body, "value") or ""}
    context.runs.amend(run.workspace_id, run.run_id, lambda before: with_parameters(before, given))
    return json_response({})


def log_batch(context: Context, request: Request) -> Response:
    """Metrics, parameters and tags of a run. Parameters first, because only they may be refused."""
    body = request.json_object(finite=False)
    run = _writable(context, request, body)
    metrics, tags = object_list(body.get("metrics"), "metrics"), wire.pairs(body, "tags")
    params = wire.pairs(body, "params")
    check_batch(metrics, list(params), list(tags))
    patch = _tagging(tags)
    context.runs.amend(run.workspace_id, run.run_id, lambda before: amend(with_parameters(before, params), patch))
    _log(context, run, metrics)
    return json_response({})


def log_batch_async(context: Context, request: Request) -> Response:
    """Like `log_batch`. An empty id tells the client that everything is stored already."""
    log_batch(context, request)
    return json_response({"batch_tracking_id": ""})


def log_inputs(context: Context, request: Request) -> Response:
    """The datasets that a run reads. One that the run has already stays as it is."""
    body = request.json_object()
    run = _writable(context, request, body)
    given = wire.read_datasets(body)
    context.runs.amend(run.workspace_id, run.run_id, lambda before: with_datasets(before, given))
    return json_response({})


def log_model(context: Context, request: Request) -> Response:
    """Note a model in the run's tags. Its files are logged as artifacts."""
    body = request.json_object()
    run = _writable(context, request, body)
    model = wire.read_model(body)
    context.runs.amend(run.workspace_id, run.run_id, lambda before: with_model(before, model))
    return json_response({})


def set_run_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    run = _writable(context, request, body)
    patch = _tagging({wire.needed(body, "key"): string(body, "value") or ""})
    context.runs.amend(run.workspace_id, run.run_id, lambda before: amend(before, patch))
    return json_response({})


def delete_run_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    run = _writable(context, request, body)
    context.runs.remove_tags(run.workspace_id, run.run_id, [wire.needed(body, "key")])
    return json_response({})


def get_metric_history(context: Context, request: Request) -> Response:
    """Every value of a metric in the order of logging, in pages."""
    run = context.runs.get(request.workspace_id, request.query.get("run_id") or request.query.get("run_uuid") or "")
    name = request.query.get("metric_key", "")
    series = context.metrics.get(run.workspace_id, run.origin_id, name)
    points, more = context.metrics.points(
        run.workspace_id, run.origin_id, name, after=wire.read_place(request.query.get("page_token"))
    )
    metrics = [found for point in points if (found := wire.metric(series.name, point))]
    return json_response({"metrics": metrics, **({"next_page_token": wire.place(more)} if more else {})})


def _writable(context: Context, request: Request, body: JSON) -> Run:
    """The run in a body; raise `Forbidden` if the caller may not write to it, `Invalid` if it is deleted."""
    run = _guarded(context, request, body)
    if run.hidden:
        raise Invalid(f"Run {run.run_id} is deleted; restore it with restore_run to change it.")
    return run


def _guarded(context: Context, request: Request, body: JSON) -> Run:
    run_id = string(body, "run_id") or wire.needed(body, "run_uuid")
    run = context.runs.get(request.workspace_id, run_id)
    context.guard_run(request.identity, request.workspace_id, run_id)
    return run


def _set_hidden(context: Context, request: Request, *, hidden: bool) -> Response:
    run = _guarded(context, request, request.json_object())
    context.runs.change(run.workspace_id, run.run_id, hidden=hidden)
    return json_response({})


def _tagging(tags: dict[str, str]) -> RunPatch:
    """New tags; the one with the run's name renames the run, as in MLflow's own server."""
    name = tags.get(RUN_NAME)
    return RunPatch(tags=tags, fields={"display_name": name} if name else {})


def _log(context: Context, run: Run, metrics: list[JSON]) -> None:
    by_name: dict[str, list[Point]] = {}
    for number, body in enumerate(metrics):
        name = wire.needed(body, "key")
        created = _instant(context, body)
        by_name.setdefault(name, []).append(wire.read_point(body, name, created, f"{context.ids.guid()}-{number}"))
    for name, points in by_name.items():
        series = Series(name=name, kind="azureml.v1.scalar", columns={name: "double"})
        for start in range(0, len(points), VALUES_PER_REQUEST):
            part = points[start : start + VALUES_PER_REQUEST]
            check_series(series, len(part))
            context.metrics.add(run.workspace_id, run.run_id, series, part)


def _instant(context: Context, body: JSON) -> str:
    moment: datetime = wire.read_time(body, "timestamp") or context.clock.now()
    return offset_time(moment) or ""


def _shown(context: Context, request: Request, run: Run) -> JSON:
    latest = context.metrics.latest(run.workspace_id, run.origin_id)
    return wire.run(run, latest, context.addresses.port, request.workspace)
