"""From filters and orders to SQL, and pages that follow each other without counting from the start."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from azureml_wrapper.local.domain.clock import offset_time, parse_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import Comparison, Expression, Order
from azureml_wrapper.local.store.database import Row

PAGE_SIZE = 500
MAX_PAGE_SIZE = 1000

_OPERATORS = {"eq": "=", "ne": "<>", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}

T = TypeVar("T")
Condition = tuple[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What may be filtered and sorted by: the client's name in lower case → SQL, written in code only.

    `maps` are JSON objects (tags, properties), `lists` JSON arrays (traits), `times` those columns that hold an
    instant. `sorts` stands in for `columns` where the order needs another expression.
    """

    columns: Mapping[str, str]
    sorts: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    times: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a client asked for; `after` is the continuation token of the page before."""

    order: Order
    filter: Expression | None = None
    top: int | None = None
    after: str | None = None

    @property
    def size(self) -> int:
        """Rows per page, between 1 and `MAX_PAGE_SIZE`."""
        return min(self.top, MAX_PAGE_SIZE) if self.top and self.top > 0 else PAGE_SIZE


@dataclass(frozen=True)
class Page(Generic[T]):
    """Items of a list, and the token that asks for the next ones; None at the end."""

    items: list[T]
    continuation: str | None = None


def where(expression: Expression | None, fields: Fields) -> Condition:
    """The SQL condition of a filter; `Invalid` for a field that cannot be filtered by."""
    if expression is None:
        return "1", []
    if isinstance(expression, Comparison):
        return _comparison(expression, fields)
    parts = [where(part, fields) for part in expression.parts]
    sql = f" {expression.operator.upper()} ".join(part for part, _ in parts)
    return f"({sql})", [value for _, values in parts for value in values]


def after(query: Query, fields: Fields) -> Condition:
    """The rows behind the page before, by sort value and sequence, so that no page counts from the start."""
    if query.after is None:
        return "1", []
    sign, sort = "<" if query.order.descending else ">", _sort(query.order, fields)
    value, sequence = _read_token(query.after)
    # SQLite finds no place in an index by a pair whose first part is an expression; by the expression alone it does.
    return f"{sort} {sign}= ? AND ({sort}, sequence) {sign} (?, ?)", [value, value, sequence]


def order_by(query: Query, fields: Fields) -> str:
    direction = "DESC" if query.order.descending else "ASC"
    return f"{_sort(query.order, fields)} {direction}, sequence {direction}"


def select(query: Query, fields: Fields, table: str, conditions: list[Condition]) -> Condition:
    """The statement that reads one page, and one row more to know whether another page follows."""
    every = [*conditions, where(query.filter, fields), after(query, fields)]
    condition = " AND ".join(sql for sql, _ in every)
    # The table, the columns and the order are written in code; what clients send is bound.
    sql = (
        f"SELECT *, {_sort(query.order, fields)} AS sort_value FROM {table}"  # noqa: S608
        f" WHERE {condition} ORDER BY {order_by(query, fields)} LIMIT {query.size + 1:d}"
    )
    return sql, [value for _, values in every for value in values]


def page(query: Query, rows: list[Row], read: Callable[[Row], T]) -> Page[T]:
    """The rows of a page as items; `rows` is what `select` gave."""
    items = [read(row) for row in rows[: query.size]]
    if len(rows) <= query.size:
        return Page(items)
    last = rows[query.size - 1]
    return Page(items, _token(last["sort_value"], last["sequence"]))


def _token(value: Any, sequence: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, sequence]).encode()).decode()


def _read_token(text: str) -> list[Any]:
    try:
        value, sequence = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (TypeError, ValueError) as error:
        raise Invalid("The continuation token is not one of this service.") from error
    if not isinstance(value, str | int | float) or not isinstance(sequence, int):
        raise Invalid("The continuation token is not one of this service.")
    return [value, sequence]


def _sort(order: Order, fields: Fields) -> str:
    if order.field not in fields.columns:
        raise Invalid(f"Cannot order by {order.field!r}; allowed are {', '.join(sorted(fields.columns))}.")
    return fields.sorts.get(order.field) or f"COALESCE({fields.columns[order.field]}, '')"


def _comparison(comparison: Comparison, fields: Fields) -> Condition:
    if comparison.field in fields.maps:
        return _of_map(comparison, fields.maps[comparison.field])
    if comparison.field in fields.lists:
        return _of_list(comparison, fields.lists[comparison.field])
    if comparison.field not in fields.columns:
        allowed = sorted([*fields.columns, *(f"{name}/<key>" for name in (*fields.maps, *fields.lists))])
        raise Invalid(f"Cannot filter by {comparison.field!r}; allowed are {', '.join(allowed)}.")
    return _of_column(comparison, fields)


def _of_column(comparison: Comparison, fields: Fields) -> Condition:
    column = fields.columns[comparison.field]
    if comparison.value is None:
        return _null_test(column, comparison), []
    value = _instant(comparison.value) if comparison.field in fields.times else comparison.value
    return f"{column} {_OPERATORS[comparison.operator]} ?", [value]


def _of_map(comparison: Comparison, source: str) -> Condition:
    """True only where the key exists: the SDK asks for its existence with `ne null or eq null`."""
    if comparison.value is None:
        test, values = _null_test("value", comparison), []
    else:
        test, values = f"value {_OPERATORS[comparison.operator]} ?", [comparison.value]
    # Keys and values are bound; `source` is written in code.
    return f"EXISTS (SELECT 1 FROM {source} WHERE key = ? AND {test})", [comparison.key, *values]  # noqa: S608


def _of_list(comparison: Comparison, source: str) -> Condition:
    if comparison.value is not None:
        raise Invalid(f"{comparison.field} can only be compared with null.")
    if comparison.operator == "eq":
        return "0", []
    return f"EXISTS (SELECT 1 FROM {source} WHERE value = ?)", [comparison.key]  # noqa: S608


def _null_test(column: str, comparison: Comparison) -> str:
    if comparison.operator not in ("eq", "ne"):
        raise Invalid(f"{comparison.field} {comparison.operator} null has no meaning.")
    return f"{column} IS {'' if comparison.operator == 'eq' else 'NOT '}NULL"


def _instant(text: str) -> str | None:
    try:
        return offset_time(parse_time(text))
    except ValueError as error:
        raise Invalid(f"{text!r} is not a time.") from error
