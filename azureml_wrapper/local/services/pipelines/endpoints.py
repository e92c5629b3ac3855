"""Operations on pipeline endpoints: names for several versions of a published pipeline."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.pipelines import ACTIVE
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.pipelines import published, publishedwire
from azureml_wrapper.local.store.documents import Document


def create(context: Context, request: Request) -> Response:
    """An endpoint whose first version is a published pipeline."""
    endpoint = publishedwire.read_new_endpoint(request.json_object(), context.ids.guid())
    return _answer(context, request, context.published.add_endpoint(request.workspace_id, endpoint))


def get(context: Context, request: Request) -> Response:
    return _answer(context, request, context.published.endpoint_document(request.workspace_id, request["endpoint"]))


def get_by_name(context: Context, request: Request) -> Response:
    """The active endpoint of a name."""
    return _answer(context, request, _by_name(context, request))


def list_endpoints(context: Context, request: Request) -> Response:
    """Endpoints, newest first; the SDK's `max_results` is the header BatchSize."""
    found = context.published.endpoints(
        request.workspace_id, active_only=published.is_active_only(request), limit=_limit(request)
    )
    return json_response([_entity(context, request, document) for document in found])


def put(context: Context, request: Request) -> Response:
    """Change an endpoint: its name, status, versions or default. A `Conflict` if an enabled schedule runs it."""
    before = context.published.endpoint(request.workspace_id, request["endpoint"])
    endpoint = publishedwire.read_endpoint_entity(request.json_object(), before.endpoint_id)
    if endpoint.status != ACTIVE:
        _check_schedules(context, request)
    return _answer(context, request, context.published.put_endpoint(request.workspace_id, endpoint))


def list_pipelines(context: Context, request: Request) -> Response:
    """The published pipelines of an endpoint, oldest version first."""
    endpoint = context.published.endpoint(request.workspace_id, request["endpoint"])
    found = [context.published.document(request.workspace_id, item) for item in endpoint.versions.values()]
    chosen = [item for item in found if not published.is_active_only(request) or item.body["status"] == ACTIVE]
    return json_response([published.entity(context, request, document) for document in chosen])


def submit(context: Context, request: Request) -> Response:
    """Run the default or the given version of an endpoint: its REST endpoint."""
    return _submit(context, request, request["endpoint"])


def submit_by_name(context: Context, request: Request) -> Response:
    """Run a version of the active endpoint of a name."""
    return _submit(context, request, _by_name(context, request).key)


def _submit(context: Context, request: Request, endpoint_id: str) -> Response:
    endpoint = context.published.endpoint(request.workspace_id, endpoint_id)
    # The SDK names the version at the end of the path and in the query.
    version = request.parameters.get("version") or request.query.get("pipelineversion")
    pipeline_id = endpoint.pipeline_id(version)
    return published.begin(context, request, context.published.pipeline(request.workspace_id, pipeline_id))


def _check_schedules(context: Context, request: Request) -> None:
    every = context.schedules.of_endpoint(request.workspace_id, request["endpoint"])
    if names := [f"{item.name} ({item.schedule_id})" for item in every if item.is_active]:
        raise Conflict(f"The endpoint has active schedules: {', '.join(names)}. Disable them before the endpoint.")


def _by_name(context: Context, request: Request) -> Document:
    return context.published.endpoint_by_name(request.workspace_id, request.query.get("name") or "")


def _limit(request: Request) -> int | None:
    size = request.headers.get("batchsize")
    if size is not None and not is_number(size):
        raise Invalid(f"BatchSize must be an integer, got {size!r}.")
    return int(size) if size else None


def _entity(context: Context, request: Request, document: Document) -> JSON:
    path = f"/PipelineRuns/PipelineEndpointSubmit/Id/{document.key}"
    return publishedwire.endpoint(document, context.addresses.service(published.SERVICE, request.workspace) + path)


def _answer(context: Context, request: Request, document: Document) -> Response:
    return json_response(_entity(context, request, document))
