"""Publications, endpoints and schedules in the SDK's words (azureml/pipeline/core/_restclients/aeva/models)."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.graphs import ASSIGNMENTS, check_interface
from azureml_wrapper.local.domain.published import (
    ACTIVE,
    DISABLED,
    PipelineEndpoint,
    PublishedPipeline,
    check_status,
    read_values,
)
from azureml_wrapper.local.domain.schedules import Schedule
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.services.pipelines.wire import COMPLETED, entity
from azureml_wrapper.local.store.documents import Document
from azureml_wrapper.local.store.published import read_endpoint, read_pipeline

JSON = dict[str, Any]

_PUBLICATION = {
    **ASSIGNMENTS,
    "ParameterAssignments": dict,
    "Name": Needed(str),
    "Version": str,
    "Graph": Needed(dict),
    "ContinueRunOnStepFailure": bool,
    "EnableNotification": bool,
}
_VERSION = {"Version": Needed(str), "PipelineId": Needed(str)}
_ENDPOINT = {
    "Name": Needed(str),
    "Description": str,
    "DefaultVersion": Needed(str),
    "PipelineVersionList": Needed([_VERSION]),
    "EntityStatus": str,
    "Properties": dict,
    "tags": dict,
}
# The SDK sends a schedule's status back as it got it, or as a word.
_NUMBERED = {"0": "Active", "1": "Deprecated", "2": "Disabled"}


def read_publication(body: JSON) -> tuple[JSON, JSON]:
    """Graph and interface of a PipelineCreationInfo, of which the rest is read by `published`."""
    check_shape(body, _PUBLICATION, "The body")
    return body["Graph"], check_interface(body.get("GraphInterface") or {})


def read_published(body: JSON, *, pipeline_id: str, graph_id: str, total_steps: int) -> PublishedPipeline:
    """A published pipeline from a PipelineCreationInfo that `read_publication` has checked."""
    return PublishedPipeline(
        pipeline_id=pipeline_id,
        graph_id=graph_id,
        name=body["Name"],
        description=body.get("Description"),
        version=body.get("Version"),
        total_steps=total_steps,
        continue_on_failure=bool(body.get("ContinueRunOnStepFailure")),
        notifies=body.get("EnableNotification"),
        values=read_values(body),
        properties=body.get("Properties") or {},
        tags=body.get("tags") or {},
    )


def published(document: Document, address: str) -> JSON:
    """A PipelineEntity; `address` is where a run of it is asked for."""
    pipeline = read_pipeline(document)
    return {
        **entity(document),
        "Name": pipeline.name,
        "Description": pipeline.description,
        "Version": pipeline.version,
        "GraphId": pipeline.graph_id,
        "TotalRunSteps": pipeline.total_steps,
        "ParameterAssignments": dict(pipeline.values.parameters),
        "DataSetDefinitionValueAssignments": dict(pipeline.values.datasets),
        "Url": address,
        "EntityStatus": pipeline.status,
        "ContinueRunOnStepFailure": pipeline.continue_on_failure,
        "EnableNotification": pipeline.notifies,
        "Properties": dict(pipeline.properties),
        "tags": dict(pipeline.tags),
    }


def read_new_endpoint(body: JSON, endpoint_id: str) -> PipelineEndpoint:
    """A PipelineEndpointCreationInfo: its pipeline becomes version 0, as in Azure."""
    shape = {"Name": Needed(str), "Description": str, "PipelineId": Needed(str), "Properties": dict}
    check_shape(body, shape, "The body")
    return PipelineEndpoint(
        endpoint_id=endpoint_id,
        name=body["Name"],
        description=body.get("Description"),
        default_version="0",
        versions={"0": body["PipelineId"]},
        properties=body.get("Properties") or {},
    )


def read_endpoint_entity(body: JSON, endpoint_id: str) -> PipelineEndpoint:
    """A PipelineEndpointEntity, as the SDK sends it back."""
    check_shape(body, _ENDPOINT, "The body")
    versions = {item["Version"]: item["PipelineId"] for item in body["PipelineVersionList"]}
    if len(versions) < len(body["PipelineVersionList"]):
        raise Invalid("Two of the endpoint's versions have the same number.")
    return PipelineEndpoint(
        endpoint_id=endpoint_id,
        name=body["Name"],
        description=body.get("Description"),
        default_version=body["DefaultVersion"],
        versions=versions,
        status=read_status(body.get("EntityStatus")),
        properties=body.get("Properties") or {},
        tags=body.get("tags") or {},
    )


def endpoint(document: Document, address: str) -> JSON:
    """A PipelineEndpointEntity."""
    found = read_endpoint(document)
    return {
        **entity(document),
        "Name": found.name,
        "Description": found.description,
        "DefaultVersion": found.default_version,
        "PipelineVersionList": [{"Version": key, "PipelineId": value} for key, value in found.versions.items()],
        "Url": address,
        "SwaggerUrl": None,
        "EntityStatus": found.status,
        "Properties": dict(found.properties),
        "tags": dict(found.tags),
    }


def read_status(status: object) -> str:
    """An EntityStatus: a word or its number; Active where there is none."""
    return check_status(_NUMBERED.get(str(status), status) if status is not None else ACTIVE)


def read_schedule_body(body: JSON) -> JSON:
    """What of a request is kept."""
    names = ("Name", "PipelineId", "PipelineEndpointId", "PipelineSubmissionInfo", "Recurrence")
    return {name: _without_nulls(body.get(name)) for name in (*names, "DataStoreTriggerInfo")}


def _without_nulls(value: Any) -> Any:
    """A recurrence that comes back without what was null in it is the same one."""
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def schedule(found: Schedule) -> JSON:
    """A PipelineScheduleEntity."""
    return {
        **found.body,
        "Id": found.schedule_id,
        "Etag": f'"{offset_time(found.modified)}"',
        "ScheduleType": "Recurrence" if found.recurrence else "DataStore",
        "PipelineSubmissionInfo": {**found.body["PipelineSubmissionInfo"], "ScheduleId": found.schedule_id},
        "ProvisioningStatus": COMPLETED,
        "EntityStatus": ACTIVE if found.is_active else DISABLED,
        "CreatedDate": offset_time(found.created),
        "LastModifiedDate": offset_time(found.modified),
        # The SDK drops what it does not know; for other clients.
        "NextFireTime": offset_time(found.next_fire),
        "LastFireTime": offset_time(found.last_fire),
    }
