"""JSON of artifacts (ArtifactDto, ArtifactContentInformationDto of azureml/_restclient/models)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.storage import DATASTORE, Artifact, Place
from azureml_wrapper.local.store.query import Page

JSON = dict[str, Any]


def artifact(record: Artifact) -> JSON:
    return {**announced(record.place, record.path, offset_time(record.created)), "etag": record.etag}


def announced(place: Place, path: str, created: str | None) -> JSON:
    """An artifact whose content is yet to be uploaded."""
    return {
        "artifactId": place.name(path),
        "origin": place.origin,
        "container": place.container,
        "path": path,
        "etag": None,
        "createdTime": created,
        "dataPath": {"dataStoreName": DATASTORE, "relativePath": place.name(path), "sqlDataPath": None},
        "tags": {},
    }


def content(place: Place, path: str, address: str) -> JSON:
    """The address to download the content from, or to upload it to."""
    return {
        "contentUri": address,
        "origin": place.origin,
        "container": place.container,
        "path": path,
        "tags": {},
    }


def page(found: Page[Artifact], item: Callable[[Artifact], JSON] = artifact) -> JSON:
    return {"value": [item(record) for record in found.items], "continuationToken": found.continuation}


def fault(error: ServiceFault) -> JSON:
    """Why one file of a batch was refused. The SDK prints `code: message`."""
    return {"error": {"code": error.code, "message": error.message, "details": []}}
