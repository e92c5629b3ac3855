"""Operations on single runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from azureml_wrapper.local.domain.jobs import NewJob
from azureml_wrapper.local.domain.limits import check_experiment_name, check_run_id
from azureml_wrapper.local.domain.runs import Experiment, RunStatus
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.execution import invocation, wire
from azureml_wrapper.local.services.execution.newruns import address, new_job

# What the SDK puts into the address if the user did not choose an id.
_NO_ID = ("", "None")


def submit(context: Context, request: Request) -> Response:
    """Run a script of a snapshot."""
    submission = wire.read_submission(request.json_object())
    made = _new_job(context, request, submission)
    if submission.target != "local":
        context.computes.get(request.workspace_id, submission.target)
    properties = {**made.run.properties, **context.client_properties(request.identity)}
    context.executor.submit_new(replace(made, run=replace(made.run, properties=properties)))
    return json_response({"runId": made.run.run_id})


def prepare_local(context: Context, request: Request) -> Response:
    """A run on the user's machine: answer with the program that the SDK starts there."""
    body = invocation.read_definition(request.headers.get("content-type", ""), request.body)
    submission = wire.read_submission(body)
    made = _new_job(context, request, submission)
    run = context.runs.add(made.run, made.definition)
    fault_point("jobs.prepared")
    address = f"{_address(context, request, run.experiment, run.run_id)}/start"
    token = context.tokens.run(request.workspace_id, run.run_id)
    return Response(invocation.archive(address, token, submission.config), media_type="application/zip")


def start_local(context: Context, request: Request) -> Response:
    """The program that the SDK has started on the user's machine sends the path of the script folder's copy."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    submission = wire.read_submission(request.json_object())
    with context.beginning(request.workspace_id, run.run_id):
        tree, uploads = invocation.read_folder(Path(str(request.json_object().get("folder"))))
        snapshot_id = context.ids.guid()
        context.snapshots.add(request.workspace_id, snapshot_id, read_tree(tree), uploads)
        fault_point("jobs.folder-stored")
        context.executor.submit(
            wire.job(replace(submission, snapshot_id=snapshot_id), request.workspace_id, run.run_id)
        )
    return json_response({"runId": run.run_id})


def cancel(context: Context, request: Request) -> Response:
    """Cancel a run; a run that has ended does not change."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    if not context.executor.cancel(request.workspace_id, run.run_id):
        run = context.runs.get(request.workspace_id, run.run_id)
        if not run.status.is_terminal:
            # It has no job: its script on the user's machine has not started.
            context.runs.advance(request.workspace_id, run.run_id, RunStatus.CANCELED)
    return json_response({"runId": run.run_id})


def _new_job(context: Context, request: Request, submission: wire.Submission) -> NewJob:
    experiment = _experiment(context, request)
    run_id = _run_id(context, request, experiment)
    if submission.parent_id:
        context.runs.get(request.workspace_id, submission.parent_id)
        context.guard_run(request.identity, request.workspace_id, submission.parent_id)
    return new_job(
        context,
        context.environments,
        workspace=request.workspace,
        experiment=experiment,
        run_id=run_id,
        submission=submission,
    )


def _address(context: Context, request: Request, experiment: str, run_id: str) -> str:
    return address(context, request.workspace, experiment, run_id)


def _experiment(context: Context, request: Request) -> Experiment:
    if "experiment_id" in request.parameters:
        return context.experiments.get(request.workspace_id, request["experiment_id"])
    check_experiment_name(request["experiment"])
    return context.experiments.ensure(request.workspace_id, request["experiment"])


def _run_id(context: Context, request: Request, experiment: Experiment) -> str:
    given = request.query.get("runid", "")
    if given in _NO_ID:
        return f"{experiment.name}_{int(context.clock.now().timestamp())}_{context.ids.short()}"
    check_run_id(given)
    return given


_NAMED = "/execution/v1.0{workspace_scope}/experiments/{experiment}"
_BY_ID = "/execution/v1.0{workspace_scope}/experimentids/{experiment_id}"

ROUTES = (
    Route("POST", _NAMED + "/snapshotrun", submit, runs=Runs.ADD),
    Route("POST", _BY_ID + "/snapshotrun", submit, runs=Runs.ADD),
    Route("POST", _NAMED + "/localrun", prepare_local, runs=Runs.ADD),
    # Ours: the answer of `localrun` calls it.
    Route("POST", _NAMED + "/runs/{run_id}/start", start_local, runs=Runs.FAMILY),
    Route("POST", _NAMED + "/runs/{run_id}/cancel", cancel, runs=Runs.FAMILY),
    Route("POST", _BY_ID + "/runs/{run_id}/cancel", cancel, runs=Runs.FAMILY),
)
