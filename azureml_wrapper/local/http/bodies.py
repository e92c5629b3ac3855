"""Parts of JSON bodies: what is of another kind than the SDK would send is refused, not stumbled over."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

JSON = dict[str, Any]

# A snapshot's tree takes two levels for each of its 100 folders. Python's own limit, some 1000, is met when writing.
DEPTH_LIMIT = 250
_INTEGERS = range(-(2**63), 2**63)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(body: bytes, name: str, *, finite: bool = True) -> Any:
    """The value of a JSON text, None where it is empty.

    `Invalid` for what is no JSON, and for what Python's reader lets pass and nothing could store or answer again:
    numbers that are not `finite`, whole numbers of more than 64 bits, halves of characters, more than 250 levels.
    """
    try:
        number = _finite if finite else float
        value = json.loads(body or b"null", parse_constant=number, parse_float=number, parse_int=_int)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _too_deep(name) from error
    except ValueError as error:
        raise Invalid(f"{name} is not JSON: {error}.") from error
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT:
        _check_depth(value, name)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number of JSON")
    return value


def _int(text: str) -> int:
    value = int(text)
    if value not in _INTEGERS:
        raise ValueError("a whole number has more than 64 bits")
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


def text_map(body: JSON, name: str) -> dict[str, str]:
    """A map of texts such as tags; values may be null, as in a tag without a value. Empty where it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict) or not all(item is None or isinstance(item, str) for item in value.values()):
        raise Invalid(f"{name} must be an object whose values are texts.")
    return value


def text_list(value: Any, name: str) -> list[str]:
    """A list of texts; empty where it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, str) for item in value or []):
        raise Invalid(f"{name} must be a list of texts.")
    return value or []


def object_list(value: Any, name: str, limit: int | None = None) -> list[JSON]:
    """A list of objects, at most `limit` of them; empty where it is missing."""
    if not isinstance(value or [], list) or not all(isinstance(item, dict) for item in value or []):
        raise Invalid(f"{name} must be a list of objects.")
    if limit is not None and len(value or []) > limit:
        raise Invalid(f"{name} has {len(value)} items; at most {limit} are taken at once.")
    return value or []


def text(body: JSON, name: str) -> str | None:
    """A text, or None where it is missing."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name} must be a text.")
    return value


def an_object(body: JSON, name: str) -> JSON:
    """An object; empty where it is missing."""
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object.")
    return value
