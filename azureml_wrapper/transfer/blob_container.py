"""A container of blob storage, and the requests that transfers need: list, put, blocks, copy, delete."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode
from xml.sax.saxutils import escape, unescape

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.signatures import SharedAccess
from azureml_wrapper.transfer.http_client import HttpClient, Response

# Azure's largest page.
PAGE = 5000
# How long a signature that is made here is valid: longer than any transfer.
SIGNED = timedelta(days=7)
SIGNED_VERSION, PERMISSIONS = "2021-08-06", "rwdl"
# hdfs, blobfuse and the SDK's native reader mark folders by empty blobs with this metadata.
FOLDER_MARK = "hdi_isfolder"
# The first request must not fail only after minutes.
FIRST_ATTEMPTS = 4
_MARKER = re.compile(rb"<NextMarker>([^<]*)</NextMarker>")
MARKER_WITHIN = 8192


@dataclass(frozen=True)
class Blob:
    """A blob of a listing.

    Attributes:
        changed: The time of its last change, as the storage writes it.
        md5: Base64; None if the uploading client did not send one.
    """

    name: str
    size: int
    etag: str
    changed: str
    md5: str | None = None

    @property
    def modified(self) -> float:
        """The time of the last change, in seconds since 1970."""
        return http_seconds(self.changed)


@dataclass(frozen=True)
class RegisteredDatastore:
    """A datastore as its workspace describes it, for transfers without the SDK; its attributes are the SDK's."""

    name: str
    datastore_type: str
    account_name: str = ""
    container_name: str = ""
    protocol: str | None = None
    endpoint: str | None = None
    account_key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> RegisteredDatastore:
        """Read the service's record (azureml/data/datastore_client.py, _dto_to_datastore)."""
        section = record.get("azureStorageSection") or {}
        return cls(
            name=str(record.get("name")),
            datastore_type=str(record.get("dataStoreType")),
            account_name=str(section.get("accountName")),
            container_name=str(section.get("containerName")),
            protocol=section.get("protocol"),
            endpoint=section.get("endpoint"),
            account_key=section.get("accountKey"),
            sas_token=section.get("sasToken"),
        )


class BlobContainer:
    """The container of a datastore.

    Args:
        http: Sends the requests.
        address: The container's address, without a trailing "/".
        signature: The query that authorizes requests.
        label: What messages call the container.
    """

    def __init__(self, http: HttpClient, address: str, signature: str, *, label: str) -> None:
        self.http, self.address, self.label = http, address, label
        self._signature = signature

    @classmethod
    def of(cls, datastore: Any) -> BlobContainer:
        """Return the container of one of the SDK's datastores; `TransferFailed` if it has no container or no key."""
        label = f"datastore {datastore.name!r}"
        if getattr(datastore, "datastore_type", "") != "AzureBlob":
            raise TransferFailed(f"The {label} is not a blob container; only those can be synced.")
        protocol, endpoint = datastore.protocol or "https", datastore.endpoint or "core.windows.net"
        address = f"{protocol}://{datastore.account_name}.blob.{endpoint}/{datastore.container_name}"
        return cls(HttpClient(address), address, _signature(datastore, label), label=label)

    def url(self, name: str, **query: str) -> str:
        """Return the signed address of a blob."""
        more = f"{urlencode(query, quote_via=quote)}&" if query else ""
        return f"{self.address}/{quote(name, safe='/~')}?{more}{self._signature}"

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Yield the blobs whose names begin with `prefix`, in order, without those that only mark a folder."""
        with ThreadPoolExecutor(1) as ahead:
            page: Future[bytes] | None = ahead.submit(self._page, prefix, "")
            while page:
                body = page.result()
                # Requested before this page is parsed, which takes as long.
                marker = _next_marker(body)
                page = ahead.submit(self._page, prefix, marker) if marker else None
                root = ElementTree.fromstring(body)  # noqa: S314
                yield from filter(None, map(_blob, root.iter("Blob")))

    def _page(self, prefix: str, marker: str, count: int = PAGE) -> bytes:
        asked = {"restype": "container", "comp": "list", "include": "metadata", "maxresults": str(count)}
        asked |= {name: value for name, value in (("prefix", prefix), ("marker", marker)) if value}
        url = f"{self.address}?{urlencode(asked, quote_via=quote)}&{self._signature}"
        return self.http.send("GET", url, attempts=FIRST_ATTEMPTS).body

    def has(self, prefix: str) -> bool:
        """Whether the name of a blob begins with `prefix`."""
        return b"<Blob>" in self._page(prefix, "", 1)

    def put(self, name: str, content: bytes, md5: str) -> str:
        """Write a whole blob, and return its ETag; the storage refuses it if `md5` does not match what arrived."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": md5, "Content-Type": "application/octet-stream"}
        return _etag(self.http.send("PUT", self.url(name), headers=headers, body=content))

    def put_block(self, name: str, block: str, content: bytes, md5: str) -> None:
        """Write one block of a blob, which becomes visible with `commit`."""
        self.http.send("PUT", self.url(name, comp="block", blockid=block), headers={"Content-MD5": md5}, body=content)

    def waiting_blocks(self, name: str) -> dict[str, int]:
        """Return id -> size of the blocks that an interrupted transfer has sent and not committed."""
        url = self.url(name, comp="blocklist", blocklisttype="uncommitted")
        response = self.http.send("GET", url, accept=(404,))
        if response.status == 404:
            return {}
        root = ElementTree.fromstring(response.body)  # noqa: S314
        return {each.findtext("Name") or "": int(each.findtext("Size") or 0) for each in root.iter("Block")}

    def commit(self, name: str, blocks: Sequence[str], md5: str) -> str:
        """Make a blob of its blocks, and return its ETag."""
        entries = "".join(f"<Latest>{escape(block)}</Latest>" for block in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{entries}</BlockList>'.encode()
        headers = {"x-ms-blob-content-md5": md5, "x-ms-blob-content-type": "application/octet-stream"}
        headers["Content-Type"] = "application/xml"
        return _etag(self.http.send("PUT", self.url(name, comp="blocklist"), headers=headers, body=body))

    def copy(self, source: Blob, name: str) -> str | None:
        """Copy a blob within the container, on the server.

        Returns:
            The new ETag; None if the storage did not copy at once, as it does within an account. Then upload it.
        """
        headers = {"x-ms-copy-source": self.url(source.name), "x-ms-source-if-match": f'"{source.etag}"'}
        response = self.http.send("PUT", self.url(name), headers=headers, accept=(404, 409, 412))
        done = response.status == 202 and response.headers.get("x-ms-copy-status") == "success"
        return _etag(response) if done else None

    def delete(self, name: str) -> None:
        """Delete a blob, if it exists."""
        self.http.send("DELETE", self.url(name), accept=(404,))


def http_seconds(text: str) -> float:
    """Parse `Wed, 05 Oct 2022 18:03:07 GMT` into seconds since 1970; 0.0 for any other text."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return 0.0


def _next_marker(page: bytes) -> str:
    """The marker is at the end of a page; it is base64 or, from older services, a name."""
    found = _MARKER.search(page, max(0, len(page) - MARKER_WITHIN))
    return unescape(found[1].decode()) if found else ""


def _blob(entry: ElementTree.Element) -> Blob | None:
    """A blob of a listing; None for one that only marks a folder."""
    found = entry.find("Properties")
    if found is None or entry.findtext(f"Metadata/{FOLDER_MARK}") == "true":
        return None
    name = entry.find("Name")
    text = (name.text if name is not None else "") or ""
    # What XML cannot contain comes percent-encoded (Microsoft Learn, "List Blobs").
    if name is not None and name.get("Encoded") == "true":
        text = unquote(text)
    return Blob(
        name=text,
        size=int(found.findtext("Content-Length") or 0),
        etag=(found.findtext("Etag") or "").strip('"'),
        changed=found.findtext("Last-Modified") or "",
        md5=found.findtext("Content-MD5") or None,
    )


def _etag(response: Response) -> str:
    return response.headers.get("etag", "").strip('"')


def _signature(datastore: Any, label: str) -> str:
    """The query that authorizes requests: the datastore's SAS token, or one made with its account key."""
    if datastore.sas_token:
        return str(datastore.sas_token).lstrip("?")
    if not datastore.account_key:
        raise TransferFailed(
            f"The {label} has neither an account key nor a SAS token, and the user's own identity cannot be "
            "used to transfer files. Register the datastore with a key, or use another one."
        )
    key = _checked_key(datastore.account_key, label)
    return signature(datastore.account_name, datastore.container_name, key, datetime.now(timezone.utc) + SIGNED)


def signature(account: str, container: str, key: str, expiry: datetime) -> str:
    """Return the query that permits to read, write, delete and list a container's blobs.

    It is the one that the SDK's own client makes (azureml/_vendor/azure_storage/blob/_shared_access_signature.py),
    whose import takes longer than most transfers.
    """
    access = SharedAccess(
        account=account, container=container, permissions=PERMISSIONS, expiry=expiry, version=SIGNED_VERSION
    )
    return access.query(key)


def _checked_key(key: str, label: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", key) and len(key) % 4 == 0:
        return key
    raise TransferFailed(
        f"The account key of {label} is not base64. Register the datastore again with the right key."
    )
