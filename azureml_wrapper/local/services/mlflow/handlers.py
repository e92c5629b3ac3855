"""MLflow's operations on runs, then those on experiments."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.metrics import VALUES_PER_REQUEST, Point, Series, check_series
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run, RunPatch, SystemManaged, amend, amend_experiment
from azureml_wrapper.local.domain.tracking import (
    DEFAULT_EXPERIMENT,
    DEFAULT_EXPERIMENT_ID,
    EXPERIMENT_ATTRIBUTES,
    Facts,
    check_batch,
    parse_filter,
    read_status,
    sort_key,
    with_parameters,
)
from azureml_wrapper.local.http.messages import Request, Response, json_response, object_list, string, string_list
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.mlflow import wire

SEARCH_LIMIT = 1000


def create_run(context: Context, request: Request) -> Response:
    """Create a run that the program ends itself; in a job, a child of the job's run."""
    body = request.json_object()
    experiment = find_experiment(context, request, string(body, "experiment_id") or "0")
    tags, run_id = wire.pairs(body, "tags"), context.ids.guid()
    name = string(body, "run_name") or tags.get("mlflow.runName") or run_id
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
    context.runs.add(amend(run, RunPatch(tags={**tags, "mlflow.runName": name})))
    begun = context.runs.advance(request.workspace_id, run_id, read_status("RUNNING"))
    return json_response({"run": _shown(context, request, begun)})


def get_run(context: Context, request: Request) -> Response:
    run = context.runs.get(request.workspace_id, request.query.get("run_id") or request.query.get("run_uuid") or "")
    return json_response({"run": _shown(context, request, run)})


def update_run(context: Context, request: Request) -> Response:
    """Change name or status; the status of a job's run cannot be changed."""
    body = request.json_object()
    run = _writable(context, request, body)
    name, word = string(body, "run_name"), string(body, "status")
    if name:
        patch = RunPatch(tags={"mlflow.runName": name}, fields={"display_name": name})
        run = context.runs.amend(run.workspace_id, run.run_id, lambda before: amend(before, patch))
    status = read_status(word) if word else run.status
    if status is not run.status:
        if run.is_managed:
            raise SystemManaged()
        run = context.runs.advance(run.workspace_id, run.run_id, status)
    return json_response({"run_info": wire.info(run, context.addresses.port, request.workspace)})


def search_runs(context: Context, request: Request) -> Response:
    """The runs of some experiments that match a filter, newest first by default."""
    body = request.json_object()
    size = wire.read_limit(body.get("max_results")) or SEARCH_LIMIT
    start = wire.read_offset(string(body, "page_token"))
    condition = parse_filter(string(body, "filter"))
    found = [(run, _facts(context, run)) for run in _runs(context, request, body)]
    kept = [(run, facts) for run, facts in found if condition(facts)]
    for clause in reversed(string_list(body.get("order_by"), "order_by")):
        kept = _sorted(kept, clause)
    page = [_shown(context, request, run) for run, _ in kept[start : start + size]]
    more = str(start + size) if len(kept) > start + size else None
    return json_response({"runs": page, **({"next_page_token": more} if more else {})})


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
    patch = RunPatch(tags=tags)
    context.runs.amend(run.workspace_id, run.run_id, lambda before: amend(with_parameters(before, params), patch))
    _log(context, run, metrics)
    return json_response({})


def log_batch_async(context: Context, request: Request) -> Response:
    """Like `log_batch`. An empty id tells the client that everything is stored already."""
    log_batch(context, request)
    return json_response({"batch_tracking_id": ""})


def set_run_tag(context: Context, request: Request) -> Response:
    body = request.json_object()
    run = _writable(context, request, body)
    patch = RunPatch(tags={wire.needed(body, "key"): string(body, "value") or ""})
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
    """The run in a body; raise `Forbidden` if the caller may not write to it."""
    run_id = string(body, "run_id") or wire.needed(body, "run_uuid")
    run = context.runs.get(request.workspace_id, run_id)
    context.guard_run(request.identity, request.workspace_id, run_id)
    return run


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
    given = body.get("timestamp")
    try:
        moment = datetime.fromtimestamp(int(given) / 1000, timezone.utc) if given else context.clock.now()
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise Invalid(f"Invalid timestamp {given!r}: expected a number of milliseconds.") from error
    return offset_time(moment) or ""


def _runs(context: Context, request: Request, body: JSON) -> list[Run]:
    ids = string_list(body.get("experiment_ids"), "experiment_ids")
    if string(body, "run_view_type") == "DELETED_ONLY":
        return []
    found = [find_experiment(context, request, experiment_id).experiment_id for experiment_id in ids]
    return [run for each in found for run in context.runs.of_experiment(request.workspace_id, each)]


def _sorted(kept: list[tuple[Run, Facts]], clause: str) -> list[tuple[Run, Facts]]:
    """Runs without a value come last in both directions."""
    read, descending = sort_key(clause)
    having = [item for item in kept if read(item[1]) is not None]
    without = [item for item in kept if read(item[1]) is None]
    return sorted(having, key=lambda item: read(item[1]), reverse=descending) + without


def _facts(context: Context, run: Run) -> Facts:
    return wire.facts(run, context.metrics.latest(run.workspace_id, run.origin_id))


def _shown(context: Context, request: Request, run: Run) -> JSON:
    latest = context.metrics.latest(run.workspace_id, run.origin_id)
    return wire.run(run, latest, context.addresses.port, request.workspace)


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
    found = context.experiments.get_any(request.workspace_id, request.query.get("experiment_name", ""))
    return json_response({"experiment": wire.experiment(found, context.addresses.port, request.workspace)})


def search_experiments(context: Context, request: Request) -> Response:
    """The experiments that match a filter, on one page, newest first."""
    body = request.json_object()
    condition = parse_filter(string(body, "filter"), EXPERIMENT_ATTRIBUTES)
    archived = wire.read_view(string(body, "view_type"))
    found = [
        each
        for each in context.experiments.all(request.workspace_id)
        if (archived is None or bool(each.archived) is archived) and condition(wire.experiment_facts(each))
    ]
    listed = [wire.experiment(each, context.addresses.port, request.workspace) for each in found]
    return json_response({"experiments": listed})


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


def find_experiment(context: Context, request: Request, experiment_id: str) -> Experiment:
    """The experiment with an id; "0" is MLflow's default experiment."""
    if experiment_id == DEFAULT_EXPERIMENT_ID:
        return context.experiments.ensure(request.workspace_id, DEFAULT_EXPERIMENT)
    return context.experiments.get(request.workspace_id, experiment_id)


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


def _of_version(version: str) -> tuple[Route, ...]:
    root = f"/mlflow/{version}{{workspace_scope}}/api/2.0"
    api = f"{root}/mlflow"
    return (
        Route("POST", f"{api}/experiments/create", create_experiment),
        Route("GET", f"{api}/experiments/get", get_experiment),
        Route("GET", f"{api}/experiments/get-by-name", get_experiment_by_name),
        Route("POST", f"{api}/experiments/search", search_experiments, reads=True),
        Route("POST", f"{api}/experiments/delete", delete_experiment),
        Route("POST", f"{api}/experiments/restore", restore_experiment),
        Route("POST", f"{api}/experiments/set-experiment-tag", set_experiment_tag),
        Route("POST", f"{api}/runs/create", create_run),
        Route("GET", f"{api}/runs/get", get_run),
        Route("POST", f"{api}/runs/update", update_run),
        Route("POST", f"{api}/runs/search", search_runs, reads=True),
        Route("POST", f"{api}/runs/log-metric", log_metric),
        Route("POST", f"{api}/runs/log-parameter", log_parameter),
        Route("POST", f"{api}/runs/log-batch", log_batch),
        # Azure's own addition to MLflow (azureml/mlflow/_protos/aml_service_pb2.py).
        Route("POST", f"{root}/preview/mlflow/runs/log-batch-async", log_batch_async),
        Route("POST", f"{api}/runs/set-tag", set_run_tag),
        Route("POST", f"{api}/runs/delete-tag", delete_run_tag),
        Route("GET", f"{api}/metrics/get-history", get_metric_history),
    )


# azureml-mlflow uses v1.0 or v2.0, depending on mlflow's version (azureml/mlflow/_store/azureml_reststore.py).
ROUTES = (*_of_version("v1.0"), *_of_version("v2.0"))
