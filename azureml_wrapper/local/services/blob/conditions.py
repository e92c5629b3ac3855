"""Conditional headers: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since.

Results follow Microsoft Learn, "Specifying conditional headers for Blob service operations".
"""

from __future__ import annotations

from datetime import datetime

from azureml_wrapper.local.domain.clock import parse_http_time
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, PreconditionFailed
from azureml_wrapper.local.domain.limits import read_integer
from azureml_wrapper.local.domain.storage import Blob
from azureml_wrapper.local.http.messages import Request
from azureml_wrapper.local.store.blobs import Check


def check_write(request: Request) -> Check:
    """A check that raises if the blob before a write does not meet the request's conditions."""

    def check(blob: Blob | None) -> None:
        wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
        if blob is not None and unwanted == "*":
            raise Conflict("The specified blob already exists.", code="BlobAlreadyExists")
        if (blob is None and wanted is not None) or (
            blob and (_fails(request, blob) or _is_unchanged(request, blob))
        ):
            raise PreconditionFailed("The blob does not meet the request's conditions.")

    return check


def check_append(request: Request, position: str | None) -> Check:
    """Like `check_write`, and also raise if the blob is missing, of another type, or does not end at `position`."""

    def check(blob: Blob | None) -> None:
        if blob is None:
            raise NotFound("The specified blob does not exist.", code="BlobNotFound")
        check_write(request)(blob)
        if blob.kind != "AppendBlob":
            raise Conflict("The blob is not an append blob.", code="InvalidBlobType")
        if position and blob.size != read_integer(position, "x-ms-blob-condition-appendpos"):
            raise PreconditionFailed(
                f"The blob has {blob.size} bytes, not {position}.", code="AppendPositionConditionNotMet"
            )

    return check


def check_source(request: Request, source: Blob) -> None:
    """Raise if the source of a copy does not meet the request's conditions."""
    wanted, unwanted = request.headers.get("x-ms-source-if-match"), request.headers.get("x-ms-source-if-none-match")
    if (wanted is not None and not _names(wanted, source)) or (unwanted is not None and _names(unwanted, source)):
        raise PreconditionFailed(
            "The source blob does not meet the request's conditions.", code="SourceConditionNotMet"
        )


def is_unchanged(request: Request, blob: Blob) -> bool:
    """Whether to answer a read with 304; raise `PreconditionFailed` if another condition fails."""
    if _fails(request, blob):
        raise PreconditionFailed("The blob does not meet the request's conditions.")
    return _is_unchanged(request, blob)


def _fails(request: Request, blob: Blob) -> bool:
    wanted, since = request.headers.get("if-match"), _time(request, "if-unmodified-since")
    return (wanted is not None and not _names(wanted, blob)) or (since is not None and blob.modified > since)


def _is_unchanged(request: Request, blob: Blob) -> bool:
    unwanted, since = request.headers.get("if-none-match"), _time(request, "if-modified-since")
    if unwanted is not None:
        return _names(unwanted, blob)
    return since is not None and blob.modified <= since


def _names(header: str, blob: Blob) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or blob.etag in tags


def _time(request: Request, header: str) -> datetime | None:
    text = request.headers.get(header)
    if not text:
        return None
    try:
        return parse_http_time(text)
    except ValueError:
        raise Invalid(f"Invalid date in {header}: {text!r}.", code="InvalidHeaderValue") from None
