"""Operations on schedules. The scheduler fires them."""

from __future__ import annotations

from azureml_wrapper.local.domain.pipelines import ACTIVE, PipelineRun, Schedule
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.pipelines import publishedwire, wire
from azureml_wrapper.local.services.pipelines.published import is_active_only


def create(context: Context, request: Request) -> Response:
    """An enabled schedule of a published pipeline or an endpoint; without a start time it fires at once."""
    now = context.clock.now()
    schedule = publishedwire.read_schedule(
        publishedwire.read_schedule_body(request.json_object()),
        workspace_id=request.workspace_id,
        schedule_id=context.ids.guid(),
        created=now,
        modified=now,
        anchor=now,
    )
    _check(context, schedule)
    return json_response(publishedwire.schedule(context.scheduler.add(schedule)))


def get(context: Context, request: Request) -> Response:
    return json_response(publishedwire.schedule(_find(context, request)))


def put(context: Context, request: Request) -> Response:
    """Change, enable or disable a schedule. A changed recurrence counts as a new one."""
    before, now = _find(context, request), context.clock.now()
    body = publishedwire.read_schedule_body(request.json_object())
    is_new = body["Recurrence"] != before.body["Recurrence"]
    schedule = publishedwire.read_schedule(
        body,
        workspace_id=request.workspace_id,
        schedule_id=before.schedule_id,
        created=before.created,
        modified=now,
        anchor=now if is_new else before.anchor,
        is_active=publishedwire.read_status(request.json_object().get("EntityStatus")) == ACTIVE,
    )
    if schedule.is_active:
        _check(context, schedule)
    return json_response(publishedwire.schedule(context.scheduler.change(schedule)))


def list_schedules(context: Context, request: Request) -> Response:
    """Schedules, newest first; only enabled ones by default."""
    found = context.schedules.all(request.workspace_id, active_only=is_active_only(request))
    return json_response([publishedwire.schedule(item) for item in found])


def list_of_pipeline(context: Context, request: Request) -> Response:
    """Every schedule of a published pipeline."""
    found = context.schedules.of_pipeline(request.workspace_id, request["pipeline"])
    return json_response([publishedwire.schedule(item) for item in found])


def list_of_endpoint(context: Context, request: Request) -> Response:
    """Every schedule of an endpoint."""
    found = context.schedules.of_endpoint(request.workspace_id, request["endpoint"])
    return json_response([publishedwire.schedule(item) for item in found])


def list_runs(context: Context, request: Request) -> Response:
    """The runs that a schedule has started, newest first."""
    return json_response([_run(context, record) for record in _runs(context, request)])


def get_last_run(context: Context, request: Request) -> Response:
    """The newest run of a schedule; 204 if it has none."""
    found = _runs(context, request)
    return json_response(_run(context, found[0])) if found else empty(204)


def _find(context: Context, request: Request) -> Schedule:
    return context.schedules.get(request.workspace_id, request["schedule"])


def _runs(context: Context, request: Request) -> list[PipelineRun]:
    schedule = _find(context, request)
    return context.pipelines.runs_of_schedule(request.workspace_id, schedule.schedule_id)


def _run(context: Context, record: PipelineRun) -> JSON:
    return wire.pipeline_run(record, context.runs.get(record.workspace_id, record.run_id))


def _check(context: Context, schedule: Schedule) -> None:
    """Raise a fault for a missing or disabled pipeline, and for a datastore that is not registered."""
    pipeline_id = schedule.pipeline_id or ""
    if schedule.endpoint_id:
        pipeline_id = context.published.endpoint(schedule.workspace_id, schedule.endpoint_id).pipeline_id()
    context.published.pipeline(schedule.workspace_id, pipeline_id).check_active()
    if schedule.watch:
        context.datastores.get(schedule.workspace_id, schedule.watch.datastore)
