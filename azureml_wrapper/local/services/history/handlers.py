"""Operations on runs.

The request for a run can wait for its end: with `Prefer: wait=20` (RFC 7240) the response comes when the run has
ended, or after that many seconds with the run as it then is. Without it, as from the SDK, the response comes at once.

Events are what clients report of a run: started, ended, warning (azureml/_restclient/contracts/events.py). Each route
exists with the experiment's name, as clients use it, and with its id, as jobs do.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool

from azureml_wrapper.local.domain.clock import parse_time
from azureml_wrapper.local.domain.errors import Invalid, NotFound, ServiceFault
from azureml_wrapper.local.domain.limits import ERROR_LENGTH, WARNING_LENGTH, check_run_id
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run, RunPatch, RunStatus, SystemManaged, amend
from azureml_wrapper.local.domain.storage import of_run
from azureml_wrapper.local.http.messages import (
    Request,
    Response,
    empty,
    json_object,
    json_response,
    object_list,
    string,
    string_list,
)
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.history import wire
from azureml_wrapper.local.tokens import RUN_LIFETIME

# The SDK waits 100 seconds for a response.
LONGEST_SECONDS = 60.0
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([^,;]*)", re.IGNORECASE)
# The SDK creates at most 100 children at once (azureml/core/run.py, create_children).
BATCH_LIMIT = 100
# The SDK adds those of `user_logs` and `system_logs` itself (azureml/core/run.py, get_details).
LOG_FOLDERS = ("azureml-logs", "logs")
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


def get_run(context: Context, request: Request) -> Response:
    return json_response(wire.run(find_run(context, request)))


def get_workspace_run(context: Context, request: Request) -> Response:
    return json_response(wire.run(context.runs.get(request.workspace_id, request["run_id"])))


def patch_run(context: Context, request: Request) -> Response:
    """Create or change a run."""
    body = request.json_object()
    if body.get("runId") not in (None, request["run_id"]):
        raise Invalid(f"The run ids differ: {request['run_id']} in the address, {body['runId']} in the body.")
    return json_response(wire.run(_put_run(context, request, request["run_id"], body)))


def patch_runs(context: Context, request: Request) -> Response:
    """Like `patch_run` for several runs; those that do not fail are stored."""
    stored, errors = {}, {}
    for body in object_list(request.json_object().get("runs"), "runs", BATCH_LIMIT):
        run_id = string(body, "runId") or ""
        try:
            context.guard_run(request.identity, request.workspace_id, run_id)
            stored[run_id] = wire.run(_put_run(context, request, run_id, body))
        except ServiceFault as fault:
            errors[run_id] = wire.fault(fault)
    return json_response({"runs": stored, "errors": errors})


def get_details(context: Context, request: Request) -> Response:
    return _details(context, request, find_run(context, request))


def get_workspace_details(context: Context, request: Request) -> Response:
    return _details(context, request, context.runs.get(request.workspace_id, request["run_id"]))


def list_children(context: Context, request: Request) -> Response:
    run = find_run(context, request)
    query = wire.read_query({key.removeprefix("$"): value for key, value in request.query.items()})
    # A reused HyperDriveStep has the sweep of the run that it reuses (docs/assumptions.md).
    parent = run.origin_id if run.properties.get("StepType") == "HyperDriveStep" else run.run_id
    return json_response(wire.page(context.runs.page(request.workspace_id, query, parent_id=parent)))


def query_runs(context: Context, request: Request) -> Response:
    experiment = _experiment(context, request)
    query = wire.read_query(request.json_object())
    found = context.runs.page(request.workspace_id, query, experiment_id=experiment.experiment_id)
    return json_response(wire.page(found))


def list_by_compute(context: Context, request: Request) -> Response:
    query = wire.read_query({key.removeprefix("$"): value for key, value in request.query.items()})
    return json_response(wire.page(context.runs.page(request.workspace_id, query, target=request["compute"])))


def count_runs(context: Context, request: Request) -> Response:
    experiment = _experiment(context, request)
    return json_response(wire.counts(context.runs.count_by_status(request.workspace_id, experiment.experiment_id)))


def get_token(context: Context, request: Request) -> Response:
    """A token that may write to this run. A run gets one only for its ancestors and descendants."""
    run = find_run(context, request)
    context.guard_run(request.identity, request.workspace_id, run.run_id)
    expires = context.clock.now() + timedelta(seconds=RUN_LIFETIME)
    return json_response(wire.token(context.tokens.run(request.workspace_id, run.run_id), expires))


def delete_tags(context: Context, request: Request) -> Response:
    run = find_run(context, request)
    names = string_list(request.json(), "The body")
    return json_response(wire.run(context.runs.remove_tags(request.workspace_id, run.run_id, names)))


def find_run(context: Context, request: Request) -> Run:
    """The run in the address; raise `NotFound` if it belongs to another experiment."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    if not _is_in_address(run, request):
        raise NotFound(f"Run {run.run_id} was not found")
    return run


def _is_in_address(run: Run, request: Request) -> bool:
    name, experiment_id = request.parameters.get("experiment"), request.parameters.get("experiment_id")
    return experiment_id in (None, run.experiment_id) and (name or run.experiment).lower() == run.experiment.lower()


def _put_run(context: Context, request: Request, run_id: str, body: JSON) -> Run:
    patch = wire.read_patch(body)
    found = context.runs.find(request.workspace_id, run_id)
    if found is None:
        return _create(context, request, run_id, patch)
    if patch.parent_id not in (None, found.parent_id):
        raise Invalid(f"Cannot change the parent of run {run_id} from {found.parent_id} to {patch.parent_id}.")
    if found.is_system_managed and patch.status not in (None, found.status):
        raise SystemManaged()
    changed = context.runs.amend(request.workspace_id, run_id, lambda run: amend(run, patch))
    if patch.definition is not None:
        context.runs.define(request.workspace_id, run_id, patch.definition)
    return _advanced(context, changed, patch)


def _create(context: Context, request: Request, run_id: str, patch: RunPatch) -> Run:
    check_run_id(run_id)
    # Without one, a job could create a run that its token may not write to.
    parent_id = patch.parent_id or request.identity.run_id
    if parent_id:
        context.guard_run(request.identity, request.workspace_id, parent_id)
        context.runs.get(request.workspace_id, parent_id)
    run = _blank(context, request, run_id, parent_id)
    return _advanced(context, context.runs.add(amend(run, patch), patch.definition), patch)


def _advanced(context: Context, run: Run, patch: RunPatch) -> Run:
    if patch.status is None:
        return run
    return context.runs.advance(run.workspace_id, run.run_id, patch.status)


def _blank(context: Context, request: Request, run_id: str, parent_id: str | None) -> Run:
    experiment = _experiment(context, request, make=True)
    return Run(
        workspace_id=request.workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=context.clock.now(),
        parent_id=parent_id,
        uuid=context.ids.guid(),
        submitted_by="local",
        # Azure shows the id if the user gave no name.
        display_name=run_id,
    )


def _experiment(context: Context, request: Request, *, make: bool = False) -> Experiment:
    """The experiment in the address. With `make`, an archived name creates a new one, as the SDK documents."""
    name = request.parameters.get("experiment")
    if name is None:
        return context.experiments.get(request.workspace_id, request["experiment_id"])
    if make:
        return context.experiments.ensure(request.workspace_id, name)
    return context.experiments.get_any(request.workspace_id, name)


def _details(context: Context, request: Request, run: Run) -> Response:
    place = of_run(run.run_id)
    paths = [path for folder in LOG_FOLDERS for path in context.artifacts.paths(request.workspace, place, folder)]
    logs = {path: context.artifacts.url(request.workspace, place, path) for path in paths}
    definition = context.runs.definition(request.workspace_id, run.run_id)
    return json_response(wire.details(run, definition, logs))


async def await_end(context: Context, request: Request) -> None:
    """Wait until the run in the address has ended, at most as long as the client asked for."""
    seconds = read_wait(request.headers.get("prefer", ""))
    if seconds <= 0:
        return
    run = (request.workspace_id, request["run_id"])
    with context.waiting.entry(run) as end:
        # Read after the entry was made, so that no end is missed. The handler reports unknown runs.
        found = await run_in_threadpool(context.runs.find, *run)
        if found and _is_in_address(found, request) and not found.status.is_terminal:
            await asyncio.wait([end], timeout=seconds)


def read_wait(header: str) -> float:
    """The seconds in a `Prefer` header, at most `LONGEST_SECONDS`; 0 if it has none."""
    found = _WAIT.search(header)
    if found is None:
        return 0.0
    try:
        seconds = float(found[1].strip().strip('"'))
    except ValueError as error:
        raise Invalid(f"Invalid Prefer: wait={found[1]}: expected a number of seconds.") from error
    return min(seconds, LONGEST_SECONDS) if math.isfinite(seconds) else LONGEST_SECONDS


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
        # `run.complete()` for a run with the target "local" leaves its script running.
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


_HISTORY = "/history/v1.0{workspace_scope}"


def _of_experiment(parent: str) -> tuple[Route, ...]:
    runs = f"{_HISTORY}/{parent}"
    run = f"{runs}/runs/{{run_id}}"
    return (
        Route("POST", f"{runs}/runs:query", query_runs, runs=Runs.READ),
        Route("GET", f"{runs}/runcounts", count_runs),
        Route("PATCH", f"{runs}/batch/runs", patch_runs, runs=Runs.FAMILY),
        Route("POST", f"{runs}/batch/events", post_events, runs=Runs.FAMILY),
        Route("GET", run, get_run, awaits=await_end),
        Route("PATCH", run, patch_run, runs=Runs.FAMILY),
        Route("GET", f"{run}/details", get_details),
        Route("GET", f"{run}/children", list_children),
        Route("GET", f"{run}/token", get_token),
        Route("DELETE", f"{run}/tags", delete_tags, runs=Runs.FAMILY),
        Route("POST", f"{run}/events", post_event, runs=Runs.FAMILY),
    )


ROUTES = (
    *_of_experiment("experiments/{experiment}"),
    *_of_experiment("experimentids/{experiment_id}"),
    Route("GET", f"{_HISTORY}/runs/{{run_id}}", get_workspace_run, awaits=await_end),
    Route("GET", f"{_HISTORY}/runs/{{run_id}}/details", get_workspace_details),
    Route("GET", f"{_HISTORY}/computes/{{compute}}/runs", list_by_compute),
)
