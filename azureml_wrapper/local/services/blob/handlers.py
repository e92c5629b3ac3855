"""Operations on blobs, their blocks, and containers.

`request.identity.account` is the account that the request may use.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.storage import Blob, without_dots
from azureml_wrapper.local.http.application import Frontend
from azureml_wrapper.local.http.messages import Request, Response, empty, file_response
from azureml_wrapper.local.http.routing import Route, Router, Runs
from azureml_wrapper.local.services.blob import conditions, wire
from azureml_wrapper.local.services.blob.authentication import authenticator
from azureml_wrapper.local.services.context import Context

# Azure's maximum.
PAGE = 5000
_SERVICE_PROPERTIES = (
    "<StorageServiceProperties><Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read>"
    "<Write>false</Write><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>"
    "<DefaultServiceVersion>2021-08-06</DefaultServiceVersion></StorageServiceProperties>"
)
# Not supported by this store: refused rather than silently ignored.
_REFUSED_HEADERS = {
    "x-ms-lease-id": "leases",
    "x-ms-encryption-key": "customer-provided keys",
    "x-ms-encryption-scope": "encryption scopes",
    "x-ms-tags": "blob index tags",
    "x-ms-content-crc64": "CRC64 checksums",
    "x-ms-if-tags": "blob index tags",
}
_REFUSED_QUERY = {"snapshot": "snapshots", "versionid": "versions"}


def target_of(request: Request) -> tuple[str, str, str]:
    """Account, container and name of the blob in a request."""
    for names, given in ((_REFUSED_HEADERS, request.headers), (_REFUSED_QUERY, request.query)):
        for name in names.keys() & given.keys():
            raise Unsupported(f"The local storage does not support {names[name]} ({name}).")
    return request.identity.account, request["container"], without_dots(request["name"])


def existing_blob(context: Context, request: Request) -> Blob:
    """The blob of a request; raise `NotFound` with a code for the container or the blob."""
    account, container, name = target_of(request)
    _check_container(context, account, container)
    found = context.blobs.stat(account, container, name)
    if found is None:
        raise NotFound("The specified blob does not exist.", code="BlobNotFound")
    return found


def body_of(request: Request) -> Path:
    """The file with the request's body; the routes of these handlers stream."""
    if request.body_file is None:
        raise Invalid(f"{request.method} {request.path} has no body.")
    return request.body_file


def put_blob(context: Context, request: Request) -> Response:
    """Put Blob and Copy Blob; also the empty blob that marks a folder."""
    if "x-ms-copy-source" in request.headers:
        return _copy_blob(context, request)
    kind = request.headers.get("x-ms-blob-type", "")
    if kind not in ("BlockBlob", "AppendBlob"):
        raise Unsupported(f"Unsupported x-ms-blob-type {kind!r}: the local storage has BlockBlob and AppendBlob.")
    if wire.is_folder_mark(request):
        blob = context.blobs.make_marked_folder(*target_of(request), wire.metadata(request))
        return empty(201, wire.written(blob))
    body = body_of(request)
    blob = context.blobs.put_file(
        *target_of(request),
        body,
        headers=wire.content_headers(request, plain=True),
        metadata=wire.metadata(request),
        md5=wire.checked_md5(body, request.headers.get("content-md5")),
        kind=kind,
        check=conditions.check_write(request),
    )
    return empty(201, wire.written(blob))


def _copy_blob(context: Context, request: Request) -> Response:
    account, container, name = target_of(request)
    source = _source(request)
    from_container, _, from_name = unquote(source.path).lstrip("/").partition("/")
    owner = source.netloc.partition(".")[0]
    if source.netloc.rpartition("@")[2] != context.addresses.host or owner not in (account, "127"):
        raise Unsupported("The local storage copies blobs only within one account.")
    before = context.blobs.get(account, from_container, from_name)
    conditions.check_source(request, before)
    blob = context.blobs.copy(
        before,
        context.blobs.path(account, from_container, from_name),
        to=(account, container, name),
        metadata=wire.metadata(request) or before.metadata,
        check=conditions.check_write(request),
    )
    headers = {"x-ms-copy-id": context.ids.guid(), "x-ms-copy-status": "success"}
    return empty(202, {**wire.written(blob), **headers})


def _source(request: Request) -> SplitResult:
    try:
        return urlsplit(request.headers["x-ms-copy-source"])
    except ValueError as error:
        raise Invalid(f"Invalid x-ms-copy-source: {error}.", code="InvalidHeaderValue") from error


def append_block(context: Context, request: Request) -> Response:
    existing_blob(context, request)
    body = body_of(request)
    wire.checked_md5(body, request.headers.get("content-md5"))
    position = request.headers.get("x-ms-blob-condition-appendpos")
    blob = context.blobs.append(*target_of(request), body, check=conditions.check_append(request, position))
    added = body.stat().st_size
    return empty(201, {**wire.written(blob), "x-ms-blob-append-offset": str(blob.size - added)})


def get_blob(context: Context, request: Request) -> Response:
    """Get Blob, with or without a range."""
    blob = existing_blob(context, request)
    if conditions.is_unchanged(request, blob):
        return empty(304, wire.written(blob))
    headers = {**wire.properties(blob), **wire.replaced(request.query)}
    part = wire.byte_range(request, blob.size)
    if not blob.size:
        return empty(200, headers)
    path = context.blobs.path(*target_of(request))
    wire.check_range_md5(request, part)
    if part is None:
        return file_response(path, length=blob.size, headers=headers)
    start, length = part
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{blob.size}"
    if md5 := headers.pop("Content-MD5", None):
        headers["x-ms-blob-content-md5"] = md5
    if wire.asks_range_md5(request):
        headers["Content-MD5"] = wire.range_md5(path, start, length)
    return file_response(path, start=start, length=length, status=206, headers=headers)


def head_blob(context: Context, request: Request) -> Response:
    """Get Blob Properties, Get Blob Metadata."""
    blob = existing_blob(context, request)
    if conditions.is_unchanged(request, blob):
        return empty(304, wire.written(blob))
    headers = {**wire.properties(blob), **wire.replaced(request.query)}
    # A GET of the metadata has no body; a HEAD reports the size of the body that GET would return.
    size = blob.size if request.method == "HEAD" else 0
    return empty(200, {**headers, "Content-Length": str(size)})


def set_metadata(context: Context, request: Request) -> Response:
    existing_blob(context, request)
    blob = context.blobs.set_properties(
        *target_of(request), metadata=wire.metadata(request), check=conditions.check_write(request)
    )
    return empty(200, wire.written(blob))


def set_properties(context: Context, request: Request) -> Response:
    """Set Blob Properties; as in Azure, omitted content headers are cleared."""
    existing_blob(context, request)
    blob = context.blobs.set_properties(
        *target_of(request),
        headers=wire.content_headers(request),
        md5=request.headers.get("x-ms-blob-content-md5"),
        check=conditions.check_write(request),
    )
    return empty(200, wire.written(blob))


def delete_blob(context: Context, request: Request) -> Response:
    existing_blob(context, request)
    context.blobs.delete(*target_of(request), check=conditions.check_write(request))
    return empty(202, {"x-ms-delete-type-permanent": "true"})


def put_block(context: Context, request: Request) -> Response:
    account, container, name = target_of(request)
    _check_container(context, account, container)
    body = body_of(request)
    md5 = wire.checked_md5(body, request.headers.get("content-md5"))
    context.blocks.stage(account, container, name, request.query.get("blockid", ""), source=body)
    return empty(201, {"Content-MD5": md5, "x-ms-request-server-encrypted": "true"})


def put_block_list(context: Context, request: Request) -> Response:
    account, container, name = target_of(request)
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
    account, container, name = target_of(request)
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


def list_blobs(context: Context, request: Request) -> Response:
    account, container = _container_of(context, request)
    query, limit = request.query, _limit(request)
    marker = wire.name_of(query["marker"]) if query.get("marker") else ""
    items = context.blobs.page(
        account,
        container,
        query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        marker=marker,
        limit=limit + 1,
    )
    more = wire.marker_of(items[limit - 1].name) if len(items) > limit else ""
    endpoint = context.addresses.sdk_blob(account, "", "").rstrip("/") + "/"
    return wire.xml(wire.listing(request, items[:limit], endpoint=endpoint, limit=limit, next_marker=more))


def create_container(context: Context, request: Request) -> Response:
    if wire.metadata(request):
        raise Unsupported("The local storage does not store metadata of containers.")
    account, container = request.identity.account, request["container"]
    if not context.blobs.ensure_container(account, container):
        raise Conflict("The specified container already exists.", code="ContainerAlreadyExists")
    return empty(201, _container_headers(context, account, container))


def container_properties(context: Context, request: Request) -> Response:
    """Get Container Properties, Get Container Metadata (always empty)."""
    return empty(200, _container_headers(context, *_container_of(context, request)))


def delete_container(context: Context, request: Request) -> Response:
    context.blobs.delete_container(*_container_of(context, request))
    return empty(202)


def list_containers(context: Context, request: Request) -> Response:
    account, prefix = request.identity.account, request.query.get("prefix", "")
    names = [name for name in context.blobs.containers(account) if name.startswith(prefix)]
    found = [(name, *context.blobs.container(account, name).version()) for name in names]
    return wire.xml(wire.containers(found, context.addresses.sdk_blob(account, "", "").rstrip("/") + "/"))


def service_properties(_: Context, __: Request) -> Response:
    return wire.xml(_SERVICE_PROPERTIES)


def account_information(_: Context, __: Request) -> Response:
    return empty(200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"})


def _container_of(context: Context, request: Request) -> tuple[str, str]:
    account, container = request.identity.account, request["container"]
    _check_container(context, account, container)
    return account, container


def _container_headers(context: Context, account: str, container: str) -> dict[str, str]:
    return wire.container_properties(*context.blobs.container(account, container).version())


def _limit(request: Request) -> int:
    text = request.query.get("maxresults") or str(PAGE)
    if not is_number(text) or int(text) < 1:
        raise Invalid(
            f"Invalid maxresults {text[:80]!r}: expected an integer ≥ 1.", code="OutOfRangeQueryParameterValue"
        )
    return min(int(text), PAGE)


_ACCOUNT, _CONTAINER, _BLOB = "/", "/{container}", "/{container}/{name:rest}"
_PLAIN = {"restype": "container", "comp": None}
_METADATA = {"restype": "container", "comp": "metadata"}

ROUTES = (
    Route("GET", _ACCOUNT, list_containers, {"comp": "list"}),
    Route("GET", _ACCOUNT, service_properties, {"restype": "service", "comp": "properties"}),
    Route("GET", _ACCOUNT, account_information, {"restype": "account", "comp": "properties"}),
    Route("HEAD", _ACCOUNT, account_information, {"restype": "account", "comp": "properties"}),
    Route("GET", _CONTAINER, list_blobs, {"restype": "container", "comp": "list"}),
    Route("PUT", _CONTAINER, create_container, _PLAIN),
    Route("DELETE", _CONTAINER, delete_container, _PLAIN),
    *(Route(method, _CONTAINER, container_properties, _PLAIN) for method in ("GET", "HEAD")),
    *(Route(method, _CONTAINER, container_properties, _METADATA) for method in ("GET", "HEAD")),
    Route("GET", _BLOB, get_blob, {"comp": None}),
    Route("HEAD", _BLOB, head_blob, {"comp": None}),
    Route("PUT", _BLOB, put_blob, {"comp": None, "restype": None}, streams=True, runs=Runs.DATA),
    Route("DELETE", _BLOB, delete_blob, {"comp": None, "restype": None}, runs=Runs.DATA),
    Route("PUT", _BLOB, put_block, {"comp": "block"}, streams=True, runs=Runs.DATA),
    Route("PUT", _BLOB, put_block_list, {"comp": "blocklist"}, runs=Runs.DATA),
    Route("GET", _BLOB, get_block_list, {"comp": "blocklist"}),
    Route("PUT", _BLOB, append_block, {"comp": "appendblock"}, streams=True, runs=Runs.DATA),
    *(Route(method, _BLOB, head_blob, {"comp": "metadata"}) for method in ("GET", "HEAD")),
    Route("PUT", _BLOB, set_metadata, {"comp": "metadata"}, runs=Runs.DATA),
    Route("PUT", _BLOB, set_properties, {"comp": "properties"}, runs=Runs.DATA),
)


def frontend(context: Context) -> Frontend:
    """The storage side of the application: its routes, authentication and XML errors."""
    return Frontend(router=Router(ROUTES), authenticate=authenticator(context), answer_fault=wire.fault)
