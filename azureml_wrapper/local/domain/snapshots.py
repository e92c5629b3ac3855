"""Snapshots: script folders as they were when a run was submitted.

A snapshot is a tree of nodes as the SDK sends it (azureml/_base_sdk_common/merkle_tree.py): `name`, `type`
(File or Directory), `hash`, `timestamp`, and `children` by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.shapes import Needed, check_shape

Node = dict[str, Any]

# The snapshot of `snapshots/latest/metadata` before anything has been uploaded. It exists: the SDK uses this id for a
# folder without files, and then sends nothing (azureml/_restclient/snapshots_client.py, create_snapshot).
EMPTY_ID = "00000000-0000-0000-0000-000000000000"

DIRECTORY, FILE = "Directory", "File"
# The file systems' own limit for one name, in bytes.
NAME_LIMIT = 255
DEPTH_LIMIT = 100
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


class StoredFile(NamedTuple):
    """A file's content: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A script folder. `files` has the content of every file of `tree` by its path, e.g. `lib/util.py`."""

    snapshot_id: str
    tree: Node
    files: Mapping[str, StoredFile]
    parent_id: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None

    @property
    def folders(self) -> list[str]:
        """Every folder below the root, parents first."""
        return [path for path, node in walk(self.tree) if node["type"] == DIRECTORY]

    @cached_property
    def content_hash(self) -> str:
        """Equal for folders with equal files, no matter when and by whom they were uploaded."""
        digest = hashlib.sha256()
        for path in sorted(self.files):
            digest.update(f"{path}\0{self.files[path].sha256}\n".encode())
        return digest.hexdigest()


def empty_tree() -> Node:
    """The tree of an empty folder."""
    # The SDK's hash of a folder is the SHA-512 of its children's hashes.
    return {
        "name": "",
        "type": DIRECTORY,
        "hash": hashlib.sha512().hexdigest(),
        "timestamp": "0001-01-01T00:00:00",
        "children": {},
    }


def check_snapshot_id(snapshot_id: str) -> None:
    """Raise `Invalid` for an id that is invalid in a path; the SDK uses GUIDs."""
    if not _ID.fullmatch(snapshot_id):
        raise Invalid(f"Invalid snapshot id {snapshot_id[:300]!r}: use 1 to 100 letters, digits and dashes.")


def read_tree(given: object) -> Node:
    """A client's tree, checked and with sorted children; `Invalid` if a name could leave its folder."""
    if not isinstance(given, dict) or given.get("type") != DIRECTORY:
        raise Invalid("A snapshot needs a DirTreeNode that is a directory.")
    return _read_node(given, "", depth=0)


def walk(tree: Node) -> Iterator[tuple[str, Node]]:
    """Every node below the root with its path, parents first."""
    waiting = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for name, child in node["children"].items():
            path = f"{prefix}{name}"
            yield path, child
            if child["type"] == DIRECTORY:
                waiting.append((f"{path}/", child))


def file_nodes(tree: Node) -> dict[str, Node]:
    """The files of a tree by path."""
    return {path: node for path, node in walk(tree) if node["type"] == FILE}


def _read_node(given: Mapping[str, Any], name: str, *, depth: int) -> Node:
    check_shape(given, Needed({"type": str, "hash": str, "timestamp": str, "children": dict}), f"Node {name[:300]!r}")
    kind = given.get("type")
    if kind not in (DIRECTORY, FILE) or depth > DEPTH_LIMIT:
        raise Invalid(
            f"The snapshot's node {name!r} is not a file or folder, or is nested more than {DEPTH_LIMIT} deep."
        )
    return {
        "name": name,
        "type": kind,
        "hash": given.get("hash"),
        "timestamp": given.get("timestamp"),
        "children": _read_children(given, depth) if kind == DIRECTORY else {},
    }


def _read_children(given: Mapping[str, Any], depth: int) -> dict[str, Node]:
    children = given.get("children") or {}
    # The SDK compares two trees side by side, and relies on this order (merkle_tree_differ.py).
    return {_check_name(name): _read_node(children[name], name, depth=depth + 1) for name in sorted(children)}


def _check_name(name: str) -> str:
    if name in ("", ".", "..") or "\0" in name or PurePosixPath(name).name != name:
        raise Invalid(f"{name[:300]!r} cannot be the name of a file in a snapshot.")
    if len(name.encode()) > NAME_LIMIT:
        raise Invalid(f"The file name {name[:60]!r}… has more than {NAME_LIMIT} bytes.")
    return name
