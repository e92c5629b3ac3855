"""Azure ML's error answer (shape seen in saved outputs of real runs; see docs/assumptions.md)."""

from __future__ import annotations

import secrets
from datetime import datetime

from starlette.responses import JSONResponse, Response

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import ServiceFault


def error_response(fault: ServiceFault, at: datetime, component: str = "local") -> Response:
    """The fault as the service's JSON envelope. `details` must be a list: the SDK's printing breaks on null."""
    body = {
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
    return JSONResponse(body, fault.status, headers={"x-ms-response-type": "error"})
