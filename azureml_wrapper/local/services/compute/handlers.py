"""Operations on compute clusters. All are synchronous, so their state is always "Succeeded"."""

from __future__ import annotations

from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.compute import wire
from azureml_wrapper.local.services.context import Context

_ON_NODE = (RunStatus.PREPARING, RunStatus.RUNNING, RunStatus.FINALIZING)


def list_computes(context: Context, request: Request) -> Response:
    """Every compute of the workspace."""
    found = context.computes.all(request.workspace_id)
    # Without `nextLink`: with null, the SDK requests the address "None".
    return json_response({"value": [_answer(context, request, compute) for compute in found]})


def get_compute(context: Context, request: Request) -> Response:
    """One compute, with the number of its nodes."""
    compute = context.computes.get(request.workspace_id, request["compute"])
    return json_response(_answer(context, request, compute))


def put_compute(context: Context, request: Request) -> Response:
    """Create a compute, or change the scale settings of an existing one."""
    now = context.clock.now()
    compute = wire.parse_compute(request["compute"], request.json_object(), request.workspace, now)
    is_new = context.computes.put(request.workspace_id, compute)
    compute = context.computes.get(request.workspace_id, compute.name)
    return json_response(_answer(context, request, compute), 201 if is_new else 200, _operation(context, request))


def update_compute(context: Context, request: Request) -> Response:
    """Change scale settings or identity of a compute."""
    before = context.computes.get(request.workspace_id, request["compute"])
    context.computes.put(request.workspace_id, wire.parse_update(before, request.json_object()))
    after = context.computes.get(request.workspace_id, before.name)
    return json_response(_answer(context, request, after), 200, _operation(context, request))


def delete_compute(context: Context, request: Request) -> Response:
    """Delete a compute."""
    context.computes.delete(request.workspace_id, request["compute"])
    return empty(200, _operation(context, request))


def list_nodes(context: Context, request: Request) -> Response:
    """The current nodes of a compute: one for each running job, at least `min_nodes`."""
    compute = context.computes.get(request.workspace_id, request["compute"])
    runs = _runs_on(context, request, compute)
    return json_response({"nodes": wire.nodes(compute, runs)})


def check_instance_name(_: Context, request: Request) -> Response:
    """Always refused: only the SDK's ComputeInstance calls this, before it creates one."""
    raise wire.other_kind(str(request.json_object().get("name")), "ComputeInstance")


def get_operation(_: Context, __: Request) -> Response:
    """The state of an operation named by an Azure-AsyncOperation header."""
    return json_response({"status": "Succeeded"})


def list_vm_sizes(_: Context, __: Request) -> Response:
    """Common machine sizes of Azure: SDK v1 reads one key, SDK v2 the other."""
    return json_response(dict.fromkeys(("amlCompute", "value"), wire.vm_sizes()))


def _answer(context: Context, request: Request, compute: Compute) -> wire.JSON:
    return wire.compute(compute, request.workspace, len(_runs_on(context, request, compute)))


def _runs_on(context: Context, request: Request, compute: Compute) -> list[str]:
    places = ", ".join("?" * len(_ON_NODE))
    values = (request.workspace_id, *(status.value for status in _ON_NODE))
    running = context.runs.select(f"workspace = ? AND status IN ({places})", values)
    return [run.run_id for run in running if (run.target or "").lower() == compute.name.lower()]


def _operation(context: Context, request: Request) -> dict[str, str]:
    workspace = request.workspace
    place = f"providers/Microsoft.MachineLearningServices/locations/{workspace.location}/computeOperationsStatus"
    address = f"{context.addresses.arm}subscriptions/{workspace.subscription}/{place}/{context.ids.guid()}"
    return {"Azure-AsyncOperation": f"{address}?api-version=2020-02-02"}


ALL = "{workspace_scope}/computes"
ONE = "{workspace_scope}/computes/{compute}"
LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"

ROUTES = (
    Route("GET", ALL, list_computes),
    Route("GET", "/rp/workspaces" + ALL, list_computes),
    Route("GET", ONE, get_compute),
    Route("GET", "/rp/workspaces" + ONE, get_compute),
    Route("PUT", ONE, put_compute),
    Route("PATCH", ONE, update_compute),
    Route("DELETE", ONE, delete_compute),
    Route("POST", ONE + "/listNodes", list_nodes, runs=Runs.READ),
    Route("POST", "{workspace_scope}/checkComputeNameAvailability", check_instance_name, runs=Runs.READ),
    Route("GET", LOCATION + "/computeOperationsStatus/{operation}", get_operation),
    Route("GET", LOCATION + "/vmSizes", list_vm_sizes),
)
