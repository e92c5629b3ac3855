"""Datasets: saved, registered, and the location of their data.

The SDK describes data in a YAML of its own (MLTable): `paths`, each a `pattern`, `file` or `folder`, then
`transformations`. The service stores it as it was sent, and only reads the paths.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import yaml

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.shapes import read_json
from azureml_wrapper.local.domain.workspaces import Workspace

NAME_LIMIT = 255
# The key of the YAML inside a definition.
_DATAFLOW = "RsDataflow"

# Libyaml's are ten times as fast, if PyYAML was built with it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What PyYAML raises for scalars that only look like a time, a number or a boolean, and for deep nesting.
_NOT_YAML = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_DATASTORE_PATH = re.compile(r"azureml://.*/datastores/(?P<datastore>[^/]+)(?:/paths/(?P<path>.*))?", re.IGNORECASE)
# A name becomes a part of an address: `Dataset.get_by_name("a/b")` could never find it.
_BAD_NAME = re.compile(r"[/\\\x00-\x1f]")


class DatasetKind(str, Enum):
    """The two kinds that SDK v1 knows, in its own words (azureml/data/constants.py)."""

    TABULAR = "tabular"  # rows and columns
    FILE = "file"  # files and folders, as they are


class Source(NamedTuple):
    """A location of data: a path or glob of a datastore, or an address (https, file) if `datastore` is None."""

    datastore: str | None
    path: str


@dataclass(frozen=True, kw_only=True)
class SavedDataset:
    """An immutable description of data. `saved_id` is what `Dataset.id` shows.

    `definition` is what the client sent: JSON text with the YAML in its `meta.RsDataflow`.
    """

    saved_id: str
    kind: DatasetKind
    definition: str
    properties: dict[str, Any] = field(default_factory=dict)
    created: datetime

    @property
    def dataflow(self) -> str:
        """The YAML."""
        return dataflow_of(self.definition)

    @property
    def sources(self) -> list[Source]:
        """The locations of the data, in the order of the description."""
        return [_source(address) for address in _addresses(self.dataflow)]

    @property
    def transformations(self) -> list[str]:
        """The names of the transformations after the paths, e.g. `["read_delimited", "take"]`."""
        steps = _load(self.dataflow).get("transformations") or []
        return [step if isinstance(step, str) else next(iter(step)) for step in steps]


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """A saved dataset under a name. `dataset_id` is the same for all versions of the name."""

    dataset_id: str
    name: str
    version: int
    saved: SavedDataset
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    created: datetime
    modified: datetime


def check_dataset_name(name: object) -> str:
    """The name, or `Invalid`. Azure allows spaces ("diabetes dataset" is in its own courses)."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid("A dataset needs a name.")
    if len(name) > NAME_LIMIT or _BAD_NAME.search(name):
        raise Invalid(f"The dataset name {name[:300]!r} contains a slash or has more than {NAME_LIMIT} characters.")
    return name


def dataflow_of(definition: str) -> str:
    """The YAML inside a definition; a definition that is YAML already is returned unchanged."""
    if not definition.lstrip().startswith("{"):
        return definition
    content = read_json(definition, "The dataset's dataflow")
    meta = content.get("meta")
    found = meta.get(_DATAFLOW) if isinstance(meta, dict) else None
    if not isinstance(found, str):
        raise Invalid(
            "The dataset's dataflow has no RsDataflow: it was written by an azureml-dataprep before 4.0, "
            "which the local service does not read."
        )
    return found


def check_dataflow(definition: object) -> str:
    """The definition, or `Invalid` if its paths cannot be read."""
    if not isinstance(definition, str) or not definition.strip():
        raise Invalid("A dataset needs a dataflow.")
    for address in _addresses(dataflow_of(definition)):
        _source(address)
    return definition


def fingerprint(kind: DatasetKind, definition: str, properties: dict[str, Any]) -> str:
    """Equal for equal descriptions of data."""
    content = json.dumps([kind.value, dataflow_of(definition), properties], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def datastore_uri(workspace: Workspace, datastore: str, path: str) -> str:
    """`azureml://…/datastores/<datastore>/paths/<path>`: the address that the SDK writes into descriptions."""
    scope = f"{workspace.subscription}/resourcegroups/{workspace.resource_group}/workspaces/{workspace.name}"
    return f"azureml://subscriptions/{scope}/datastores/{datastore}/paths/{quote(path.lstrip('/'), safe='/*')}"


def folder_definition(workspace: Workspace, datastore: str, path: str) -> str:
    """The definition of all files below a folder of a datastore."""
    content = {
        "type": "mltable",
        "paths": [{"pattern": datastore_uri(workspace, datastore, path)}],
        "metadata": {"infer_column_types": "False"},
    }
    return _definition(content)


def with_transformations(definition: str, steps: Iterable[Mapping[str, Any]]) -> str:
    """A definition with more transformations after its paths."""
    content = dict(_load(dataflow_of(definition)))
    content["transformations"] = [*(content.get("transformations") or []), *steps]
    return _definition(content)


def kind_after(steps: Iterable[Mapping[str, Any]]) -> DatasetKind:
    """What transformations make of files: a table if one of them reads the files, else files."""
    is_read = any(name.startswith("read_") for step in steps for name in step)
    return DatasetKind.TABULAR if is_read else DatasetKind.FILE


def _definition(content: Mapping[str, Any]) -> str:
    dataflow = yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False)
    return json.dumps({"blocks": [], "meta": {_DATAFLOW: dataflow}})


def _addresses(dataflow: str) -> list[str]:
    paths = _load(dataflow).get("paths") or []
    try:
        return [str(entry) for path in paths for entry in path.values()]
    except AttributeError as error:
        raise Invalid("The dataset's paths must be a list of pattern, file or folder.") from error


def _source(address: str) -> Source:
    if not address.lower().startswith("azureml:"):
        return Source(None, address)
    found = _DATASTORE_PATH.fullmatch(address)
    if found is None:
        raise Invalid(f"The address {address!r} has no datastore.")
    return Source(found["datastore"], unquote(found["path"] or ""))


@lru_cache(maxsize=1024)
def _load(dataflow: str) -> dict[str, Any]:
    """The content of a description, which must not be changed: a step reads the same one five times."""
    try:
        content = yaml.load(dataflow, Loader=_Loader)  # noqa: S506 - a safe one
    except _NOT_YAML as error:
        raise Invalid(f"The dataset's dataflow is not YAML: {error}.") from error
    if not isinstance(content, dict):
        raise Invalid("The dataset's dataflow must be a mapping.")
    return content
