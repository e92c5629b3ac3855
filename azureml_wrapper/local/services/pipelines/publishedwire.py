"""Publications, endpoints and submissions in the SDK's words (azureml/pipeline/core/_restclients/aeva/models)."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.limits import DISPLAY_NAME_LENGTH, VALUE_LENGTH, check_experiment_name
from azureml_wrapper.local.domain.pipelines import (
    ACTIVE,
    BATCH_SECONDS,
    DEFAULT_POLLING_MINUTES,
    DISABLED,
    MAX_BATCH_SECONDS,
    SCHEDULE_ID,
    SCHEDULE_NAME,
    PipelineEndpoint,
    PublishedPipeline,
    Schedule,
    Submission,
    Watch,
    check_status,
)
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.storage import check_blob_name
from azureml_wrapper.local.services.pipelines.graphwire import ASSIGNMENTS, check_interface, read_values
from azureml_wrapper.local.services.pipelines.wire import COMPLETED, entity
from azureml_wrapper.local.store.documents import Document
from azureml_wrapper.local.store.published import read_endpoint, read_pipeline
from azureml_wrapper.recurrence import WEEK_DAYS, Frequency, Recurrence, find_zone, localize

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


_zone = functools.lru_cache(maxsize=64)(find_zone)
_RECURRENCE = {
    "Frequency": Needed(str),
    "Interval": Needed(int),
    "StartTime": str,
    "TimeZone": str,
    "Schedule": {"Hours": [int], "Minutes": [int], "WeekDays": [str]},
}
_TRIGGER = {
    "DataStoreName": Needed(str),
    "PollingInterval": int,
    "DataPathParameterName": str,
    "PathOnDataStore": str,
}
_SCHEDULE = {
    "Name": Needed(str),
    "PipelineId": str,
    "PipelineEndpointId": str,
    "PipelineSubmissionInfo": Needed(dict),
    "Recurrence": dict,
    "DataStoreTriggerInfo": dict,
}


def read_schedule(
    body: JSON,
    *,
    workspace_id: str,
    schedule_id: str,
    created: datetime,
    modified: datetime,
    anchor: datetime,
    is_active: bool = True,
    next_fire: datetime | None = None,
    last_fire: datetime | None = None,
) -> Schedule:
    """A schedule from a ScheduleCreationInfo or a PipelineScheduleEntity, or `Invalid`."""
    check_shape(body, _SCHEDULE, "The schedule")
    if bool(body.get("PipelineId")) == bool(body.get("PipelineEndpointId")):
        raise Invalid("A schedule needs either a PipelineId (published pipeline) or a PipelineEndpointId, not both.")
    if bool(body.get("Recurrence")) == bool(body.get("DataStoreTriggerInfo")):
        raise Invalid("A schedule needs either a Recurrence or a DataStoreTriggerInfo, not both.")
    submission, batch = _read_submission(body["PipelineSubmissionInfo"], body["Name"], schedule_id)
    recurrence, watch = body.get("Recurrence"), body.get("DataStoreTriggerInfo")
    return Schedule(
        workspace_id=workspace_id,
        schedule_id=schedule_id,
        name=body["Name"],
        created=created,
        modified=modified,
        anchor=anchor,
        submission=submission,
        body=body,
        pipeline_id=body.get("PipelineId"),
        endpoint_id=body.get("PipelineEndpointId"),
        is_active=is_active,
        recurrence=read_recurrence(recurrence, anchor) if recurrence else None,
        has_start=bool(recurrence and recurrence.get("StartTime")),
        watch=read_watch(watch, batch) if watch else None,
        next_fire=next_fire,
        last_fire=last_fire,
    )


def _read_submission(body: JSON, name: str, schedule_id: str) -> tuple[Submission, str | None]:
    """What each run is asked for, and the value of `BATCH_SECONDS`, which is not a parameter of the pipeline."""
    asked = read_submission(body)
    parameters = dict(asked.values.parameters)
    batch = parameters.pop(BATCH_SECONDS, None)
    asked = replace(
        asked,
        values=replace(asked.values, parameters=parameters),
        run_source=asked.run_source or "Schedule",
        run_type="Schedule",
        schedule_id=schedule_id,
        display_name=name[:DISPLAY_NAME_LENGTH],
        properties={**asked.properties, SCHEDULE_ID: schedule_id, SCHEDULE_NAME: name[:VALUE_LENGTH]},
    )
    return asked, batch


def read_recurrence(body: JSON, anchor: datetime) -> Recurrence:
    """A recurrence. Without a start time it counts from `anchor`, the time of its creation. Raises `Invalid`."""
    check_shape(body, _RECURRENCE, "Recurrence")
    times = body.get("Schedule") or {}
    try:
        zone = _zone(body.get("TimeZone"))
        start = _wall_clock(body.get("StartTime") or anchor.isoformat(), zone)
        made = Recurrence(
            frequency=Frequency(body["Frequency"]),
            interval=body["Interval"],
            start=start,
            zone=zone,
            hours=tuple(times.get("Hours") or ()),
            minutes=tuple(times.get("Minutes") or ()),
            week_days=tuple(_week_day(name) for name in times.get("WeekDays") or ()),
        )
        # Finds intervals and start times that overflow: the second time has to be known when the first one fires.
        list(itertools.islice(made.after(anchor), 2))
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Invalid recurrence: {error}") from error
    return made


def read_watch(body: JSON, batch: object) -> Watch:
    """A DataStoreTriggerInfo; `batch` is the value of the parameter `BATCH_SECONDS`. Raises `Invalid`."""
    check_shape(body, _TRIGGER, "DataStoreTriggerInfo")
    polling = body.get("PollingInterval")
    if polling is not None and not 0 <= polling <= 1_000_000:
        raise Invalid(f"PollingInterval must be a number of minutes from 0 to 1000000, got {polling}.")
    path = (body.get("PathOnDataStore") or "").strip("/")
    if path:
        check_blob_name(path)
    return Watch(
        datastore=body["DataStoreName"],
        path=path,
        polling=timedelta(minutes=DEFAULT_POLLING_MINUTES if polling is None else polling),
        parameter=body.get("DataPathParameterName"),
        batch=_batch(batch),
    )


def _batch(value: object) -> timedelta | None:
    if value in (None, ""):
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_BATCH_SECONDS:
        raise Invalid(
            f"{BATCH_SECONDS} must be a number of seconds from 0 to {MAX_BATCH_SECONDS:.0f}, got {value!r}."
        )
    return timedelta(seconds=seconds)


def _week_day(name: str) -> int:
    if name not in WEEK_DAYS:
        raise ValueError(f"Unknown day of the week {name!r}; expected one of {', '.join(WEEK_DAYS)}.")
    return WEEK_DAYS.index(name)


def _wall_clock(text: str, zone: tzinfo) -> datetime:
    """A start time on the wall clock of its zone; a time with an offset is converted."""
    # Imported here, because only schedules with a start time need it.
    from dateutil.parser import isoparse

    try:
        start = isoparse(text.strip())
        if start.tzinfo:
            start = start.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"StartTime must be a time such as 2026-01-31T08:00:00, got {text!r} ({error}).") from error
    localize(start, timezone.utc)
    return start


def read_schedule_body(body: JSON) -> JSON:
    """The part of a request that is stored."""
    names = ("Name", "PipelineId", "PipelineEndpointId", "PipelineSubmissionInfo", "Recurrence")
    return {name: _without_nulls(body.get(name)) for name in (*names, "DataStoreTriggerInfo")}


def _without_nulls(value: Any) -> Any:
    """A value without its nulls: a recurrence that comes back without them is the same one."""
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
        # For other clients; the SDK drops keys that it does not know.
        "NextFireTime": offset_time(found.next_fire),
        "LastFireTime": offset_time(found.last_fire),
    }
