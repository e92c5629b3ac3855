"""Operations on sweeps."""

from __future__ import annotations

from azureml_wrapper.local.domain.limits import check_experiment_name, check_run_id
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.sweeps import SWEEP_RUN_TYPE
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.hyperdrive import wire


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
    body = wire.read_form(request.headers.get("content-type", ""), request.body)
    sweep = wire.read_sweep(body)
    context.computes.get(workspace.workspace_id, sweep.target)
    if sweep.snapshot_id:
        context.snapshots.get(workspace.workspace_id, sweep.snapshot_id)
    if parent_id:
        context.runs.get(workspace.workspace_id, parent_id)
    check_experiment_name(name)
    experiment = context.experiments.ensure(workspace.workspace_id, name)
    # Before anything is stored: an invalid configuration is refused when it is submitted.
    parent = Run(
        workspace_id=workspace.workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=context.clock.now(),
        parent_id=parent_id,
        run_type=SWEEP_RUN_TYPE,
        target=sweep.target,
        uuid=context.ids.guid(),
        tags=wire.tags(sweep, run_id),
        properties=wire.properties(sweep),
    )
    context.sweep_children.make(parent, f"{run_id}_0", sweep, {})
    stored = context.runs.add(parent)
    context.sweeps.submit(stored, sweep)
    return json_response(wire.created(sweep, stored), 201)


def _place(context: Context, request: Request) -> tuple[Workspace, str]:
    """The workspace and the experiment of the scope."""
    subscription, group, workspace, experiment = wire.read_scope(request["experiment_scope"])
    return context.workspaces.get(subscription, group, workspace), experiment


# The SDK sends the whole scope, `subscriptions/…/experiments/name`, as one percent-encoded part of the path. It is
# not `{workspace_scope}`, which limits a run's token to its own workspace, so only users may call these.
_SCOPE = "/hyperdrive/v1.0/{experiment_scope}"

ROUTES = (
    Route("POST", _SCOPE + "/runs", create, for_users=True),
    Route("POST", _SCOPE + "/hdruns/{run_id}", create_named, for_users=True),
    Route("POST", _SCOPE + "/runs/{run_id}", create_below, for_users=True),
    Route("POST", _SCOPE + "/runs/{run_id}/cancel", cancel, for_users=True),
)
