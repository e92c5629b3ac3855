"""Metrics: named series of values, each with one or more columns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.limits import INTEGERS, check_length, check_size

# Seen in error messages of the live service (2024).
VALUES_PER_REQUEST = 250
NAME_LENGTH = 255

# How numpy 2 writes the types that the SDK does not know: `np.int64(3)`, `np.longdouble('0.5')`.
_NUMPY = re.compile(
    r"np\.(?:u?int\d*|u?long(?:long)?|float\d+|longdouble)\((['\"]?-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)['\"]?)\)"
)
# azureml/core/_metrics.py reads both.
_PLAIN = frozenset({"azureml.v1.scalar", "azureml.v1.list"})
# Those of all other kinds are files, whose address is the value.
INLINE_KINDS = _PLAIN | {"azureml.v1.table"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric: its cells by column. `created` is an ISO time in UTC, the client's own if `is_timed`.

    The SDK always sends a time; without one, a repeated point is recognized by its id alone.
    """

    point_id: str
    created: str
    data: Mapping[str, Any]
    step: int | None = None
    is_timed: bool = True


@dataclass(frozen=True, kw_only=True)
class Series:
    """A metric of a run, without its points. `kind` is the SDK's `uxMetricType`, `columns` maps name to type."""

    name: str
    kind: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunSeries:
    """A metric of one of several runs, with its points."""

    run_id: str
    series: Series
    points: list[Point]


def merge(before: Series, after: Series) -> Series:
    """The series that holds the points of both; `Conflict` if their kinds differ."""
    if before.kind != after.kind and not {before.kind, after.kind} <= _PLAIN:
        raise Conflict(
            f"The metric {before.name!r} has the type {before.kind}, but was logged again with type {after.kind}.",
            code="ValidationError",
        )
    names = [*before.columns, *(name for name in after.columns if name not in before.columns)]
    columns = {name: _merged_type(before.columns.get(name), after.columns.get(name)) for name in names}
    return Series(name=before.name, kind=before.kind, columns=columns)


def check_series(series: Series, points: int) -> None:
    """Raise `Invalid` if the live service would refuse it."""
    if not series.name:
        raise Invalid("A metric needs a name.")
    check_length("MetricV2Dto.Name", series.name, NAME_LENGTH)
    check_size("MetricV2Dto.Value/Count", points, VALUES_PER_REQUEST)


def with_numbers(series: Series, points: list[Point]) -> tuple[Series, list[Point]]:
    """The series with every cell as it is stored, and its columns with the types that follow.

    The SDK sends what it does not know as a string (`np.int64(3)`), and integers of any length.

    Raises:
        Invalid: A number is too large for a double.
    """
    rows = [{name: _number(series.name, cell) for name, cell in point.data.items()} for point in points]
    pairs = list(zip(points, rows, strict=True))
    changed = {name for point, row in pairs for name, cell in row.items() if cell is not point.data[name]}
    columns = {**series.columns, **{name: _type_of(name, rows) for name in changed}}
    stored = [replace(point, data={name: storable(cell) for name, cell in row.items()}) for point, row in pairs]
    return replace(series, columns=columns), stored


def _number(metric: str, cell: Any) -> Any:
    """The number in a string that numpy has written, and the double of an integer of more than 64 bits."""
    if isinstance(cell, str) and (found := _NUMPY.fullmatch(cell)):
        cell = _read_number(found[1])
    if isinstance(cell, int) and cell not in INTEGERS:
        try:
            return float(cell)
        except OverflowError:
            raise Invalid(f"A value of the metric {metric!r} is too large: numbers are stored as doubles.") from None
    return cell


def _read_number(text: str) -> int | float:
    text = text.strip("'\"")
    # Python reads no integer of more than 4300 digits.
    return int(text) if text.lstrip("-").isdigit() and len(text) < 4000 else float(text)


def _type_of(column: str, rows: list[dict[str, Any]]) -> str:
    """The type of a column in the SDK's words."""
    cells = [row[column] for row in rows if row.get(column) is not None]
    if any(not isinstance(cell, (int, float)) for cell in cells):
        return "string"
    return "double" if any(isinstance(cell, float) for cell in cells) else "int"


def storable(value: Any) -> Any:
    """The cell as it is stored: JSON has no NaN, and the SDK converts the words back in `double` columns."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _merged_type(before: str | None, after: str | None) -> str:
    """The type of a merged column. The SDK calls float() on cells of `double` columns, not of `string` columns."""
    if before == after:
        return before or "string"
    return "double" if {before, after} == {"int", "double"} else "string"
