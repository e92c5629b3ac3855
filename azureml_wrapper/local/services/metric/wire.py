"""JSON of metrics (MetricV2Dto and what is about it in azureml/_restclient/models)."""

from __future__ import annotations

import base64
import json
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time, parse_time
from azureml_wrapper.local.domain.errors import Invalid, ServiceFault
from azureml_wrapper.local.domain.metrics import Point, Series, storable

JSON = dict[str, Any]
Place = tuple[str, int]


def definition(series: Series, container_id: str) -> JSON:
    return {
        "metricKey": {"namespace": "", "name": series.name},
        "dataContainerId": container_id,
        "columns": series.columns,
        "properties": {"uxMetricType": series.kind},
    }


def metric(series: Series, points: list[Point], container_id: str, more: Place | None) -> JSON:
    """A page of a metric; cells that a row lacks are null, because the SDK wants every column in every row."""
    return {
        "dataContainerId": container_id,
        "name": series.name,
        "columns": series.columns,
        "properties": {"uxMetricType": series.kind},
        "namespace": "",
        "value": [_point(point, series) for point in points],
        "continuationToken": base64.urlsafe_b64encode(json.dumps(more).encode()).decode() if more else None,
    }


def _point(point: Point, series: Series) -> JSON:
    return {
        "metricId": point.point_id,
        "createdUtc": point.created,
        "step": point.step,
        "data": {name: point.data.get(name) for name in series.columns},
    }


def failure(dto: JSON, fault: ServiceFault) -> JSON:
    """One metric of a batch that was not stored; the SDK logs the message as a warning."""
    return {"metric": dto, "errorResponse": {"error": {"code": fault.code, "message": fault.message, "details": []}}}


def read_series(dto: JSON) -> Series:
    return Series(
        name=str(dto.get("name") or ""),
        kind=str((dto.get("properties") or {}).get("uxMetricType") or "azureml.v1.scalar"),
        columns=dto.get("columns") or {},
    )


def read_points(dto: JSON, now: str, new_id: str) -> list[Point]:
    """The points of a metric; those without an id or a time of their own get `new_id` with a number, and `now`."""
    return [
        Point(
            point_id=value.get("metricId") or f"{new_id}-{number}",
            created=read_time(value.get("createdUtc")) or now,
            step=value.get("step"),
            data={name: storable(cell) for name, cell in (value.get("data") or {}).items()},
        )
        for number, value in enumerate(dto.get("value") or [])
    ]


def read_time(text: str | None) -> str | None:
    try:
        return offset_time(parse_time(text))
    except (TypeError, ValueError) as error:
        raise Invalid(f"{text!r} is not a time.") from error


def read_place(token: str | None) -> Place:
    """Where the page before ended."""
    if not token:
        return ("", 0)
    try:
        created, sequence = json.loads(base64.urlsafe_b64decode(token.encode()))
        return str(created), int(sequence)
    except (TypeError, ValueError) as error:
        raise Invalid("The continuation token is not one of this service.") from error
