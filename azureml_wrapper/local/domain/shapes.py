"""JSON as clients send it: read from text, and compared with a shape, which is written as what it describes looks.

`{"Name": Needed(str), "Ports": [{"Name": Needed(str)}], "Tags": MapOf(str)}`. A missing or null value fits every
shape except for a needed one; keys that a shape does not name are ignored.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import INTEGERS

JSON = dict[str, Any]
_KINDS = {str: "a string", bool: "true or false", int: "an integer", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Needed:
    """A required value."""

    shape: Any


@dataclass(frozen=True)
class MapOf:
    """An object whose values all have the same shape."""

    shape: Any


def check_shape(value: Any, shape: Any, name: str) -> None:
    """Raise `Invalid` if a value has another shape. `name` is its name in the message."""
    if isinstance(shape, Needed):
        if value in (None, ""):
            raise Invalid(f"{name} is missing.")
        shape = shape.shape
    if value is None:
        return
    if isinstance(shape, list):
        _check_list(value, shape[0], name)
    elif isinstance(shape, MapOf):
        _check_object(value, dict.fromkeys(_is_object(value, name), shape.shape), name)
    elif isinstance(shape, Mapping):
        _check_object(value, shape, name)
    elif not isinstance(value, shape):
        raise Invalid(f"{name} must be {_KINDS[shape]}.")


def _check_list(value: Any, shape: Any, name: str) -> None:
    if not isinstance(value, list):
        raise Invalid(f"{name} must be a list.")
    for place, item in enumerate(value):
        if item is None:
            raise Invalid(f"{name}[{place}] is missing.")
        check_shape(item, shape, f"{name}[{place}]")


def _check_object(value: Any, shape: Mapping[str, Any], name: str) -> None:
    for key, inner in shape.items():
        check_shape(_is_object(value, name).get(key), inner, f"{name}.{key}")


def _is_object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object.")
    return value


# A snapshot's tree has two levels for each of its up to 100 folders. Python itself fails at about 1000 when writing.
DEPTH_LIMIT = 250
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(text: bytes | str, name: str, *, finite: bool = True, bounded: bool = True) -> Any:
    """The value of a JSON document; None if it is empty.

    Raises:
        Invalid: It is not valid JSON, or has what Python accepts but what cannot be stored or sent: NaN and infinite
            numbers (with `finite`), integers of more than 64 bits and unpaired surrogates (with `bounded`), more than
            250 levels.
    """
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        number = _finite if finite else float
        value = json.loads(
            body or b"null", parse_constant=number, parse_float=number, parse_int=_int if bounded else int
        )
        if bounded and _SURROGATE.search(body):
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
    if value not in INTEGERS:
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


def write_token(value: list[Any]) -> str:
    """Where a page ends, in a form that clients send back."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def read_token(text: str, name: str) -> Any:
    """What `write_token` has made into a token; raise `Invalid` if it is none."""
    try:
        return read_json(base64.urlsafe_b64decode(text.encode()) or b"?", name)
    except (ValueError, Invalid) as error:
        raise Invalid(f"Invalid {name}: it does not come from this service.") from error
