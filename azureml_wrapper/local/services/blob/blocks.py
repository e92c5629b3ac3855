"""Operations on blocks: Put Block, Put Block List, Get Block List."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.http.messages import Request, Response, empty
from azureml_wrapper.local.services.blob import conditions, wire
from azureml_wrapper.local.services.blob.handlers import body_of, where
from azureml_wrapper.local.services.context import Context


def put_block(context: Context, request: Request) -> Response:
    account, container, name = where(request)
    _check_container(context, account, container)
    body = body_of(request)
    md5 = wire.checked_md5(body, request.headers.get("content-md5"))
    context.blocks.stage(account, container, name, request.query.get("blockid", ""), source=body)
    return empty(201, {"Content-MD5": md5, "x-ms-request-server-encrypted": "true"})


def put_block_list(context: Context, request: Request) -> Response:
    account, container, name = where(request)
    _check_container(context, account, container)
    blob = context.blocks.commit(
        account,
        container,
        name,
        wire.block_picks(request.body),
        headers=wire.content_headers(request),
        metadata=wire.metadata(request),
        md5=request.headers.get("x-ms-blob-content-md5"),
        check=conditions.check_write(request),
    )
    return empty(201, wire.written(blob))


def get_block_list(context: Context, request: Request) -> Response:
    account, container, name = where(request)
    _check_container(context, account, container)
    blob, staged = context.blobs.stat(account, container, name), context.blocks.staged(account, container, name)
    if blob is None and not staged:
        raise NotFound("The specified blob does not exist.", code="BlobNotFound")
    which = request.query.get("blocklisttype", "committed").lower()
    lists = {}
    if which in ("committed", "all"):
        lists["CommittedBlocks"] = list(blob.blocks) if blob else []
    if which in ("uncommitted", "all"):
        lists["UncommittedBlocks"] = staged
    headers = {"x-ms-blob-content-length": str(blob.size if blob else 0)}
    return wire.xml(wire.block_list(lists), headers={**headers, **(wire.written(blob) if blob else {})})


def _check_container(context: Context, account: str, container: str) -> None:
    if not context.blobs.has_container(account, container):
        raise NotFound("The specified container does not exist.", code="ContainerNotFound")
