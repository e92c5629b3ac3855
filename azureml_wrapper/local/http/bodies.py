"""Read JSON bodies and their parts; values of unexpected types are refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

JSON = dict[str, Any]

# A snapshot's tree has two levels for each of its up to 100 folders. Python itself fails at about 1000 when writing.
DEPTH_LIMIT = 250
_INTEGERS = range(-(2**63), 2**63)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(body: bytes, name: str, *, finite: bool = True) -> Any:
    """The value of a JSON document; None if it is empty.

    Raises:
        Invalid: It is not valid JSON, or has what Python accepts but what cannot be stored or sent: NaN and infinite
            numbers (with `finite`), integers of more than 64 bits, unpaired surrogates, more than 250 levels.
    """
    try:
        number = _finite if finite else float
        value = json.loads(body or b"null", parse_constant=number, parse_float=number, parse_int=_int)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _too_deep(name) from error
    except ValueError as error:
        raise Invalid(f"{name} is not valid JSON: {error}.") from error
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT:
        _check_depth(value, name)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value


def _int(text: str) -> int:
    value = int(text)
    if value not in _INTEGERS:
        raise ValueError("an integer has more than 64 bits")
    return value


def _check_depth(value: Any, name: str) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [item for outer in level if isinstance(outer, (dict, list)) for item in _items(outer)]
        if not level:
            return
    raise _too_deep(name)


def _items(outer: JSON | list[Any]) -> list[Any]:
    return list(outer.values()) if isinstance(outer, dict) else outer


def _too_deep(name: str) -> Invalid:
    return Invalid(f"{name} has more than {DEPTH_LIMIT} levels of objects and lists.")


def string_map(body: JSON, name: str) -> dict[str, str]:
    """An object with string values, such as tags; values may be null. Empty if it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict) or not all(item is None or isinstance(item, str) for item in value.values()):
        raise Invalid(f"{name} must be an object with string values.")
    return value


def string_list(value: Any, name: str) -> list[str]:
    """A list of strings; empty if it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, str) for item in value or []):
        raise Invalid(f"{name} must be a list of strings.")
    return value or []


def object_list(value: Any, name: str, limit: int | None = None) -> list[JSON]:
    """A list of at most `limit` objects; empty if it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, dict) for item in value or []):
        raise Invalid(f"{name} must be a list of objects.")
    if limit is not None and len(value or []) > limit:
        raise Invalid(f"{name} has {len(value)} items; at most {limit} are allowed in one request.")
    return value or []


def string(body: JSON, name: str) -> str | None:
    """A string; None if it is missing."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name} must be a string.")
    return value


def json_object(body: JSON, name: str) -> JSON:
    """An object; empty if it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object.")
    return value
