"""JSON of models and assets (Model, Asset of azureml/_restclient/models)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.models import JSON
from azureml_wrapper.local.http.messages import object_list, string_map
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


def model(record: Model) -> JSON:
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


def page(found: Page[Model], address: str) -> JSON:
    """The last page has no `nextLink`, of which the SDK reads only `$skipToken`."""
    answer: JSON = {"value": [model(record) for record in found.items]}
    if found.continuation:
        answer["nextLink"] = f"{address}?$skipToken={quote(found.continuation)}"
    return answer


def asset(record: Asset) -> JSON:
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
