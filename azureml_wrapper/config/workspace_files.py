"""The file that names a workspace: how it is found, and its names, without the models of all configs.

Importing the models takes longer than most commands that only read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azureml_wrapper.errors import ConfigNotFound

_DEFAULTS = (".azureml/config.json", "aml_config/config.json", ".azureml/config.yml", ".azureml/config.yaml")
DEFAULT_FILES = tuple(map(Path, _DEFAULTS))
_KEYS = ("ws_name", "resource_group", "subscription_id")
# The name in Azure's own config.json.
_OF_AZURE = "workspace_name"
# No variable to fill in, nothing to strip, and nothing that a name may not have.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._()-]*", re.ASCII)


def find() -> Path:
    """The nearest `.azureml/config.json`, from the current folder upwards; raises `ConfigNotFound`."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        for name in DEFAULT_FILES:
            if (folder / name).is_file():
                return folder / name
    raise ConfigNotFound(
        f"No {DEFAULT_FILES[0]} found in {here} or above it. Download it from Azure's portal "
        "('Download config.json'), or pass the config as a mapping or a path."
    )


def plain_names(source: Any) -> tuple[str, str, str] | None:
    """The names of workspace, resource group and subscription, if a JSON file has them and nothing else.

    Args:
        source: A path; None for the nearest `.azureml/config.json`.

    Returns:
        None for anything else, which the loader has to read: it knows variables, YAML, configs of pipelines, and what
        to say of mistakes.
    """
    if not (source is None or isinstance(source, (str, os.PathLike))):
        return None
    path = find() if source is None else Path(source).expanduser()
    if path.suffix.lower() != ".json":
        return None
    try:
        pairs = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_Pairs)
    except (OSError, ValueError, RecursionError):
        return None
    found = dict(pairs) if isinstance(pairs, _Pairs) else {}
    if _OF_AZURE in found and _KEYS[0] not in found:
        found[_KEYS[0]] = found.pop(_OF_AZURE)
    if set(found) != set(_KEYS) or len(found) != len(pairs) or not all(map(_is_plain, found.values())):
        return None
    return found["ws_name"], found["resource_group"], found["subscription_id"]


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as its keys and values, in which a key may appear twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and bool(_PLAIN.fullmatch(value))
