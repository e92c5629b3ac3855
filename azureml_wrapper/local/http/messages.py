"""Requests and responses, as handlers see them: JSON bodies and their parts, and Azure ML's error response."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from starlette.responses import JSONResponse, Response, StreamingResponse

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid, ServiceFault
from azureml_wrapper.local.domain.shapes import JSON, read_json
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.tokens import Identity

CHUNK = 1024 * 1024
# The pipeline service uses PascalCase in errors, too; otherwise the SDK shows only the status code.
CAPITALIZED = ("pipelines",)
# Status codes → MLflow's error codes (mlflow/protos/databricks.proto): only those that mlflow 1.30 knows, because its
# `log_model` raises for any other one instead of warning.
_MLFLOW_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "CUSTOMER_UNAUTHORIZED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    501: "ENDPOINT_NOT_FOUND",
}

__all__ = ["Request", "Response", "empty", "file_response", "json_response"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, with its whole body.

    `parameters` are the named parts of the path, percent-decoded. Keys of `query` and `headers` are lowercase. If the
    route has `streams=True`, the body is in the file `body_file` instead of `body`. The file is deleted after the
    response unless the handler has moved it.
    """

    method: str
    path: str
    raw_path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    body_file: Path | None = None
    identity: Identity = field(default_factory=Identity)
    scope_workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """The workspace in the path; it exists."""
        if self.scope_workspace is None:
            raise Invalid(f"The path {self.path} contains no workspace.")
        return self.scope_workspace

    @property
    def workspace_id(self) -> str:
        return self.workspace.workspace_id

    def json(self, *, finite: bool = True, bounded: bool = True) -> Any:
        """The body as JSON; raise `Invalid` if it is not valid JSON."""
        return read_json(self.body, f"The body of {self.method} {self.path}", finite=finite, bounded=bounded)

    def json_object(self, *, finite: bool = True, bounded: bool = True) -> dict[str, Any]:
        """The body as a JSON object, empty without a body; raise `Invalid` if it is anything else."""
        value = self.json(finite=finite, bounded=bounded)
        if value is not None and not isinstance(value, dict):
            raise Invalid(f"The body of {self.method} {self.path} must be a JSON object.")
        return value or {}

    def __getitem__(self, name: str) -> str:
        """A named part of the path: `request["run_id"]`."""
        return self.parameters[name]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return JSONResponse(value, status, headers=headers)


def empty(status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response without a body."""
    return Response(b"", status, headers=headers)


def file_response(
    path: Path, *, start: int = 0, length: int, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`length` bytes of a file from `start`, read while they are sent."""
    all_headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream", **(headers or {})}
    # Opened now, so that the response stays intact if the file is deleted or replaced in the meantime.
    return StreamingResponse(_read(path.open("rb"), start, length), status, headers=all_headers)


def _read(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


def error_response(fault: ServiceFault, at: datetime, component: str = "local") -> Response:
    """A fault as JSON. `details` must be a list, because the SDK's printing breaks on null."""
    body: dict[str, Any] = {
        "error": {
            "code": fault.code,
            "severity": None,
            "message": fault.message,
            "messageFormat": None,
            "messageParameters": None,
            "referenceCode": None,
            "detailsUri": None,
            "target": None,
            "details": [],
            "innerError": {"code": fault.inner_code, "innerError": None} if fault.inner_code else None,
            "debugInfo": None,
            "additionalInfo": None,
        },
        "correlation": {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)},
        "environment": "local",
        "location": "local",
        "time": offset_time(at),
        "componentName": component,
    }
    if component == "mlflow":
        # What MLflow reads if the status is not 200 (mlflow/exceptions.py, RestException).
        body |= {"error_code": _MLFLOW_CODES.get(fault.status, "INTERNAL_ERROR"), "message": fault.message}
    if component == "hyperdrive":
        # The SDK shows this message only (azureml/train/restclients/hyperdrive/models/error_response.py).
        body |= {"code": fault.status, "message": fault.message}
    if component == "modelmanagement":
        # An older form, in which the SDK looks for a 404 (azureml/_restclient/models/model_error_response.py).
        body |= {"code": fault.code, "statusCode": fault.status, "message": fault.message, "details": []}
        body["correlation"] = {"RequestId": body["correlation"]["request"]}
    content = _capitalized(body) if component in CAPITALIZED else body
    return JSONResponse(content, fault.status, headers={"x-ms-response-type": "error"})


def _capitalized(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key[:1].upper() + key[1:]: _capitalized(item) for key, item in value.items()}


def string_map(body: JSON, name: str) -> dict[str, str]:
    """An object with string values, such as tags; values may be null. Empty if it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict) or not all(item is None or isinstance(item, str) for item in value.values()):
        raise Invalid(f"{name} must be an object with string values.")
    return value


def string_list(value: Any, name: str) -> list[str]:
    """A list of strings; empty if it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, str) for item in value or []):
        raise Invalid(f"{name} must be a list of strings.")
    return value or []


def object_list(value: Any, name: str, limit: int | None = None) -> list[JSON]:
    """A list of at most `limit` objects; empty if it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, dict) for item in value or []):
        raise Invalid(f"{name} must be a list of objects.")
    if limit is not None and len(value or []) > limit:
        raise Invalid(f"{name} has {len(value)} items; at most {limit} are allowed in one request.")
    return value or []


def string(body: JSON, name: str) -> str | None:
    """A string; None if it is missing."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name} must be a string.")
    return value


def json_object(body: JSON, name: str) -> JSON:
    """An object; empty if it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object.")
    return value
