"""Parts of JSON bodies: what is of another kind than the SDK would send is refused, not stumbled over."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

JSON = dict[str, Any]


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
