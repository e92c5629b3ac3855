"""Operations on snapshots.

New files arrive in two steps: the client requests addresses and uploads to them, then creates the snapshot with the
address of each file. The uploads, and the zips that clients download, are in a container of the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.snapshots import check_snapshot_id, read_tree
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.content import wire
from azureml_wrapper.local.services.context import Context


def get_latest(context: Context, request: Request) -> Response:
    return json_response(wire.snapshot(context.snapshots.latest(request.workspace_id)))


def get_snapshot(context: Context, request: Request) -> Response:
    return json_response(wire.snapshot(context.snapshots.get(request.workspace_id, request["snapshot_id"])))


def get_upload_addresses(context: Context, request: Request) -> Response:
    """An address for each file. Blobs are numbered, because a file's name may be invalid for a blob."""
    names = wire.read_names(request.json())
    account, container, folder = _account(request), _container(request), context.ids.guid()
    context.blobs.ensure_container(account, container)
    addresses = [
        context.signatures.url(account, container, wire.upload_name(folder, number), permissions="rcw")
        for number in range(len(names))
    ]
    return json_response(wire.upload_addresses(names, addresses))


def take_archive(context: Context, request: Request) -> Response:
    """Take all files of an upload in one zip, as `0`, `1`, …, and return an address for each of them.

    The SDK needs two requests and a TLS connection for each file. The wrapper sends this archive instead.
    """
    account, container = _account(request), _container(request)
    with wire.open_archive(request.body_file) as archive:
        names = [str(number) for number in range(len(archive.namelist()))]
        kept = [context.snapshots.keep(wire.read_member(archive, name)) for name in names]
    addresses = [context.addresses.blob(account, container, wire.kept_name(file)) for file in kept]
    return json_response(wire.upload_addresses(names, addresses))


def create_snapshot(context: Context, request: Request) -> Response:
    body = request.json()
    check_snapshot_id(request["snapshot_id"])
    uploads = wire.read_uploads(body, _container(request))
    blobs = {path: name for path, name in uploads.items() if not wire.read_kept(name)}
    kept = {path: file for path, name in uploads.items() if (file := wire.read_kept(name))}
    try:
        snapshot = context.snapshots.add(
            request.workspace_id,
            request["snapshot_id"],
            read_tree(wire.tree_of(body)),
            {**_uploaded(context, request, blobs), **kept},
            parent_id=wire.read_parent(body),
            properties=wire.read_properties(body),
        )
    finally:
        # Whatever the outcome: a client that retries uploads again.
        for blob in blobs.values():
            context.blobs.delete(_account(request), _container(request), blob)
    return json_response(wire.snapshot(snapshot))


def zip_snapshot(context: Context, request: Request) -> Response:
    account, container, name = _account(request), _container(request), f"zips/{request['snapshot_id']}.zip"
    context.blobs.ensure_container(account, container)
    if context.blobs.stat(account, container, name) is None:
        with context.blobs.receive() as target:
            context.snapshots.write_zip(request.workspace_id, request["snapshot_id"], target)
            context.blobs.put_file(account, container, name, target, content_type="application/zip")
    return json_response(wire.zip_address(context.signatures.url(account, container, name)))


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
    Route("POST", _V2 + "/getblob", get_upload_addresses),
    Route("POST", _V2 + "/archive", take_archive, streams=True),
    Route("POST", _V2 + "/{snapshot_id}", create_snapshot),
    Route("POST", _V2 + "/{snapshot_id}/zip", zip_snapshot, reads=True),
)
