"""Events that clients report of a run: started, ended, warning (azureml/_restclient/contracts/events.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from azureml_wrapper.local.domain.clock import parse_time
from azureml_wrapper.local.domain.errors import Invalid, ServiceFault
from azureml_wrapper.local.domain.limits import ERROR_LENGTH, WARNING_LENGTH
from azureml_wrapper.local.domain.runs import JSON, Run, RunStatus, SystemManaged
from azureml_wrapper.local.http.messages import (
    Request,
    Response,
    empty,
    json_object,
    json_response,
    object_list,
    string,
)
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.history import wire
from azureml_wrapper.local.services.history.handlers import BATCH_LIMIT, find_run

Apply = Callable[[Context, Run, JSON], None]

_PREFIX = "Microsoft.MachineLearning.Run."
_STATUSES = {
    "Start": RunStatus.RUNNING,
    "Queued": RunStatus.QUEUED,
    "Completed": RunStatus.COMPLETED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELED,
    "CancelRequested": RunStatus.CANCEL_REQUESTED,
}


def post_event(context: Context, request: Request) -> Response:
    _apply(context, find_run(context, request), request.json_object())
    return empty()


def post_events(context: Context, request: Request) -> Response:
    """Like `post_event` for several runs. The response lists the events that failed."""
    errors = []
    for event in object_list(request.json_object().get("events"), "events", BATCH_LIMIT):
        run_id = string(json_object(event, "data"), "RunId") or ""
        try:
            context.guard_run(request.identity, request.workspace_id, run_id)
            _apply(context, context.runs.get(request.workspace_id, run_id), event)
        except ServiceFault as fault:
            errors.append({"key": event, "value": wire.fault(fault)})
    return json_response({"errors": errors})


def _apply(context: Context, run: Run, event: JSON) -> None:
    name = str(event.get("name") or "").removeprefix(_PREFIX)
    data = json_object(event, "data")
    if name in _STATUSES:
        _advance(context, run, _STATUSES[name], data)
    elif name in _OTHERS:
        _OTHERS[name](context, run, data)
    else:
        known = ", ".join(_PREFIX + name for name in (*_STATUSES, *_OTHERS))
        raise Invalid(f"Unknown event {event.get('name')!r}: allowed are {known}.")


def _advance(context: Context, run: Run, status: RunStatus, data: JSON) -> None:
    if run.is_managed and status in (RunStatus.CANCELED, RunStatus.CANCEL_REQUESTED):
        # `run.cancel()` on the run of a step, which has no cancelUri.
        _cancel_job(context, run)
    elif run.is_system_managed:
        raise SystemManaged()
    else:
        error = run.requested_failure if status is RunStatus.FAILED else None
        context.runs.advance(run.workspace_id, run.run_id, status, at=_instant(data), error=error)


def _cancel_job(context: Context, run: Run) -> None:
    if run.status.is_terminal:
        # `run.complete()` for a run with the target "local" lets its script go on.
        context.executor.cancel(run.workspace_id, run.run_id)
        return
    if context.pipeline_executor.cancel(run.workspace_id, run.run_id):
        return
    if context.sweeps.cancel(run.workspace_id, run.run_id):
        return
    if not context.executor.cancel(run.workspace_id, run.run_id):
        raise SystemManaged()


def _note_error(context: Context, run: Run, data: JSON) -> None:
    error = wire.read_error(json_object(data, "ErrorResponse"), ERROR_LENGTH)
    if not run.is_managed:
        context.runs.change(run.workspace_id, run.run_id, error=error)
    elif not run.status.is_terminal:
        # `run.fail()` in a job posts only its error; the run fails with it when the script ends.
        context.runs.change(run.workspace_id, run.run_id, requested_failure=error)


def _note_warning(context: Context, run: Run, data: JSON) -> None:
    warning = {"source": data.get("Source"), "message": str(data.get("Message") or "")[:WARNING_LENGTH]}
    context.runs.amend(
        run.workspace_id, run.run_id, lambda current: replace(current, warnings=[*current.warnings, warning])
    )


def _ignore(_context: Context, _run: Run, _data: JSON) -> None:
    """For heartbeats: the service watches the processes themselves."""


_OTHERS: dict[str, Apply] = {"Error": _note_error, "Warning": _note_warning, "Heartbeat": _ignore}


def _instant(data: JSON) -> datetime | None:
    given = string(data, "StartTime") or string(data, "EndTime")
    try:
        return parse_time(given)
    except ValueError as error:
        raise Invalid(f"Invalid time {given!r}: expected ISO 8601, such as 2026-01-31T08:00:00Z.") from error
