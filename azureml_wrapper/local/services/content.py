"""Snapshots of script folders (contract: azureml/_restclient/snapshots_client.py).

New files arrive in two steps: the client requests addresses and uploads to them, then creates the snapshot with the
address of each file. The uploads, and the zips that clients download, are in a container of the workspace.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from lzma import LZMAError
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zipfile import BadZipFile, ZipFile, is_zipfile

from azureml_wrapper.local.domain.errors import Invalid, TooLarge
from azureml_wrapper.local.domain.runs import without_logins
from azureml_wrapper.local.domain.shapes import check_shape
from azureml_wrapper.local.domain.snapshots import Snapshot, StoredFile, check_snapshot_id, read_tree
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context

_SNAPSHOT = {
    "ParentSnapshotId": str,
    "Properties": dict,
    "FileRevisionList": {"FileNodes": [{"FullName": str, "BlobUri": str}]},
}
# What zipfile raises for files that are damaged, encrypted, or of another kind of zip.
_BAD_ZIP = (
    BadZipFile,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
    LZMAError,
)
# Bytes of all files of an archive: the SDK's limit for a script folder. Users may raise that one; then the wrapper
# sends an archive of the size of its files.
ARCHIVE_LIMIT = 300 * 1024 * 1024
# Ten times the SDK's own limit (SNAPSHOT_MAX_FILES), which a variable turns off. Each needs a signature.
FILES_LIMIT = 20_000
_UPLOAD = re.compile(r"uploads/[0-9a-f-]{36}/[0-9]+|kept/[0-9a-f]{64}/[0-9]+")


def upload_name(folder: str, number: int) -> str:
    """The blob for file `number` of an upload."""
    return f"uploads/{folder}/{number}"


def snapshot_json(record: Snapshot) -> dict[str, Any]:
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
        archive = ZipFile(file)
    except _BAD_ZIP as error:
        raise Invalid(f"The body is not a valid zip file: {error}.") from error
    size, most = sum(item.file_size for item in archive.infolist()), max(ARCHIVE_LIMIT, file.stat().st_size)
    if size > most:
        archive.close()
        raise TooLarge(
            f"The files of the archive have {size} bytes; an archive of {file.stat().st_size} bytes may have {most}."
        )
    return archive


def read_member(archive: ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, *_BAD_ZIP) as error:
        raise Invalid(f"Cannot read file {name} of the archive: {error}.") from error


def zip_address(address: str) -> dict[str, str]:
    return {"zipSasUri": address}


def read_names(body: object) -> list[str]:
    """The files of an upload request."""
    names = _mapping(body).get("FileNames")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Invalid("FileNames must be a list of strings.")
    if len(names) > FILES_LIMIT:
        raise Invalid(f"FileNames has {len(names)} items; at most {FILES_LIMIT} are allowed. Upload data instead.")
    return names


def tree_of(body: object) -> object:
    return _mapping(body).get("DirTreeNode")


def read_parent(body: object) -> str | None:
    parent: str | None = _mapping(body).get("ParentSnapshotId")
    return parent


def read_properties(body: object) -> dict[str, str]:
    """What the SDK adds: the state of the folder's git repository, whose address may have a password."""
    given = _mapping(body).get("Properties") or {}
    return without_logins({str(key): str(value) for key, value in given.items()})


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


def get_latest(context: Context, request: Request) -> Response:
    return json_response(snapshot_json(context.snapshots.latest(request.workspace_id)))


def get_snapshot(context: Context, request: Request) -> Response:
    return json_response(snapshot_json(context.snapshots.get(request.workspace_id, request["snapshot_id"])))


def get_upload_addresses(context: Context, request: Request) -> Response:
    """An address for each file. Blobs are numbered, because a file's name may be invalid for a blob."""
    names = read_names(request.json())
    account, container, folder = _account(request), _container(request), context.ids.guid()
    context.blobs.ensure_container(account, container)
    blobs = [upload_name(folder, number) for number in range(len(names))]
    addresses = context.signatures.urls(account, container, blobs, permissions="rcw", for_sdk=True)
    return json_response(upload_addresses(names, addresses))


def take_archive(context: Context, request: Request) -> Response:
    """Take all files of an upload in one zip, as `0`, `1`, …, and return an address for each of them.

    The SDK needs two requests and a TLS connection for each file. The wrapper sends this archive instead.
    """
    account, container = _account(request), _container(request)
    with open_archive(request.body_file) as archive:
        names = [str(number) for number in range(len(archive.namelist()))]
        kept = [context.snapshots.keep(read_member(archive, name)) for name in names]
    addresses = [context.addresses.sdk_blob(account, container, kept_name(file)) for file in kept]
    return json_response(upload_addresses(names, addresses))


def create_snapshot(context: Context, request: Request) -> Response:
    body = request.json()
    check_snapshot_id(request["snapshot_id"])
    uploads = read_uploads(body, _container(request))
    blobs = {path: name for path, name in uploads.items() if not read_kept(name)}
    kept = {path: file for path, name in uploads.items() if (file := read_kept(name))}
    try:
        snapshot = context.snapshots.add(
            request.workspace_id,
            request["snapshot_id"],
            read_tree(tree_of(body)),
            {**_uploaded(context, request, blobs), **kept},
            parent_id=read_parent(body),
            properties=read_properties(body),
        )
        fault_point("snapshots.stored")
    finally:
        # Whatever the outcome: a client that retries uploads again.
        for blob in blobs.values():
            context.blobs.delete(_account(request), _container(request), blob)
    return json_response(snapshot_json(snapshot))


def zip_snapshot(context: Context, request: Request) -> Response:
    account, container, name = _account(request), _container(request), f"zips/{request['snapshot_id']}.zip"
    context.blobs.ensure_container(account, container)
    # Of an earlier request; one that a disk has damaged is made again.
    if not is_zipfile(context.blobs.path(account, container, name)):
        with context.blobs.receive() as target:
            context.snapshots.write_zip(request.workspace_id, request["snapshot_id"], target)
            context.blobs.put_file(account, container, name, target, content_type="application/zip")
    return json_response(zip_address(context.signatures.url(account, container, name)))


def _uploaded(context: Context, request: Request, blobs: Mapping[str, str]) -> dict[str, Path]:
    """The files of the blobs, by their path in the snapshot."""
    account, container = _account(request), _container(request)
    missing = [path for path, blob in blobs.items() if context.blobs.stat(account, container, blob) is None]
    if missing:
        raise Invalid(f"{len(missing)} files of the snapshot were not uploaded; the first one is {missing[0]!r}.")
    return {path: context.blobs.path(account, container, blob) for path, blob in blobs.items()}


def _account(request: Request) -> str:
    return request.workspace.storage_account


def _container(request: Request) -> str:
    return f"snapshots-{request.workspace_id}"


_V1 = "/content/v1.0{workspace_scope}/snapshots"
_V2 = "/content/v2.0{workspace_scope}/snapshots"

ROUTES = (
    Route("GET", _V1 + "/latest/metadata", get_latest),
    Route("GET", _V1 + "/{snapshot_id}/metadata", get_snapshot),
    Route("POST", _V2 + "/getblob", get_upload_addresses, runs=Runs.ADD),
    Route("POST", _V2 + "/archive", take_archive, streams=True, runs=Runs.ADD),
    Route("POST", _V2 + "/{snapshot_id}", create_snapshot, runs=Runs.ADD),
    Route("POST", _V2 + "/{snapshot_id}/zip", zip_snapshot, runs=Runs.READ),
)
