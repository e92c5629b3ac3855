"""JSON of runs (RunDto, CreateRunDto, RunDetailsDto, QueryParamsDto of azureml/_restclient/models)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.clock import azure_time
from azureml_wrapper.local.domain.errors import Invalid, ServiceFault
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.odata import Order, parse_filter, parse_order
from azureml_wrapper.local.domain.runs import EXTRA_FIELDS, JSON, Run, RunPatch, RunStatus, without_logins
from azureml_wrapper.local.http.messages import json_object, object_list, string, string_map
from azureml_wrapper.local.store.query import Page, Query
from azureml_wrapper.local.tokens import TENANT, USER

NEWEST_FIRST = Order("starttimeutc", descending=True)
# The time in a run's own error, in every output of Azure that was looked at.
NO_TIME = "0001-01-01T00:00:00.000Z"

# CreateRunDto → Run. Tags, properties, datasets and status follow their own rules.
_PLAIN_FIELDS = {
    "name": "name",
    "displayName": "display_name",
    "description": "description",
    "hidden": "hidden",
    "target": "target",
    "scriptName": "script",
    "runType": "run_type",
    "runTypeV2": "run_type_v2",
}


# The SDK sends its user's token to these addresses, so a script must not set them.
_ADDRESSES = ("cancelUri", "diagnosticsUri", "completeUri")


def run(record: Run) -> JSON:
    """A run as every operation except `details` returns it."""
    return {
        **_identity(record),
        "status": record.status.value,
        "createdUtc": azure_time(record.created),
        "startTimeUtc": azure_time(record.started),
        "endTimeUtc": azure_time(record.ended),
        "createdBy": {"userObjectId": USER, "userTenantId": TENANT, "userName": record.submitted_by or "local"},
        "userId": USER,
        "token": None,
        "tokenExpiryTimeUtc": None,
        # With heartbeats, the SDK's context manager would send them, and nothing here needs them.
        "heartbeatEnabled": record.heartbeat,
        "hidden": record.hidden,
        "runType": record.run_type,
        "runTypeV2": record.run_type_v2 or {"orchestrator": None, "traits": []},
        "properties": record.properties,
        "tags": record.tags,
        "scriptName": record.script,
        "target": record.target,
        "runDefinition": None,
        "cancelUri": record.cancel_uri,
        "completeUri": None,
        "diagnosticsUri": None,
        "error": record.error,
        "warnings": record.warnings,
        "inputDatasets": record.input_datasets,
        "outputDatasets": record.output_datasets,
        **{name: record.extra.get(name) for name in EXTRA_FIELDS},
    }


def _identity(record: Run) -> JSON:
    return {
        "runNumber": record.number,
        "rootRunId": record.root_id,
        "experimentId": record.experiment_id,
        "runId": record.run_id,
        "parentRunId": record.parent_id,
        "name": record.name,
        "displayName": record.display_name,
        "description": record.description,
        "dataContainerId": record.container_id,
        "runUuid": record.uuid or None,
        "rootRunUuid": None,
        "parentRunUuid": None,
    }


def details(record: Run, definition: JSON | None, log_files: Mapping[str, str]) -> JSON:
    """What `get_details()` shows, in Azure's order; the SDK omits null values."""
    return {
        "runId": record.run_id,
        "target": record.target,
        "status": record.status.value,
        "startTimeUtc": azure_time(record.started),
        "endTimeUtc": azure_time(record.ended),
        "services": {},
        "error": record.error,
        # An empty list would be shown as `warnings: []`, which Azure never does.
        "warnings": record.warnings or None,
        "properties": record.properties,
        "inputDatasets": record.input_datasets,
        "outputDatasets": record.output_datasets,
        "runDefinition": definition,
        "logFiles": dict(log_files),
        "submittedBy": record.submitted_by or "local",
    }


def page(found: Page[Run]) -> JSON:
    return {"value": [run(item) for item in found.items], "continuationToken": found.continuation}


def token(minted: str, expires: datetime) -> JSON:
    return {"token": minted, "expiryTimeUtc": azure_time(expires)}


def counts(by_status: Mapping[str, int]) -> JSON:
    """The number of runs for every status, in lower camel case."""
    return {status.value[0].lower() + status.value[1:]: by_status.get(status.value, 0) for status in RunStatus}


def fault(error: ServiceFault) -> JSON:
    """The fault of one item in the response to a batch."""
    return {"error": {"code": error.code, "message": error.message, "details": []}}


def read_patch(body: JSON) -> RunPatch:
    for name in _ADDRESSES:
        if body.get(name):
            raise Invalid(f"Clients cannot set {name}; the service that runs the job does.")
    fields = {ours: _plain(body, theirs) for theirs, ours in _PLAIN_FIELDS.items() if body.get(theirs) is not None}
    return RunPatch(
        parent_id=string(body, "parentRunId"),
        status=read_status(body["status"]) if body.get("status") else None,
        tags=string_map(body, "tags"),
        properties=without_logins(string_map(body, "properties")),
        input_datasets=object_list(body.get("inputDatasets"), "inputDatasets"),
        output_datasets=object_list(body.get("outputDatasets"), "outputDatasets"),
        extra={name: body[name] for name in EXTRA_FIELDS if body.get(name) is not None},
        definition=json_object(body, "runDefinition") if body.get("runDefinition") is not None else None,
        fields=fields,
    )


def _plain(body: JSON, name: str) -> Any:
    if name == "runTypeV2":
        return json_object(body, name)
    return bool(body[name]) if name == "hidden" else string(body, name)


def read_status(status: str) -> RunStatus:
    try:
        return RunStatus(status)
    except ValueError as error:
        allowed = ", ".join(status.value for status in RunStatus)
        raise Invalid(f"Unknown run status {status!r}: allowed are {allowed}.") from error


def read_query(body: JSON) -> Query:
    """QueryParamsDto, or the query parameters of a GET without their `$`."""
    top = body.get("top")
    return Query(
        filter=parse_filter(string(body, "filter")),
        order=parse_order(string(body, "orderby"), NEWEST_FIRST),
        top=int(top) if top is not None and is_number(str(top)) else None,
        after=string(body, "continuationToken") or string(body, "continuationtoken"),
    )


def read_error(response: JSON, limit: int) -> JSON:
    """The error that `run.fail(error_details=…)` posts, as Azure shows it."""
    given = json_object(response, "error")
    error = {key: value for key, value in given.items() if value is not None}
    error["message"] = (string(error, "message") or "")[:limit]
    return {"error": {"messageParameters": {}, **error, "details": given.get("details") or []}, "time": NO_TIME}
