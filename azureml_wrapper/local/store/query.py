"""Filters and orders as SQL, and pages that are found in an index instead of by counting from the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from azureml_wrapper.local.domain.clock import offset_time, parse_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import Comparison, Expression, Order
from azureml_wrapper.local.domain.shapes import read_token, write_token
from azureml_wrapper.local.store.database import Row

PAGE_SIZE = 500
MAX_PAGE_SIZE = 1000

_OPERATORS = {"eq": "=", "ne": "<>", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}

T = TypeVar("T")
Condition = tuple[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What clients may filter and sort by: their name for a field, in lowercase → SQL, which comes from code only.

    `maps` are JSON objects (tags, properties), `lists` JSON arrays (traits), `times` the columns that hold a time.
    `sorts` replaces `columns` for fields that sort by another expression.
    """

    columns: Mapping[str, str]
    sorts: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    times: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a client asked for; `after` is the continuation token of the previous page."""

    order: Order
    filter: Expression | None = None
    top: int | None = None
    after: str | None = None

    @property
    def size(self) -> int:
        """Rows in a page, from 1 to `MAX_PAGE_SIZE`."""
        return min(self.top, MAX_PAGE_SIZE) if self.top and self.top > 0 else PAGE_SIZE


@dataclass(frozen=True)
class Page(Generic[T]):
    """Items of a list, and the token of the next page; None at the end."""

    items: list[T]
    continuation: str | None = None


def where(expression: Expression | None, fields: Fields) -> Condition:
    """The SQL condition of a filter; raise `Invalid` for a field that clients may not filter by."""
    if expression is None:
        return "1", []
    if isinstance(expression, Comparison):
        return _comparison(expression, fields)
    parts = [where(part, fields) for part in expression.parts]
    sql = f" {expression.operator.upper()} ".join(part for part, _ in parts)
    return f"({sql})", [value for _, values in parts for value in values]


def after(query: Query, fields: Fields) -> Condition:
    """The SQL condition of the rows behind the previous page, by sort value and sequence."""
    if query.after is None:
        return "1", []
    sign, sort = "<" if query.order.descending else ">", _sort(query.order, fields)
    value, sequence = _read_token(query.after)
    # SQLite does not search an index by a pair that contains an expression; by the expression alone it does.
    return f"{sort} {sign}= ? AND ({sort}, sequence) {sign} (?, ?)", [value, value, sequence]


def order_by(query: Query, fields: Fields) -> str:
    direction = "DESC" if query.order.descending else "ASC"
    return f"{_sort(query.order, fields)} {direction}, sequence {direction}"


def select(query: Query, fields: Fields, table: str, conditions: list[Condition]) -> Condition:
    """The statement for one page and one more row, which shows that another page follows."""
    every = [*conditions, where(query.filter, fields), after(query, fields)]
    condition = " AND ".join(sql for sql, _ in every)
    # Table, columns and order come from code; values of clients are bound.
    sql = (
        f"SELECT *, {_sort(query.order, fields)} AS sort_value FROM {table}"  # noqa: S608
        f" WHERE {condition} ORDER BY {order_by(query, fields)} LIMIT {query.size + 1:d}"
    )
    return sql, [value for _, values in every for value in values]


def page(query: Query, rows: list[Row], read: Callable[[Row], T]) -> Page[T]:
    """The page with the rows that the statement of `select` returned."""
    items = [read(row) for row in rows[: query.size]]
    if len(rows) <= query.size:
        return Page(items)
    return Page(items, token_of(rows[query.size - 1]))


def token_of(row: Row) -> str:
    """The continuation token of what follows a row of `select`."""
    return write_token([row["sort_value"], row["sequence"]])


def _read_token(text: str) -> list[Any]:
    match read_token(text, "continuation token"):
        case [str() | int() | float() as value, int(sequence)]:
            return [value, sequence]
    raise Invalid("Invalid continuation token: it does not come from this service.")


def _sort(order: Order, fields: Fields) -> str:
    if order.field not in fields.columns:
        raise Invalid(f"Cannot order by {order.field!r}; allowed fields: {', '.join(sorted(fields.columns))}.")
    return fields.sorts.get(order.field) or f"COALESCE({fields.columns[order.field]}, '')"


def _comparison(comparison: Comparison, fields: Fields) -> Condition:
    if comparison.field in fields.maps:
        return _of_map(comparison, fields.maps[comparison.field])
    if comparison.field in fields.lists:
        return _of_list(comparison, fields.lists[comparison.field])
    if comparison.field not in fields.columns:
        allowed = sorted([*fields.columns, *(f"{name}/<key>" for name in (*fields.maps, *fields.lists))])
        raise Invalid(f"Cannot filter by {comparison.field!r}; allowed fields: {', '.join(allowed)}.")
    return _of_column(comparison, fields)


def _of_column(comparison: Comparison, fields: Fields) -> Condition:
    column = fields.columns[comparison.field]
    if comparison.value is None:
        return _null_test(column, comparison), []
    value = _instant(comparison.value) if comparison.field in fields.times else comparison.value
    return f"{column} {_OPERATORS[comparison.operator]} ?", [value]


def _of_map(comparison: Comparison, source: str) -> Condition:
    """True only if the key exists: the SDK checks its existence with `ne null or eq null`."""
    if comparison.value is None:
        test, values = _null_test("value", comparison), []
    else:
        test, values = f"value {_OPERATORS[comparison.operator]} ?", [comparison.value]
    # Keys and values are bound; `source` comes from code.
    return f"EXISTS (SELECT 1 FROM {source} WHERE key = ? AND {test})", [comparison.key, *values]  # noqa: S608


def _of_list(comparison: Comparison, source: str) -> Condition:
    if comparison.value is not None:
        raise Invalid(f"{comparison.field} can only be compared with null.")
    if comparison.operator == "eq":
        return "0", []
    return f"EXISTS (SELECT 1 FROM {source} WHERE value = ?)", [comparison.key]  # noqa: S608


def _null_test(column: str, comparison: Comparison) -> str:
    if comparison.operator not in ("eq", "ne"):
        raise Invalid(f"Invalid comparison {comparison.field} {comparison.operator} null: only eq and ne take null.")
    return f"{column} IS {'' if comparison.operator == 'eq' else 'NOT '}NULL"


def _instant(text: str) -> str | None:
    try:
        return offset_time(parse_time(text))
    except ValueError as error:
        raise Invalid(f"Invalid time {text!r}: expected ISO 8601, such as 2026-01-31T08:00:00Z.") from error
