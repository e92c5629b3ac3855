"""HyperDrive: operations on sweeps (contract: azureml/train/restclients/hyperdrive/rest_client.py)."""

from __future__ import annotations

import re
from email import message_from_bytes

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import check_experiment_name, check_run_id
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.shapes import read_json
from azureml_wrapper.local.domain.sweeps import JSON, Sweep
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, json_object, json_response
from azureml_wrapper.local.http.routing import Refusal, Route
from azureml_wrapper.local.services import sweeps
from azureml_wrapper.local.services.context import Context

_EXPERIMENT = re.compile(
    r"/?subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices"
    r"/workspaces/([^/]+)/experiments/([^/]+)",
    re.IGNORECASE,
)


def read_scope(scope: str) -> tuple[str, str, str, str]:
    """Subscription, resource group, workspace, experiment."""
    found = _EXPERIMENT.fullmatch(scope)
    if found is None:
        raise Invalid(f"{scope[:300]!r} is not the scope of an experiment.")
    return found[1], found[2], found[3], found[4]


def read_form(content_type: str, body: bytes) -> JSON:
    """The `config` of a form."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.get_payload() if form.is_multipart() else ():
        if not isinstance(part, str) and part.get_param("name", header="content-disposition") == "config":
            content: bytes = part.get_payload(decode=True)  # type: ignore[assignment] # no part of it is a form
            return json_object({"config": read_json(content, "config")}, "config")
    raise Invalid("A sweep needs a form with config.")


def created(sweep: Sweep, run: Run) -> JSON:
    """The answer for a new sweep; the SDK reads its `ParentRunId`."""
    body, now = sweep.sent, offset_time(run.created)
    return {
        "code": 201,
        "result": {
            "all_jobs_generated": False,
            "cancellation_requested": False,
            "created": now,
            "created_by_user_id": 0,
            "description": None,
            "experiment_id": run.experiment_id,
            "generator_config": body.get("generator_config"),
            "max_concurrent_jobs": sweep.most_concurrent,
            "max_duration_minutes": sweep.minutes,
            "max_total_jobs": sweep.most_runs,
            "modified": now,
            "name": run.experiment,
            "platform": "AML",
            "platform_config": {**(body.get("platform_config") or {}), "ParentRunId": run.run_id},
            "policy_config": body.get("policy_config"),
            "primary_metric_config": body.get("primary_metric_config"),
            "status": "RUNNING",
            "study_id": 0,
            "hyperdrive_run_id": run.run_id,
        },
    }


def create(context: Context, request: Request) -> Response:
    return _create(context, request, f"HD_{context.ids.guid()}")


def create_named(context: Context, request: Request) -> Response:
    """A sweep whose id the user chose (`HyperDriveConfig(custom_run_id=…)`)."""
    check_run_id(request["run_id"])
    return _create(context, request, request["run_id"])


def create_below(context: Context, request: Request) -> Response:
    """A sweep as the child of another run (`run.submit_child`)."""
    return _create(context, request, f"HD_{context.ids.guid()}", parent_id=request["run_id"])


def cancel(context: Context, request: Request) -> Response:
    """Stop a sweep; one that has ended stays as it is."""
    workspace, _ = _place(context, request)
    run = context.runs.get(workspace.workspace_id, request["run_id"])
    stopped = context.sweeps.cancel(workspace.workspace_id, run.run_id)
    return json_response({"code": 200, "result": "cancelled" if stopped else run.status.value})


def _create(context: Context, request: Request, run_id: str, parent_id: str | None = None) -> Response:
    workspace, name = _place(context, request)
    body = read_form(request.headers.get("content-type", ""), request.body)
    sweep = sweeps.read_sweep(body)
    context.computes.get(workspace.workspace_id, sweep.target)
    if sweep.snapshot_id:
        context.snapshots.get(workspace.workspace_id, sweep.snapshot_id)
    if parent_id:
        context.runs.get(workspace.workspace_id, parent_id)
    check_experiment_name(name)
    experiment = context.experiments.ensure(workspace.workspace_id, name)
    # Before anything is stored: an invalid configuration is refused when it is submitted.
    parent = sweeps.new_run(
        sweep,
        workspace_id=workspace.workspace_id,
        run_id=run_id,
        experiment=experiment,
        created=context.clock.now(),
        uuid=context.ids.guid(),
        parent_id=parent_id,
    )
    context.sweep_children.make(parent, f"{run_id}_0", sweep, {})
    stored = context.runs.add(parent)
    with context.beginning(workspace.workspace_id, run_id):
        fault_point("sweeps.stored")
        context.note_client(request.identity, workspace.workspace_id, run_id)
        context.sweeps.submit(stored, sweep)
    return json_response(created(sweep, stored), 201)


def _place(context: Context, request: Request) -> tuple[Workspace, str]:
    """The workspace and the experiment of the scope."""
    subscription, group, workspace, experiment = read_scope(request["experiment_scope"])
    return context.workspaces.get(subscription, group, workspace), experiment


# The SDK sends the whole scope, `subscriptions/…/experiments/name`, as one percent-encoded part of the path. It is
# not `{workspace_scope}`, which limits a run's token to its own workspace, so only users may call these.
_SCOPE = "/hyperdrive/v1.0/{experiment_scope}"

ROUTES = (
    Route("POST", _SCOPE + "/runs", create),
    Route("POST", _SCOPE + "/hdruns/{run_id}", create_named),
    Route("POST", _SCOPE + "/runs/{run_id}", create_below),
    Route("POST", _SCOPE + "/runs/{run_id}/cancel", cancel),
)

# Jasmine is the service of AutoML.
REFUSED = (
    Refusal(
        "/jasmine/v1.0",
        "Automated machine learning (AutoMLConfig, AutoMLStep) is not supported by the local service. HyperDrive "
        "runs here: a sweep over your own training script.",
    ),
)
