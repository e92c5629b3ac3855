"""JSON of secrets (azureml/_restclient/models/credential_dto.py, credential_batch_dto.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.workspaces import Secret

JSON = dict[str, Any]

_SECRET = {"name": Needed(str), "contentType": str}


@dataclass(frozen=True)
class Given:
    """A secret as a client names or sets it; `repr` does not show its value."""

    name: str
    value: Any
    content_type: str | None

    def __repr__(self) -> str:
        return f"Given({self.name!r})"


def parse_secret(body: Any) -> Given:
    check_shape(body, Needed(_SECRET), "Secret")
    return Given(body["name"], body.get("value"), body.get("contentType"))


def parse_batch(body: JSON) -> list[Given]:
    check_shape(body, {"secrets": [dict]}, "Body")
    return [parse_secret(item) for item in body.get("secrets") or []]


def secret(record: Secret) -> JSON:
    return {
        "name": record.name,
        "value": record.value,
        "contentType": record.content_type,
        "createdTime": offset_time(record.created),
        "modifiedTime": offset_time(record.modified),
    }


def batch(found: list[Secret], missing: list[str]) -> JSON:
    return {"secrets": [secret(record) for record in found], "notFoundSecrets": missing}
