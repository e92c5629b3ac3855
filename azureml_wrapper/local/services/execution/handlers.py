"""Operations on single runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from azureml_wrapper.local.domain.clock import azure_time
from azureml_wrapper.local.domain.environments import normalise
from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.jobs import check_single_process
from azureml_wrapper.local.domain.limits import check_experiment_name, check_run_id
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.execution import invocation, wire

RUN_TYPE = "azureml.scriptrun"
# The words that the SDK puts into the address where nobody chose an id.
_NO_ID = ("", "None")


def submit(context: Context, request: Request) -> Response:
    """Run a script of a snapshot."""
    submission = wire.read_submission(request.json_object())
    run = _new_run(context, request, submission)
    job = wire.job(submission, request.workspace_id, run.run_id)
    check_single_process(job)
    if submission.target != "local":
        context.computes.get(request.workspace_id, submission.target)
    context.runs.add(run)
    context.executor.submit(job)
    return json_response({"runId": run.run_id})


def prepare_local(context: Context, request: Request) -> Response:
    """A run on the machine of the user: answer with what the SDK starts there."""
    body = invocation.read_definition(request.headers.get("content-type", ""), request.body)
    submission = wire.read_submission(body)
    run = _new_run(context, request, submission)
    check_single_process(wire.job(submission, request.workspace_id, run.run_id))
    context.runs.add(run)
    address = f"{_address(context, request, run.experiment, run.run_id)}/start"
    token = context.tokens.run(request.workspace_id, run.run_id)
    return Response(invocation.archive(address, token, submission.config), media_type="application/zip")


def start_local(context: Context, request: Request) -> Response:
    """What the SDK started on the machine of the user says where the copy of the script folder is."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    submission = wire.read_submission(request.json_object())
    tree, uploads = invocation.read_folder(Path(str(request.json_object().get("folder"))))
    snapshot_id = context.ids.guid()
    context.snapshots.add(request.workspace_id, snapshot_id, read_tree(tree), uploads)
    context.executor.submit(wire.job(replace(submission, snapshot_id=snapshot_id), request.workspace_id, run.run_id))
    return json_response({"runId": run.run_id})


def cancel(context: Context, request: Request) -> Response:
    """Stop a run; one that has ended stays as it is."""
    run = context.runs.get(request.workspace_id, request["run_id"])
    if not context.executor.cancel(request.workspace_id, run.run_id):
        run = context.runs.get(request.workspace_id, run.run_id)
        if not run.status.is_terminal:
            raise Conflict(f"Run {run.run_id} is {run.status.value}, and no job of it is known.")
    return json_response({"runId": run.run_id})


def _new_run(context: Context, request: Request, submission: wire.Submission) -> Run:
    experiment = _experiment(context, request)
    run_id = _run_id(context, request, experiment)
    if submission.parent_id:
        context.runs.get(request.workspace_id, submission.parent_id)
        context.guard_run(request.identity, request.workspace_id, submission.parent_id)
    return Run(
        workspace_id=request.workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=context.clock.now(),
        parent_id=submission.parent_id,
        run_type=RUN_TYPE,
        target=submission.target,
        script=submission.config.get("script"),
        uuid=context.ids.guid(),
        cancel_uri=f"{_address(context, request, experiment.name, run_id)}/cancel",
        properties=wire.properties(submission, _snapshot_properties(context, request, submission)),
        definition=_definition(context, request, submission.config),
    )


def _address(context: Context, request: Request, experiment: str, run_id: str) -> str:
    service = context.addresses.service("/execution/v1.0", request.workspace)
    return f"{service}/experiments/{experiment}/runs/{run_id}"


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


def _snapshot_properties(context: Context, request: Request, submission: wire.Submission) -> dict[str, str]:
    if not submission.snapshot_id:
        return {}
    return dict(context.snapshots.get(request.workspace_id, submission.snapshot_id).properties)


def _definition(context: Context, request: Request, config: JSON) -> JSON:
    return wire.definition(config, request.workspace, _environment_version(context, request, config))


def _environment_version(context: Context, request: Request, config: JSON) -> str:
    """The version that the environment is registered as; a name of Azure's kind where it is not."""
    environment = config.get("environment") or {}
    if environment.get("version"):
        return str(environment["version"])
    name = environment.get("name")
    found = context.environments.find(request.workspace_id, name) if name else None
    if found and found.definition == normalise(environment):
        return found.version
    moment = (azure_time(context.clock.now()) or "").split(".")[0].rstrip("Z")
    return f"Autosave_{moment}Z_{context.ids.short()}"
