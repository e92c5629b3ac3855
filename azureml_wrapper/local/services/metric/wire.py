"""JSON of metrics (MetricV2Dto and its relatives in azureml/_restclient/models)."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time, parse_time
from azureml_wrapper.local.domain.errors import Invalid, ServiceFault
from azureml_wrapper.local.domain.limits import INTEGERS, is_number
from azureml_wrapper.local.domain.metrics import INLINE_KINDS, Point, RunSeries, Series
from azureml_wrapper.local.domain.odata import Order, parse_filter, parse_order
from azureml_wrapper.local.domain.shapes import JSON, read_token
from azureml_wrapper.local.http.messages import json_object, object_list, string, string_map
from azureml_wrapper.local.store.query import Page, Query

Place = tuple[str, int]
_SDK_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def definition(series: Series, container_id: str) -> JSON:
    return {
        "metricKey": {"namespace": "", "name": series.name},
        "dataContainerId": container_id,
        "columns": series.columns,
        "properties": {"uxMetricType": series.kind},
    }


def metric(series: Series, points: list[Point], container_id: str, more: Place | None) -> JSON:
    """A page of a metric. Missing cells are null, because the SDK expects every column in every row."""
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


def run_metrics(found: Page[RunSeries]) -> JSON:
    """Metrics as the SDK had them before it sent `MetricV2Dto`: one RunMetricDto for all values of a metric."""
    return {"value": [_run_metric(item) for item in found.items], "continuationToken": found.continuation}


def _run_metric(item: RunSeries) -> JSON:
    series, points = item.series, item.points
    # A cell that was not logged is left out: export_to_tensorboard passes every other value on as a number.
    cells = [{name: cell for name, cell in point.data.items() if cell is not None} for point in points]
    is_plain = series.kind in INLINE_KINDS
    return {
        "runId": item.run_id,
        "metricId": points[0].point_id if points else None,
        "metricType": series.kind,
        "createdUtc": points[-1].created if points else None,
        "name": series.name,
        "description": "",
        "label": None,
        "numCells": len(cells),
        "dataLocation": None if is_plain or not cells else cells[0].get(series.name),
        "cells": cells,
        "schema": {
            "numProperties": len(series.columns),
            "properties": [{"propertyId": name, "name": name, "type": kind} for name, kind in series.columns.items()],
        },
    }


def read_query(body: JSON) -> Query:
    """QueryParamsDto."""
    top = body.get("top")
    return Query(
        filter=parse_filter(string(body, "filter")),
        order=parse_order(string(body, "orderby"), Order("runid", descending=True)),
        top=int(top) if top is not None and is_number(str(top)) else None,
        after=string(body, "continuationToken"),
    )


def failure(dto: JSON, fault: ServiceFault) -> JSON:
    """One metric of a batch that was not stored; the SDK logs the message as a warning."""
    # NaN becomes a string and an unpaired surrogate a question mark, because a response cannot contain them.
    metric = json.loads(json.dumps(dto, ensure_ascii=False).encode(errors="replace"), parse_constant=str)
    return {
        "metric": metric,
        "errorResponse": {"error": {"code": fault.code, "message": fault.message, "details": []}},
    }


def check_text(dto: JSON) -> None:
    """Raise `Invalid` if a string of a metric is not Unicode."""
    try:
        json.dumps(dto, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Invalid("The metric contains an unpaired surrogate: it is not valid Unicode.") from error


def read_series(dto: JSON) -> Series:
    return Series(
        name=string(dto, "name") or "",
        kind=string(json_object(dto, "properties"), "uxMetricType") or "azureml.v1.scalar",
        columns=string_map(dto, "columns"),
    )


def read_points(dto: JSON, now: str, new_id: str) -> list[Point]:
    """The points of a metric. Those without an id get `new_id` and a number, those without a time get `now`."""
    return [
        _read_point(value, now, f"{new_id}-{number}")
        for number, value in enumerate(object_list(dto.get("value"), "value"))
    ]


def _read_point(value: JSON, now: str, new_id: str) -> Point:
    created, own_id = read_time(string(value, "createdUtc")), string(value, "metricId")
    return Point(
        point_id=own_id or new_id,
        created=created or now,
        step=_step(value.get("step")),
        data=json_object(value, "data"),
        is_timed=created is not None or own_id is None,
    )


def _step(value: Any) -> int | None:
    if value is None:
        return None
    # SQLite's integers and the SDK's `long` have 64 bits.
    if not isinstance(value, int) or value not in INTEGERS:
        raise Invalid(f"A step must be an integer of at most 64 bits, got {str(value)[:80]}.")
    return value


def read_time(time: str | None) -> str | None:
    try:
        if time and _SDK_TIME.fullmatch(time):
            # Nearly every point has this form, which is stored as it is; only its validity is checked.
            return datetime.fromisoformat(f"{time[:-1]}+00:00").isoformat(timespec="microseconds")
        return offset_time(parse_time(time))
    except ValueError as error:
        raise Invalid(f"Invalid time {time!r}: expected ISO 8601, such as 2026-01-31T08:00:00Z.") from error


def read_place(token: str | None) -> Place:
    """Where the previous page ended."""
    if not token:
        return ("", 0)
    match read_token(token, "continuation token"):
        case [str(created), int(sequence)]:
            return created, sequence
    raise Invalid("Invalid continuation token: it does not come from this service.")
