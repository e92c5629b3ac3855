"""Operations on published pipelines, and their runs."""

from __future__ import annotations

from dataclasses import replace

from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.pipelines import ACTIVE, PublishedPipeline, Submission
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.pipelines import publishedwire, wire
from azureml_wrapper.local.services.pipelines.graphwire import read_graph
from azureml_wrapper.local.services.pipelines.planning import Planner
from azureml_wrapper.local.store.documents import Document

SERVICE = "/pipelines/v1.0"


def publish(context: Context, request: Request) -> Response:
    """Store a graph under an id by which it can be run. Nothing runs yet."""
    body = request.json_object()
    graph_body, interface = publishedwire.read_publication(body)
    graph = read_graph(graph_body)
    graph.check()
    document = context.pipelines.add_graph(request.workspace_id, graph_body, interface)
    fault_point("publishing.graph-stored")
    published = publishedwire.read_published(
        body, pipeline_id=context.ids.guid(), graph_id=document.key, total_steps=len(graph.steps)
    )
    return _answer(context, request, context.published.add(request.workspace_id, published))


def get_published(context: Context, request: Request) -> Response:
    return _answer(context, request, context.published.document(request.workspace_id, request["pipeline"]))


def list_published(context: Context, request: Request) -> Response:
    """Published pipelines, newest first."""
    found = context.published.all(request.workspace_id, active_only=is_active_only(request))
    return json_response([entity(context, request, document) for document in found])


def set_status(context: Context, request: Request) -> Response:
    """Enable or disable a pipeline; a `Conflict` while an enabled schedule runs it."""
    published = context.published.pipeline(request.workspace_id, request["pipeline"])
    status = publishedwire.read_status(request.json())
    every = context.schedules.of_pipeline(request.workspace_id, published.pipeline_id)
    active = [f"{item.name} ({item.schedule_id})" for item in every if item.is_active]
    if active and status != ACTIVE:
        raise Conflict(
            f"The published pipeline {published.name} has active schedules: {', '.join(active)}. Schedules must "
            "be disabled before the published pipeline."
        )
    context.published.put(request.workspace_id, replace(published, status=status))
    return empty()


def submit(context: Context, request: Request) -> Response:
    """Run a published pipeline: its REST endpoint."""
    published = context.published.pipeline(request.workspace_id, request["pipeline"])
    return begin(context, request, published)


def list_runs(context: Context, request: Request) -> Response:
    """The runs of a published pipeline, newest first."""
    published = context.published.pipeline(request.workspace_id, request["pipeline"])
    found = context.pipelines.runs_of_pipeline(request.workspace_id, published.pipeline_id)
    return json_response(
        [wire.pipeline_run(item, context.runs.get(request.workspace_id, item.run_id)) for item in found]
    )


def begin(context: Context, request: Request, published: PublishedPipeline) -> Response:
    """Run a pipeline as the request asks."""
    published.check_active()
    asked = replace(publishedwire.read_submission(request.json_object()), pipeline_id=published.pipeline_id)
    asked = replace(asked, parent_id=_parent(context, request))
    _check(context, request, published, asked)
    record, run = context.submissions.add_published(request.workspace_id, published, asked)
    with context.beginning(request.workspace_id, record.run_id):
        fault_point("publishing.run-stored")
        context.note_client(request.identity, request.workspace_id, record.run_id)
        context.pipeline_executor.submit(request.workspace_id, record.run_id)
    return json_response(wire.pipeline_run(record, run))


def entity(context: Context, request: Request, document: Document) -> JSON:
    path = f"/PipelineRuns/PipelineSubmit/{document.key}"
    return publishedwire.published(document, context.addresses.service(SERVICE, request.workspace) + path)


def is_active_only(request: Request) -> bool:
    return (request.query.get("activeonly") or "true").lower() != "false"


def _answer(context: Context, request: Request, document: Document) -> Response:
    return json_response(entity(context, request, document))


def _parent(context: Context, request: Request) -> str | None:
    """The parent of the new run; a run's token may only name a run of its own family."""
    parent = request.query.get("parentrunid")
    if not parent or parent == "None":
        return None
    context.guard_run(request.identity, request.workspace_id, parent)
    return context.runs.get(request.workspace_id, parent).run_id


def _check(context: Context, request: Request, published: PublishedPipeline, asked: Submission) -> None:
    """Raise a fault for a request that is known to fail, before anything is stored."""
    values = context.submissions.values(request.workspace_id, published, asked.values)
    plan = Planner(context.pipelines).stored(request.workspace_id, published.graph_id, values)
    context.pipeline_executor.check(request.workspace_id, plan)
