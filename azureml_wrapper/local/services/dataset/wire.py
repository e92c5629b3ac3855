"""JSON of the dataset service (models: DatasetDto, DatasetDefinitionDto, SavedDatasetDto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.datasets import DatasetKind, DatasetVersion, SavedDataset
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.shapes import Needed, check_shape

_DATASET = {
    "name": str,
    "description": str,
    "tags": dict,
    "latest": {"savedDatasetId": str, "versionId": str, "dataflow": str, "properties": dict},
}
_SAVED = {"dataflowJson": str, "properties": dict}
_ACTIVE = {"state": "active", "deprecatedBy": None, "etag": None}


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a dataset, as a client sends it."""

    kind: DatasetKind
    definition: str
    properties: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Registration(Content):
    """A dataset that a client registers, and its name."""

    name: str
    saved_id: str | None
    description: str | None
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Description:
    """Description and tags of a version, as a client sends them."""

    version: int | None
    description: str | None
    tags: dict[str, str]


def dataset(version: DatasetVersion) -> dict[str, Any]:
    """A registered dataset; its `latest` is the requested version."""
    return {
        "datasetId": version.dataset_id,
        "datasetState": _ACTIVE,
        "latest": definition(version),
        "createdTime": offset_time(version.created),
        "modifiedTime": offset_time(version.modified),
        "etag": _etag(version),
        "name": version.name,
        "description": version.description,
        "tags": version.tags,
        "isVisible": True,
        "defaultCompute": None,
        "datasetType": version.saved.kind.value,
    }


def definition(version: DatasetVersion) -> dict[str, Any]:
    """One version of a registered dataset."""
    return {
        "datasetId": version.dataset_id,
        "versionId": str(version.version),
        "datasetDefinitionState": _ACTIVE,
        "dataflow": version.saved.definition,
        "properties": version.saved.properties,
        "createdTime": offset_time(version.created),
        "modifiedTime": offset_time(version.modified),
        "etag": _etag(version),
        "savedDatasetId": version.saved.saved_id,
    }


def saved(record: SavedDataset) -> dict[str, Any]:
    """A saved dataset."""
    return {
        "id": record.saved_id,
        "datasetType": record.kind.value,
        "properties": record.properties,
        "dataflowJson": record.definition,
        "dataChanged": False,
    }


def data_version(record: SavedDataset, name: str, version: str) -> dict[str, Any]:
    """A saved dataset as the data service shows it; the SDK reads only `legacyDataflow`."""
    return {
        "entityMetadata": {"createdTime": offset_time(record.created)},
        "dataVersion": {"dataContainerName": name, "versionId": version, "dataType": "MLTable", "dataUri": None},
        "legacySavedDatasetId": record.saved_id,
        "legacyDatasetType": record.kind.value,
        "legacyDataflowType": "Json",
        "legacyDataflow": record.dataflow,
        "legacyProperties": record.properties,
    }


def read_registration(body: object) -> Registration:
    given = _checked(body, _DATASET)
    latest = _mapping(given.get("latest"), "latest")
    return Registration(
        name=str(given.get("name") or ""),
        saved_id=latest.get("savedDatasetId"),
        description=given.get("description"),
        tags=_tags(given),
        kind=_kind(given),
        definition=latest.get("dataflow") or "",
        properties=latest.get("properties") or {},
    )


def read_saved(body: object) -> Content:
    given = _checked(body, _SAVED)
    return Content(
        kind=_kind(given),
        definition=given.get("dataflowJson") or "",
        properties=given.get("properties") or {},
    )


def read_description(body: object) -> Description:
    given = _checked(body, _DATASET)
    latest = given.get("latest") or {}
    return Description(
        version=read_version(latest.get("versionId")), description=given.get("description"), tags=_tags(given)
    )


def read_version(text: str | None) -> int | None:
    """A version's number; None (and the string "None", which the SDK sends) means the latest."""
    if text in (None, "", "None", "latest"):
        return None
    if not text or not is_number(text):
        raise Invalid(f"Invalid dataset version {text!r}: expected an integer ≥ 0.")
    return int(text)


def _kind(given: Mapping[str, Any]) -> DatasetKind:
    try:
        return DatasetKind(given.get("datasetType"))
    except ValueError as error:
        allowed = ", ".join(repr(kind.value) for kind in DatasetKind)
        raise Invalid(f"Invalid datasetType {given.get('datasetType')!r}: allowed are {allowed}.") from error


def _tags(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in (given.get("tags") or {}).items()}


def _checked(body: object, shape: Mapping[str, Any]) -> Mapping[str, Any]:
    check_shape(body, Needed(shape), "Dataset")
    return _mapping(body, "dataset")


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid(f"{name} is required.")
    return value


def _etag(version: DatasetVersion) -> str:
    return f'"{int(version.modified.timestamp() * 1_000_000):x}"'
