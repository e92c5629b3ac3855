"""Shapes of JSON: what a client may send, written as it looks.

`{"Name": Needed(str), "Ports": [{"Name": Needed(str)}], "Tags": MapOf(str)}`. A missing or null value fits every
shape except for a needed one; keys that a shape does not name are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

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
