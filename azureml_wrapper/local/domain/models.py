"""Registered models: a name, a version, and an asset with the location of the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import is_number

JSON = dict[str, Any]

# azureml/_model_management/_util.py, model_name_validation
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")


def check_model_name(name: str) -> None:
    """Raise `Invalid` for a name that the SDK would refuse, too."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Invalid model name {name[:300]!r}: use 1 to 255 letters, digits, dashes, periods and underscores, "
            "starting with a letter or a digit."
        )


def split_model_id(model_id: str) -> tuple[str, int]:
    """`name:version` → name and version; `Invalid` for anything else."""
    name, _, version = model_id.rpartition(":")
    if not name or not is_number(version):
        raise Invalid(f"Invalid model id {model_id[:300]!r}; expected name:version.")
    return name, int(version)


def patch_model(body: JSON, operations: list[JSON]) -> JSON:
    """The model after the JSON Patch operations that `Model.update` and its relatives send."""
    changed = dict(body)
    for operation in operations:
        path = str(operation.get("path"))
        if path not in _PATCHES or operation.get("op") not in ("add", "replace"):
            raise Invalid(
                f"Unsupported change of a model: {operation.get('op')!r} of {path!r}. "
                f"Supported are 'add' and 'replace' of {', '.join(_PATCHES)}."
            )
        key = path.removeprefix("/")
        changed[key] = _PATCHES[path](changed.get(key), operation.get("value"))
    return changed


def _replaced(_before: Any, value: Any) -> Any:
    return value


def _added_properties(before: Any, value: Any) -> Any:
    """Properties can be added, but not changed."""
    for key, item in (before or {}).items():
        if (value or {}).get(key, item) != item:
            raise Invalid(f"The property {key!r} of a model cannot be changed once it is set.")
    return {**(before or {}), **(value or {})}


def _added_datasets(before: Any, value: Any) -> Any:
    return [*(before or []), *(value or [])]


_PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "/kvTags": _replaced,
    "/description": _replaced,
    "/sampleInputData": _replaced,
    "/sampleOutputData": _replaced,
    "/resourceRequirements": _replaced,
    "/properties": _added_properties,
    "/datasets": _added_datasets,
}
