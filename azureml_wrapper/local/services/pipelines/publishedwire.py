"""Publications, endpoints and submissions in the SDK's words (azureml/pipeline/core/_restclients/aeva/models)."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.limits import check_experiment_name
from azureml_wrapper.local.domain.published import (
    ACTIVE,
    PipelineEndpoint,
    PublishedPipeline,
    Submission,
    check_status,
)
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.services.pipelines.parameters import ASSIGNMENTS, check_interface, read_values
from azureml_wrapper.local.services.pipelines.wire import entity
from azureml_wrapper.local.store.documents import Document
from azureml_wrapper.local.store.published import read_endpoint, read_pipeline

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
_SUBMISSION = {
    **{name: shape for name, shape in ASSIGNMENTS.items() if name != "ParameterAssignments"},
    "ParameterAssignments": dict,
    "ExperimentName": Needed(str),
    "RunSource": str,
    "RunType": str,
    "ContinueRunOnStepFailure": bool,
}
# What Azure does with these has no counterpart here.
_UNSUPPORTED = ("StepTags", "AzDevOpsCallBackInfo")
# The SDK returns a status as it received it, or as a word.
_NUMBERED = {"0": "Active", "1": "Deprecated", "2": "Disabled"}


def read_publication(body: JSON) -> tuple[JSON, JSON]:
    """Graph and interface of a PipelineCreationInfo; `read_published` reads the rest."""
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
    """A PipelineEntity; `address` is the REST endpoint that runs it."""
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
        raise Invalid("Two versions of the endpoint have the same number.")
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
    """An EntityStatus, as a word or a number; Active if it is missing."""
    return check_status(_NUMBERED.get(str(status), status) if status is not None else ACTIVE)


def read_submission(body: JSON) -> Submission:
    """A PipelineSubmissionInfo, or `Invalid`.

    Programs write its keys by hand, and Azure ignores their case.
    """
    known = {name.lower(): name for name in (*_SUBMISSION, *_UNSUPPORTED)}
    given = {known.get(name.lower(), name): value for name, value in body.items()}
    for name in _UNSUPPORTED:
        if given.get(name):
            raise Unsupported(f"{name} of a submission is not supported by the local service.")
    check_shape(given, _SUBMISSION, "The submission")
    check_experiment_name(given["ExperimentName"])
    return Submission(
        experiment=given["ExperimentName"],
        values=read_values(given),
        description=given.get("Description"),
        continue_on_failure=given.get("ContinueRunOnStepFailure"),
        run_source=given.get("RunSource"),
        run_type=given.get("RunType"),
        tags=given.get("tags") or {},
        properties=given.get("Properties") or {},
    )
