"""Headers and XML of the blob endpoint."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from html import unescape
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from azureml_wrapper.local.domain.errors import Invalid, OutOfRange, ServiceFault
from azureml_wrapper.local.domain.storage import FOLDER_MARK, Blob, InvalidName, Prefix
from azureml_wrapper.local.http.messages import Request, Response

META = "x-ms-meta-"
# Content headers: clients set them (`x-ms-blob-…`, or the plain header in Put Blob), and reads return them.
CONTENT_HEADERS = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control")
_LISTED_HEADERS = tuple((name, name.title()) for name in CONTENT_HEADERS[1:])
# A signature may override them: `rsct=text/csv`.
_REPLACED = {"rsct": "Content-Type", "rsce": "Content-Encoding", "rscl": "Content-Language"}
_REPLACED |= {"rscd": "Content-Disposition", "rscc": "Cache-Control"}
_META_NAME = re.compile(r"[a-z_][a-z0-9_.-]*")
_PICK = re.compile(r"<(Committed|Uncommitted|Latest)>([^<]*)</\1>")
RANGE_MD5 = "x-ms-range-get-content-md5"
RANGE_MD5_LIMIT = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,20})-([0-9]{0,20})")
_STATUS_CODES = {404: "ResourceNotFound", 400: "InvalidInput", 403: "AuthenticationFailed", 500: "InternalError"}
# A full disk must not be a 5xx: the storage clients would retry for a minute.
_STATUSES = {507: 413}


# Requests ------------------------------------------------------------------------------------------------------


def metadata(request: Request) -> dict[str, str]:
    """The blob metadata that a request sets, with lowercase names."""
    found = {name[len(META) :]: value for name, value in request.headers.items() if name.startswith(META)}
    if wrong := [name for name in found if not _META_NAME.fullmatch(name)]:
        raise Invalid(
            f"Invalid metadata name {wrong[0]!r}: allowed are letters, digits and '_'.", code="InvalidMetadata"
        )
    return found


def content_headers(request: Request, *, plain: bool = False) -> dict[str, str]:
    """The content headers that a request sets; with `plain`, also those without `x-ms-blob-`."""
    values = {
        name: request.headers.get(f"x-ms-blob-{name}") or (request.headers.get(name) if plain else None)
        for name in CONTENT_HEADERS
    }
    return {name: value for name, value in values.items() if value}


def is_folder_mark(request: Request) -> bool:
    size = request.headers.get("content-length", "0")
    return size == "0" and request.headers.get(META + FOLDER_MARK, "").lower() == "true"


def byte_range(request: Request, size: int) -> tuple[int, int] | None:
    """(start, length) of the requested bytes; None for all."""
    text = request.headers.get("x-ms-range") or request.headers.get("range")
    if not text:
        return None
    found = _RANGE.fullmatch(text)
    start = int(found[1]) if found else 0
    end = min(int(found[2] or size), size - 1) if found else -1
    if not found or (found[2] and int(found[2]) < start):
        raise Invalid(
            f"Invalid range {text!r}: expected 'bytes=first-last' or 'bytes=first-'.", code="InvalidHeaderValue"
        )
    if start >= size:
        raise OutOfRange(f"The range {text} starts behind the end of the blob, which has {size} bytes.")
    return start, end - start + 1


def block_picks(body: bytes) -> list[tuple[str, str]]:
    """(list, block id) of each entry of a Put Block List."""
    text = body.decode("utf-8-sig", "replace")
    if "<BlockList" not in text:
        raise Invalid("The body is not a BlockList.", code="InvalidXmlDocument")
    return [(which, unescape(block.strip())) for which, block in _PICK.findall(text)]


def checked_md5(path: Path, wanted: str | None) -> str:
    """The file's MD5 in base64; raise `Invalid` if it differs from the request's Content-MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    found = base64.b64encode(digest.digest()).decode()
    if wanted and wanted != found:
        raise Invalid(f"MD5 mismatch: Content-MD5 is {wanted}, the body has {found}.", code="Md5Mismatch")
    return found


def asks_range_md5(request: Request) -> bool:
    return request.headers.get(RANGE_MD5, "").lower() == "true"


def check_range_md5(request: Request, part: tuple[int, int] | None) -> None:
    """The MD5 of a range is available only for ranges of up to 4 MiB (Microsoft Learn, "Get Blob")."""
    if asks_range_md5(request) and (part is None or part[1] > RANGE_MD5_LIMIT):
        raise Invalid(
            f"{RANGE_MD5} requires a range of at most {RANGE_MD5_LIMIT} bytes.", code="OutOfRangeQueryParameterValue"
        )


def range_md5(path: Path, start: int, length: int) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return base64.b64encode(hashlib.md5(file.read(length), usedforsecurity=False).digest()).decode()


def marker_of(name: str) -> str:
    """The name after which a listing continues, as an opaque token."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def name_of(marker: str) -> str:
    try:
        return base64.b64decode(marker, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Invalid(
            f"Invalid marker {marker[:100]!r}: it does not come from this service.",
            code="OutOfRangeQueryParameterValue",
        ) from None


# Headers -------------------------------------------------------------------------------------------------------


def written(blob: Blob) -> dict[str, str]:
    """Headers of the response to a write."""
    md5 = {"Content-MD5": blob.md5} if blob.md5 else {}
    return {**_version(blob.etag, blob.modified), **md5, "x-ms-request-server-encrypted": "true"}


def properties(blob: Blob) -> dict[str, str]:
    """Headers of the response to a read."""
    return {
        **_version(blob.etag, blob.modified),
        "Content-Type": blob.content_type,
        **{name.title(): value for name, value in blob.headers.items() if name != "content-type"},
        **({"Content-MD5": blob.md5} if blob.md5 else {}),
        **{META + name: value for name, value in blob.metadata.items()},
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": blob.kind,
        "x-ms-creation-time": http_time(blob.created),
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "true",
        # An uploaded page must not run as if the service had made it.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }


def replaced(query: Mapping[str, str]) -> dict[str, str]:
    """Content headers that a signature overrides."""
    return {header: query[name] for name, header in _REPLACED.items() if query.get(name) and "sig" in query}


def container_properties(etag: str, modified: datetime) -> dict[str, str]:
    return {
        **_version(etag, modified),
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-has-immutability-policy": "false",
        "x-ms-has-legal-hold": "false",
    }


@lru_cache(4096)
def http_time(instant: datetime) -> str:
    """`Wed, 05 Oct 2022 18:03:07 GMT`."""
    return format_datetime(instant, usegmt=True)


def _version(etag: str, modified: datetime) -> dict[str, str]:
    return {"ETag": f'"{etag}"', "Last-Modified": http_time(modified), "x-ms-version": "2021-08-06"}


# XML -----------------------------------------------------------------------------------------------------------


def xml(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8"?>{body}'
    return Response(text, status, headers=headers, media_type="application/xml")


def fault(error: ServiceFault, request: Request) -> Response:
    """A fault as XML, so that storage clients recognise its code."""
    code = error.code if error.code != "UserError" else _STATUS_CODES.get(error.status, "InvalidInput")
    code = "InvalidResourceName" if isinstance(error, InvalidName) else code
    headers = {"x-ms-error-code": code, "x-ms-version": "2021-08-06"}
    body = "" if request.method == "HEAD" else f"<Error>{_tag('Code', code)}{_tag('Message', error.message)}</Error>"
    return xml(body, _STATUSES.get(error.status, error.status), headers)


def listing(request: Request, items: Iterable[Blob | Prefix], *, endpoint: str, limit: int, next_marker: str) -> str:
    """The response to List Blobs."""
    asked = {"Prefix": "prefix", "Marker": "marker", "Delimiter": "delimiter"}
    head = "".join(_tag(tag, request.query[name]) for tag, name in asked.items() if request.query.get(name))
    with_metadata = "metadata" in request.query.get("include", "").split(",")
    blobs = "".join(_item(item, with_metadata=with_metadata) for item in items)
    return (
        f"<EnumerationResults ServiceEndpoint={quoteattr(endpoint)} ContainerName={quoteattr(request['container'])}>"
        f"{head}<MaxResults>{limit}</MaxResults><Blobs>{blobs}</Blobs>"
        f"{_tag('NextMarker', next_marker)}</EnumerationResults>"
    )


def containers(names: Iterable[tuple[str, str, datetime]], endpoint: str) -> str:
    """The response to List Containers, from (name, ETag, time)."""
    entries = "".join(
        f"<Container>{_tag('Name', name)}<Properties>{_tag('Last-Modified', http_time(modified))}"
        f"{_tag('Etag', etag)}<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        "</Properties></Container>"
        for name, etag, modified in names
    )
    return (
        f"<EnumerationResults ServiceEndpoint={quoteattr(endpoint)}><Containers>{entries}</Containers>"
        "<NextMarker/></EnumerationResults>"
    )


def block_list(lists: Mapping[str, Iterable[tuple[str, int]]]) -> str:
    """The response to Get Block List: `CommittedBlocks` and `UncommittedBlocks`."""
    parts = [f"<{name}>{''.join(_block(*block) for block in blocks)}</{name}>" for name, blocks in lists.items()]
    return f"<BlockList>{''.join(parts)}</BlockList>"


def _block(block: str, size: int) -> str:
    return f"<Block>{_tag('Name', block)}<Size>{size}</Size></Block>"


def _item(item: Blob | Prefix, *, with_metadata: bool) -> str:
    if isinstance(item, Prefix):
        return f"<BlobPrefix>{_tag('Name', item.name)}</BlobPrefix>"
    own = "".join(_tag(name, value) for name, value in item.metadata.items())
    kept = f"<Metadata>{own}</Metadata>" if with_metadata else ""
    # One f-string, because a page has thousands of these.
    return (
        f"<Blob>{_tag('Name', item.name)}<Properties><Creation-Time>{http_time(item.created)}</Creation-Time>"
        f"<Last-Modified>{http_time(item.modified)}</Last-Modified><Etag>{item.etag}</Etag>"
        f"<Content-Length>{item.size}</Content-Length>{_tag('Content-Type', item.content_type)}"
        f"{''.join(_tag(title, item.headers.get(name, '')) for name, title in _LISTED_HEADERS)}"
        f"{_tag('Content-MD5', item.md5 or '')}<BlobType>{item.kind}</BlobType><AccessTier>Hot</AccessTier>"
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted>"
        f"</Properties>{kept}</Blob>"
    )


def _tag(name: str, value: str) -> str:
    return f"<{name}>{escape(value)}</{name}>" if value else f"<{name}/>"
