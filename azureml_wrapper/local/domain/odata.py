"""Filters and orders as the SDK writes them: a small, lenient part of OData.

The SDK inserts values into the expression without escaping and mostly without quotes (azureml/_restclient/_odata), so
a value ends before a closing parenthesis, `and`, `or` or the end of the expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from azureml_wrapper.local.domain.errors import Invalid

# SQLite accepts expressions up to a depth of 1000; the SDK queries at most 50 runs at once.
MAX_COMPARISONS = 400
MAX_DEPTH = 40

_FIELD = re.compile(
    r"(?P<field>(?:Tags|Properties|RunTypeV2/Traits)/.+?|\w+(?:/\w+)?)\s+(?P<operator>eq|ne|ge|gt|le|lt)\s+",
    re.IGNORECASE | re.DOTALL,
)
_VALUE = re.compile(
    r"""(?:"(?P<double>.*?)"|'(?P<single>(?:[^']|'')*)'|(?P<bare>[^()"']*?))\s*(?=\)|\s(?:and|or)(?:[\s(]|$)|$)""",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"(and|or)(?=[\s(])", re.IGNORECASE)
_ORDER = re.compile(r"([\w/]+)(?:\s+(asc|desc))?", re.IGNORECASE)


@dataclass(frozen=True)
class Comparison:
    """`field operator value`. The field is lowercase except for a tag's or property's key; None is OData's null."""

    field: str
    operator: str
    value: str | None
    key: str | None = None


@dataclass(frozen=True)
class Group:
    """Parts joined by "and" or "or"."""

    operator: str
    parts: tuple[Expression, ...]


Expression = Comparison | Group


@dataclass(frozen=True)
class Order:
    """One field, in lowercase, and its direction."""

    field: str
    descending: bool = False


def parse_filter(text: str | None) -> Expression | None:
    """The expression, or None for an empty string; `Invalid` if it cannot be parsed."""
    if not text or not text.strip():
        return None
    return _Parser(text).parse()


def parse_order(text: str | None, default: Order) -> Order:
    """`StartTimeUtc desc` → Order("starttimeutc", True)."""
    if not text or not text.strip():
        return default
    found = _ORDER.fullmatch(text.strip())
    if not found:
        raise Invalid(f"Invalid order {text!r}: expected a field, and asc or desc.")
    return Order(found[1].lower(), (found[2] or "asc").lower() == "desc")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._place = text, 0
        self._comparisons = self._depth = 0

    def parse(self) -> Expression:
        expression = self._joined("or")
        self._skip()
        if self._place < len(self._text):
            raise self._fault("expected 'and', 'or' or the end")
        return expression

    def _joined(self, operator: str) -> Expression:
        """Parts joined by `operator`; `and` binds tighter than `or`, as in OData."""
        part = self._factor if operator == "and" else self._conjunction
        parts = [part()]
        while self._take_word(operator):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Group(operator, tuple(parts))

    def _conjunction(self) -> Expression:
        return self._joined("and")

    def _factor(self) -> Expression:
        self._skip()
        if not self._take("("):
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(f"more than {MAX_DEPTH} nested parentheses")
        inside = self._joined("or")
        self._skip()
        if not self._take(")"):
            raise self._fault("expected ')'")
        self._depth -= 1
        return inside

    def _comparison(self) -> Expression:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise self._fault(f"more than {MAX_COMPARISONS} comparisons")
        field = _FIELD.match(self._text, self._place)
        value = _VALUE.match(self._text, field.end()) if field else None
        if field is None or value is None:
            raise self._fault("expected a comparison such as Status eq Completed")
        self._place = value.end()
        name, key = _split(field["field"])
        return Comparison(name, field["operator"].lower(), _literal(value), key)

    def _skip(self) -> None:
        while self._text[self._place : self._place + 1].isspace():
            self._place += 1

    def _take(self, character: str) -> bool:
        found = self._text.startswith(character, self._place)
        self._place += found
        return found

    def _take_word(self, word: str) -> bool:
        self._skip()
        found = _WORD.match(self._text, self._place)
        if not found or found[1].lower() != word:
            return False
        self._place = found.end()
        return True

    def _fault(self, reason: str) -> Invalid:
        near = self._text[self._place : self._place + 40]
        return Invalid(f"Invalid filter {self._text[:200]!r}: {reason} at {near!r}.")


def _split(path: str) -> tuple[str, str | None]:
    """`Tags/my key` → ("tags", "my key"); plain fields have no key."""
    for prefix in ("tags", "properties", "runtypev2/traits"):
        if path.lower().startswith(prefix + "/"):
            return prefix, path[len(prefix) + 1 :]
    return path.lower(), None


def _literal(found: re.Match[str]) -> str | None:
    if found["double"] is not None:
        return found["double"]
    if found["single"] is not None:
        return found["single"].replace("''", "'")
    return None if found["bare"].lower() == "null" else found["bare"]
