"""Azure ML's error answer (shape seen in saved outputs of real runs; see docs/assumptions.md)."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import ServiceFault

# The pipeline service writes its keys in PascalCase, in errors too; else the SDK shows the number of the status only.
CAPITALIZED = ("pipelines",)
# Statuses → MLflow's words for them (mlflow/protos/databricks.proto).
_MLFLOW_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    501: "NOT_IMPLEMENTED",
}


def error_response(fault: ServiceFault, at: datetime, component: str = "local") -> Response:
    """The fault as the service's JSON envelope. `details` must be a list: the SDK's printing breaks on null."""
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
        # What MLflow reads of an answer that is not 200 (mlflow/exceptions.py, RestException).
        body |= {"error_code": _MLFLOW_CODES.get(fault.status, "INTERNAL_ERROR"), "message": fault.message}
    if component == "hyperdrive":
        # The SDK shows no other message (azureml/train/restclients/hyperdrive/models/error_response.py).
        body |= {"code": fault.status, "message": fault.message}
    if component == "modelmanagement":
        # An older form; the SDK looks for a 404 in it (azureml/_restclient/models/model_error_response.py).
        body |= {"code": fault.code, "statusCode": fault.status, "message": fault.message, "details": []}
        body["correlation"] = {"RequestId": body["correlation"]["request"]}
    content = _capitalized(body) if component in CAPITALIZED else body
    return JSONResponse(content, fault.status, headers={"x-ms-response-type": "error"})


def _capitalized(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key[:1].upper() + key[1:]: _capitalized(item) for key, item in value.items()}
