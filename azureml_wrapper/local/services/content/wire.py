"""JSON of the content service."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zipfile import BadZipFile, ZipFile

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.shapes import check_shape
from azureml_wrapper.local.domain.snapshots import Snapshot, StoredFile

_SNAPSHOT = {
    "ParentSnapshotId": str,
    "Properties": dict,
    "FileRevisionList": {"FileNodes": [{"FullName": str, "BlobUri": str}]},
}
_UPLOAD = re.compile(r"uploads/[0-9a-f-]{36}/[0-9]+|kept/[0-9a-f]{64}/[0-9]+")


def upload_name(folder: str, number: int) -> str:
    """The blob for file `number` of an upload."""
    return f"uploads/{folder}/{number}"


def snapshot(record: Snapshot) -> dict[str, Any]:
    return {"id": record.snapshot_id, "root": record.tree, "parentSnapshotId": record.parent_id}


def upload_addresses(names: Sequence[str], addresses: Sequence[str]) -> dict[str, Any]:
    pairs = zip(names, addresses, strict=True)
    return {"fileNodes": [{"fullName": name, "blobUri": address} for name, address in pairs]}


def kept_name(file: StoredFile) -> str:
    """The name in the address of a file whose content is already stored. No blob has this name."""
    return f"kept/{file.sha256}/{file.size}"


def read_kept(name: str) -> StoredFile | None:
    """The content that a `kept_name` stands for; None for the name of a blob."""
    kind, first, second = name.split("/")
    return StoredFile(first, int(second)) if kind == "kept" else None


def open_archive(file: Path | None) -> ZipFile:
    if file is None:
        raise Invalid("The body is not a valid zip file.")
    try:
        return ZipFile(file)
    except BadZipFile as error:
        raise Invalid(f"The body is not a valid zip file: {error}.") from error


def read_member(archive: ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, BadZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
        raise Invalid(f"Cannot read file {name} of the archive: {error}.") from error


def zip_address(address: str) -> dict[str, str]:
    return {"zipSasUri": address}


def read_names(body: object) -> list[str]:
    """The files of an upload request."""
    names = _mapping(body).get("FileNames")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Invalid("FileNames must be a list of strings.")
    return names


def tree_of(body: object) -> object:
    return _mapping(body).get("DirTreeNode")


def read_parent(body: object) -> str | None:
    parent: str | None = _mapping(body).get("ParentSnapshotId")
    return parent


def read_properties(body: object) -> dict[str, str]:
    """What the SDK adds: the state of the folder's git repository."""
    given = _mapping(body).get("Properties") or {}
    return {str(key): str(value) for key, value in given.items()}


def read_uploads(body: object, container: str) -> dict[str, str]:
    """The blob of each new file by path; raise `Invalid` for an address that this service did not issue."""
    revisions = _mapping(body).get("FileRevisionList") or {}
    nodes = revisions.get("FileNodes") or []
    return {str(node.get("FullName")): _blob_name(str(node.get("BlobUri")), container) for node in nodes}


def _blob_name(address: str, container: str) -> str:
    prefix = f"/{container}/"
    try:
        path = unquote(urlsplit(address).path)
    except ValueError:
        path = ""
    name = path.removeprefix(prefix)
    if not path.startswith(prefix) or not _UPLOAD.fullmatch(name):
        raise Invalid("A file of the snapshot has an address that this service did not issue.")
    return name


def _mapping(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise Invalid("The body must be a JSON object.")
    check_shape(body, _SNAPSHOT, "Snapshot")
    return body
