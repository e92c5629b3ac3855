"""Registered models, and the assets that name their files.

JSON: Model, Asset of azureml/_restclient/models.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from azureml_wrapper.local.domain.errors import Forbidden, Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.models import JSON, split_model_id
from azureml_wrapper.local.domain.models import patch_model as patched
from azureml_wrapper.local.http.messages import (
    Request,
    Response,
    empty,
    json_response,
    object_list,
    string,
    string_map,
)
from azureml_wrapper.local.http.routing import Refusal, Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.models import MAX_PAGE_SIZE, Asset, Model, ModelQuery
from azureml_wrapper.local.store.query import Page
from azureml_wrapper.local.tokens import TENANT, USER

# What a client may set; id, version and times come from the service.
_MODEL_FIELDS = (
    "name",
    "framework",
    "frameworkVersion",
    "datasets",
    "url",
    "mimeType",
    "description",
    "unpack",
    "parentModelId",
    "runId",
    "experimentName",
    "kvTags",
    "properties",
    "sampleInputData",
    "sampleOutputData",
    "resourceRequirements",
)
_ASSET_FIELDS = ("name", "type", "description", "artifacts", "kvTags", "properties", "runid", "meta")
ASSET_URL = "aml://asset/"
# Kept with a model, and never sent: the run whose script registered it.
BY_RUN = "byRun"


def model_json(record: Model) -> JSON:
    return {
        **{name: record.body.get(name) for name in _MODEL_FIELDS},
        # The SDK iterates over these three without a check for null.
        "datasets": record.body.get("datasets") or [],
        "kvTags": record.body.get("kvTags") or {},
        "properties": record.body.get("properties") or {},
        "id": record.model_id,
        "version": record.version,
        "createdTime": record.created,
        "modifiedTime": record.modified,
        "derivedModelIds": [],
        "createdBy": {"userObjectId": USER, "userTenantId": TENANT, "userName": "local"},
    }


def page_json(found: Page[Model], address: str) -> JSON:
    """The last page has no `nextLink`, of which the SDK reads only `$skipToken`."""
    answer: JSON = {"value": [model_json(record) for record in found.items]}
    if found.continuation:
        answer["nextLink"] = f"{address}?$skipToken={quote(found.continuation)}"
    return answer


def asset_json(record: Asset) -> JSON:
    return {
        **{name: record.body.get(name) for name in _ASSET_FIELDS},
        "id": record.asset_id,
        "createdTime": record.created,
    }


def read_model(body: JSON) -> JSON:
    maps = {name: string_map(body, name) for name in ("kvTags", "properties")}
    object_list(body.get("datasets"), "datasets")
    return {name: body[name] for name in _MODEL_FIELDS if body.get(name) is not None} | maps


def read_asset(body: JSON) -> JSON:
    object_list(body.get("artifacts"), "artifacts")
    return {name: body[name] for name in _ASSET_FIELDS if body.get(name) is not None}


def read_query(query: Mapping[str, str]) -> ModelQuery:
    """The query parameters of `Model.list`; `tags` has the form `key=value,key`."""
    count = _number(query, "count") or MAX_PAGE_SIZE
    return ModelQuery(
        name=query.get("name"),
        framework=query.get("framework"),
        run_id=query.get("runid"),
        dataset_id=query.get("datasetid"),
        tags=_pairs(query.get("tags") or query.get("tag")),
        properties=_pairs(query.get("properties")),
        latest_only=query.get("latestversiononly", "").lower() == "true",
        count=max(1, min(count, MAX_PAGE_SIZE)),
        before=_number(query, "$skiptoken"),
    )


def _pairs(text: str | None) -> dict[str, str | None]:
    pairs = (item.partition("=") for item in (text or "").split(",") if item)
    return {key: value if equals else None for key, equals, value in pairs}


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None or text == "":
        return None
    if not is_number(text):
        raise Invalid(f"{name} must be an integer ≥ 0, got {text[:80]!r}.")
    return int(text)


def register_model(context: Context, request: Request) -> Response:
    """Register the next version of a model, whose files an asset lists."""
    body = read_model(request.json_object())
    if request.identity.is_run:
        body[BY_RUN] = request.identity.run_id
    url = string(body, "url") or ""
    if url.startswith(ASSET_URL):
        context.models.get_asset(request.workspace_id, url.removeprefix(ASSET_URL))
    return json_response(model_json(context.models.add(request.workspace_id, string(body, "name") or "", body)))


def list_models(context: Context, request: Request) -> Response:
    found = context.models.page(request.workspace_id, read_query(request.query))
    address = context.addresses.service("/modelmanagement/v1.0", request.workspace) + "/models"
    return json_response(page_json(found, address))


def get_model(context: Context, request: Request) -> Response:
    return json_response(model_json(context.models.get(request.workspace_id, *split_model_id(request["model_id"]))))


def patch_model(context: Context, request: Request) -> Response:
    """Change tags, properties or the description. A run's token may do that to what its family has registered."""
    operations = object_list(request.json(), "The body")
    model_id = split_model_id(request["model_id"])
    if request.identity.is_run:
        _guard_model(context, request, context.models.get(request.workspace_id, *model_id).body)
    changed = context.models.change(request.workspace_id, *model_id, lambda body: patched(body, operations))
    return json_response(model_json(changed))


def _guard_model(context: Context, request: Request, body: JSON) -> None:
    owner = body.get("runId") or body.get(BY_RUN)
    if not owner:
        raise Forbidden(f"The token of run {request.identity.run_id} may change the models of its own runs only.")
    context.guard_run(request.identity, request.workspace_id, str(owner))


def delete_model(context: Context, request: Request) -> Response:
    context.models.delete(request.workspace_id, *split_model_id(request["model_id"]))
    return empty()


def create_asset(context: Context, request: Request) -> Response:
    body = read_asset(request.json_object())
    asset_id = context.ids.guid().replace("-", "")
    return json_response(asset_json(context.models.add_asset(request.workspace_id, asset_id, body)))


def get_asset(context: Context, request: Request) -> Response:
    return json_response(asset_json(context.models.get_asset(request.workspace_id, request["asset_id"])))


def list_assets(context: Context, request: Request) -> Response:
    found = context.models.assets(
        request.workspace_id, run_id=request.query.get("runid"), name=request.query.get("name")
    )
    return json_response({"value": [asset_json(asset) for asset in found]})


_ALL = "/modelmanagement/v1.0{workspace_scope}"

ROUTES = (
    Route("POST", f"{_ALL}/models", register_model, runs=Runs.ADD),
    Route("GET", f"{_ALL}/models", list_models),
    Route("GET", f"{_ALL}/models/{{model_id}}", get_model),
    Route("PATCH", f"{_ALL}/models/{{model_id}}", patch_model, runs=Runs.FAMILY),
    Route("DELETE", f"{_ALL}/models/{{model_id}}", delete_model),
    Route("POST", f"{_ALL}/assets", create_asset, runs=Runs.ADD),
    Route("GET", f"{_ALL}/assets", list_assets),
    Route("GET", f"{_ALL}/assets/{{asset_id}}", get_asset),
)

_NO_SERVICES = (
    "Deployment of models ({feature}) is not supported by the local service, which runs no web services. Register "
    "the model here, score with a job or a ParallelRunStep, and deploy it in a workspace in Azure."
)
REFUSED = (
    Refusal(f"{_ALL}/services", _NO_SERVICES.format(feature="Model.deploy, Webservice, Workspace.webservices")),
    Refusal(f"{_ALL}/images", _NO_SERVICES.format(feature="Image, Workspace.images")),
    Refusal(f"{_ALL}/packages", _NO_SERVICES.format(feature="Model.package")),
    Refusal(f"{_ALL}/profiles", _NO_SERVICES.format(feature="Model.profile")),
)
