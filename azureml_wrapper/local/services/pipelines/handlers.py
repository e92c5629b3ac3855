"""Operations on pipelines: what they are made of, and their runs."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.jobs import JobOutput
from azureml_wrapper.local.domain.pipelines import (
    ERROR_LOG,
    EXECUTION_LOG,
    PipelineRun,
    over,
    word_of,
    word_of_unstarted,
)
from azureml_wrapper.local.domain.plans import Port
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.storage import of_run
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.pipelines import wire
from azureml_wrapper.local.services.pipelines.graphwire import Forms, SentGraph, read_graph, read_module
from azureml_wrapper.local.services.pipelines.planning import Planner

# What a step prints, on stdout and stderr.
STEP_LOG = "azureml-logs/70_driver_log.txt"


def list_data_types(context: Context, request: Request) -> Response:
    own = context.pipelines.data_types.latest(request.workspace_id)
    names = {document.key for document in own}
    defaults = [wire.default_data_type(name) for name in wire.DEFAULT_DATA_TYPES if name not in names]
    return json_response([*defaults, *(wire.data_type(document) for document in own)])


def add_data_type(context: Context, request: Request) -> Response:
    body = wire.read_data_type(request.json_object())
    name = body["Id"]
    if name in wire.DEFAULT_DATA_TYPES or context.pipelines.data_types.find(request.workspace_id, name):
        # The SDK looks for these words (_aeva_provider.py, try_create_datatype).
        raise Conflict(f"Data type {name} already exists.")
    return json_response(wire.data_type(context.pipelines.data_types.add(request.workspace_id, name, body)))


def put_data_type(context: Context, request: Request) -> Response:
    types = context.pipelines.data_types
    types.get(request.workspace_id, request["data_type"])
    body = wire.read_data_type(request.json_object())
    changed = types.put(request.workspace_id, request["data_type"], body)
    return json_response(wire.data_type(changed))


def add_module(context: Context, request: Request) -> Response:
    body = request.json_object()
    read_module("", body)
    return json_response(wire.module_entity(context.pipelines.add_module(request.workspace_id, body)))


def add_modules(context: Context, request: Request) -> Response:
    """Add the modules of a pipeline's new steps: all of them or none, and return their ids in order."""
    body = request.json_object()
    check_shape(body, {"Modules": Needed([dict])}, "Modules")
    for module in body["Modules"]:
        read_module("", module)
    return json_response({"Ids": context.pipelines.add_modules(request.workspace_id, body["Modules"])})


def find_modules(context: Context, request: Request) -> Response:
    """Return the id of the newest module of each hash that has one."""
    body = request.json_object()
    check_shape(body, {"Hashes": Needed([str])}, "Modules")
    return json_response({"Ids": context.pipelines.modules.keys_of(request.workspace_id, body["Hashes"])})


def get_module(context: Context, request: Request) -> Response:
    return json_response(wire.module(context.pipelines.modules.get(request.workspace_id, request["module"])))


def get_module_by_hash(context: Context, request: Request) -> Response:
    """The newest module with this hash: the SDK then creates no new one, and reports that the step may be reused."""
    found = context.pipelines.modules.find_alias(request.workspace_id, request["hash"])
    if found is None:
        raise NotFound(f"No module with hash {request['hash']} was found.")
    return json_response(wire.module(found))


def add_data_source(context: Context, request: Request) -> Response:
    body = wire.read_data_source(request.json_object())
    datastore = context.datastores.get(request.workspace_id, body["DataStoreName"])
    return json_response(wire.data_source(context.pipelines.add_data_source(request.workspace_id, body), datastore))


def get_data_source(context: Context, request: Request) -> Response:
    found = context.pipelines.data_sources.get(request.workspace_id, request["data_source"])
    datastore = context.datastores.get(request.workspace_id, found.body["DataStoreName"])
    return json_response(wire.data_source(found, datastore))


def get_data_source_by_hash(context: Context, request: Request) -> Response:
    found = context.pipelines.data_sources.find_alias(request.workspace_id, request["hash"])
    if found is None:
        raise NotFound(f"No data source with hash {request['hash']} was found.")
    datastore = context.datastores.get(request.workspace_id, found.body["DataStoreName"])
    return json_response(wire.data_source(found, datastore))


def get_graph(context: Context, request: Request) -> Response:
    return json_response(wire.graph(context.pipelines.graphs.get(request.workspace_id, request["graph"])))


def get_graph_interface(context: Context, request: Request) -> Response:
    return json_response(context.pipelines.graphs.get(request.workspace_id, request["graph"]).body["interface"])


def create_run(context: Context, request: Request) -> Response:
    """Store a graph and a run of it; `submit_run` starts it."""
    creation, graph_body, interface = wire.read_creation(request.json_object())
    name = request.query.get("experimentname") or creation.get("RunHistoryExperimentName") or ""
    graph = read_graph(graph_body)
    graph.check()
    asked = wire.read_asked(creation, name)
    values = over(Forms().defaults(interface), asked.values)
    plan = Planner(context.pipelines).plan(request.workspace_id, graph_body, values)
    context.pipeline_executor.check(request.workspace_id, plan)
    document = context.pipelines.add_graph(request.workspace_id, graph_body, interface)
    fault_point("pipelines.graph-stored")
    record, run = context.submissions.add(
        request.workspace_id,
        asked,
        graph_id=document.key,
        assigned=values,
        total_steps=len(graph.steps),
        continue_on_failure=bool(asked.continue_on_failure),
    )
    return json_response(wire.pipeline_run(record, run))


def submit_run(context: Context, request: Request) -> Response:
    context.note_client(request.identity, request.workspace_id, request["pipeline_run"])
    context.pipeline_executor.submit(request.workspace_id, request["pipeline_run"])
    return empty()


def get_run(context: Context, request: Request) -> Response:
    record, run = _find(context, request)
    return json_response(wire.pipeline_run(record, run))


def cancel_run(context: Context, request: Request) -> Response:
    """Cancel a run; one that has ended stays as it is."""
    _find(context, request)
    context.pipeline_executor.cancel(request.workspace_id, request["run_id"])
    return empty()


def get_all_status(context: Context, request: Request) -> Response:
    """The state of every node."""
    words = _states(context, request)
    return json_response(
        {node: wire.task_status(word, run, _origin(context, run)) for node, (word, run) in words.items()}
    )


def get_all_status_codes(context: Context, request: Request) -> Response:
    return json_response({node: word for node, (word, _) in _states(context, request).items()})


def get_status(context: Context, request: Request) -> Response:
    word, run = _state(context, request)
    return json_response(wire.task_status(word, run, _origin(context, run)))


def get_status_code(context: Context, request: Request) -> Response:
    return json_response(_state(context, request)[0])


def get_stdout(context: Context, request: Request) -> Response:
    return _log(context, request, STEP_LOG)


def get_stderr(context: Context, request: Request) -> Response:
    return _log(context, request, ERROR_LOG)


def get_job_log(context: Context, request: Request) -> Response:
    return _log(context, request, EXECUTION_LOG)


def get_outputs(context: Context, request: Request) -> Response:
    """Where the outputs of a step are, once it has a run."""
    record, _ = _find(context, request)
    node = wire.read_node(request.json())
    run_id = context.pipelines.step(request.workspace_id, record.run_id, node)
    outputs = _outputs(context, request, _graph(context, record), node) if run_id else ()
    return json_response({output.name: _node_output(context, request, output, run_id or "") for output in outputs})


def get_run_output(context: Context, request: Request) -> Response:
    """Where an output of the whole pipeline is (PipelineData with a pipeline_output_name)."""
    record, _ = _find(context, request)
    graph = _graph(context, record)
    port = graph.outputs.get(request["output"])
    if port is None:
        known = ", ".join(sorted(graph.outputs)) or "none"
        raise NotFound(f"Pipeline run {record.run_id} has no output {request['output']!r}; its outputs: {known}.")
    return json_response(_output_at(context, request, graph, port))


def _output_at(context: Context, request: Request, graph: SentGraph, port: Port) -> JSON:
    run_id = context.pipelines.step(request.workspace_id, request["run_id"], port.node)
    if run_id is None:
        raise NotFound(f"The step that makes output {request['output']!r} has not run.")
    outputs = {output.name: output for output in _outputs(context, request, graph, port.node)}
    return _node_output(context, request, outputs[port.name], run_id)


def _find(context: Context, request: Request) -> tuple[PipelineRun, Run]:
    record = context.pipelines.run(request.workspace_id, request["run_id"])
    return record, context.runs.get(request.workspace_id, record.run_id)


def _graph(context: Context, record: PipelineRun) -> SentGraph:
    return read_graph(context.pipelines.graph(record.workspace_id, record.graph_id)[0])


def _states(context: Context, request: Request) -> dict[str, tuple[str, Run | None]]:
    record, pipeline = _find(context, request)
    runs = {run.run_id: run for run in context.runs.children(request.workspace_id, record.run_id)}
    steps = context.pipelines.steps(request.workspace_id, record.run_id)
    found: dict[str, tuple[str, Run | None]] = {}
    for node in _graph(context, record).steps:
        run = runs.get(steps.get(node, ""))
        found[node] = (word_of(run.status), run) if run else (word_of_unstarted(pipeline.status), None)
    return found


def _state(context: Context, request: Request) -> tuple[str, Run | None]:
    record, pipeline = _find(context, request)
    node = wire.read_node(request.json())
    run_id = context.pipelines.step(request.workspace_id, record.run_id, node)
    if run_id:
        run = context.runs.get(request.workspace_id, run_id)
        return word_of(run.status), run
    if node not in _graph(context, record).steps:
        raise NotFound(f"Pipeline run {record.run_id} has no node {node!r}.")
    return word_of_unstarted(pipeline.status), None


def _origin(context: Context, run: Run | None) -> Run | None:
    """The run whose outputs a step's run reuses."""
    reused = run is not None and run.origin_id != run.run_id
    return context.runs.find(run.workspace_id, run.origin_id) if run and reused else None


def _log(context: Context, request: Request, path: str) -> Response:
    """A log of a step in plain text; empty if it does not exist yet."""
    _, run = _state(context, request)
    text = b""
    if run:
        place = of_run(run.run_id)
        artifact = context.artifacts.find(request.workspace, place, path)
        text = context.artifacts.file(request.workspace, artifact).read_bytes() if artifact else b""
    # The SDK decodes it as UTF-8, strictly.
    content = text.decode("utf-8", "replace").encode()
    return Response(content, media_type="text/plain; charset=utf-8")


def _outputs(context: Context, request: Request, graph: SentGraph, node: str) -> tuple[JobOutput, ...]:
    return Planner(context.pipelines).outputs(request.workspace_id, graph.steps[node])


def _node_output(context: Context, request: Request, output: JobOutput, run_id: str) -> JSON:
    datastore = context.datastores.get(request.workspace_id, output.datastore)
    run = context.runs.get(request.workspace_id, run_id)
    return wire.node_output(datastore, output.path_of(run.origin_id))
