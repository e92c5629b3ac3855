"""The blob endpoint, request by request: signatures, ranges, conditions, listings, and bodies larger than memory."""

from __future__ import annotations

import base64
import html
import http.client
import os
import re
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azureml._vendor.azure_storage.blob import (
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)
from azureml.core import Datastore

from azureml_wrapper.local.home import Home
from azureml_wrapper.signatures import SAS_VERSION, sas_text, shared_key_text, sign

pytestmark = pytest.mark.local_only

ATTACKS = (
    "../../secret",
    "..%2f..%2fsecret",
    "%2e%2e/%2e%2e/secret",
    "%2e%2e%2f%2e%2e%2fsecret",
    "a/../../../secret",
    "a%00b",
    "a%0ab",
    "link/secret",
)
# Names that Azure allows and files cannot have.
NO_FILE_NAMES = ("/etc/passwd", "%2fetc%2fpasswd", "x" * 300, "a//b", "folder/", "a/b.__blob__")


class Storage:
    """One container of one account, for a client that speaks plain HTTP."""

    def __init__(self, datastore):
        self.datastore = datastore
        self.account, self.container = datastore.account_name, datastore.container_name
        self.key, self.endpoint = datastore.account_key, datastore.endpoint
        self.base = f"http://{self.endpoint.rpartition('@')[2]}"
        self.service = BlobServiceClient(
            f"https://{self.account}.blob.{self.endpoint}",
            credential={"account_name": self.account, "account_key": self.key},
            retry_total=0,
        )
        self.client = self.service.get_container_client(self.container)

    @property
    def folder(self):
        return Home().blobs / self.account / self.container

    def send(self, method, name, *, query="", headers=None, data=b"", key=None):
        """A request signed with the account's key; `name` stands in the path as it is."""
        path = f"/{self.container}/{name}"
        sent = {
            "x-ms-version": "2020-04-08",
            "x-ms-date": format_datetime(datetime.now(timezone.utc), usegmt=True),
            "Content-Length": str(len(data)),
            **(headers or {}),
        }
        values = dict(part.split("=", 1) for part in query.split("&") if part)
        text = shared_key_text(method, self.account, path, values, {k.lower(): v for k, v in sent.items()})
        sent["Authorization"] = f"SharedKey {self.account}:{sign(key or self.key, text)}"
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        try:
            # http.client sends the path unchanged; requests would tidy up `..`.
            connection.request(method, path + (f"?{query}" if query else ""), body=data, headers=sent)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def put(self, name, data=b"x", **headers):
        return self.send("PUT", name, data=data, headers={"x-ms-blob-type": "BlockBlob", **headers})

    def error(self, *args, **kwargs):
        status, headers, _ = self.send(*args, **kwargs)
        return status, headers.get("x-ms-error-code")


@pytest.fixture(scope="module")
def storage(ws):
    name = f"p{secrets.token_hex(5)}"
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    return Storage(Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key))


def later(**delta):
    return datetime.now(timezone.utc) + timedelta(**delta)


# The address


def test_an_account_before_the_at_sign_reaches_this_machine_over_https_and_http(storage, unique):
    name = unique()
    storage.client.upload_blob(name, b"hello")
    sas = generate_blob_sas(
        storage.account, storage.container, name, account_key=storage.key,
        permission=BlobSasPermissions(read=True), expiry=later(hours=1),
    )  # fmt: skip
    url = f"https://{storage.account}.blob.core.windows.net@{storage.endpoint.rpartition('@')[2]}/{storage.container}/{name}"
    assert url.startswith(f"https://{storage.account}.blob.core.windows.net@127.0.0.1:")
    assert requests.get(f"{url}?{sas}", timeout=10).content == b"hello"
    assert requests.get(f"{url}?{sas}".replace("https://", "http://"), timeout=10).content == b"hello"
    assert BlobClient.from_blob_url(f"{url}?{sas}").download_blob().readall() == b"hello"


# Signatures


def test_a_wrong_key_is_refused_before_anything_is_read(storage, unique):
    other = base64.b64encode(b"other").decode()
    status, headers, body = storage.send("GET", "nothing", key=other)
    assert (status, headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    assert b"<Code>AuthenticationFailed</Code>" in body
    wrong = BlobServiceClient(
        f"https://{storage.account}.blob.{storage.endpoint}",
        credential={"account_name": storage.account, "account_key": other},
    )
    with pytest.raises(ClientAuthenticationError, match="does not match the key of storage account"):
        wrong.get_container_client(storage.container).upload_blob(unique(), b"x")


def test_a_body_that_may_not_be_written_is_not_waited_for(storage):
    host, _, port = storage.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"PUT /{storage.container}/big HTTP/1.1\r\nHost: {host}:{port}\r\nx-ms-version: 2020-04-08\r\n"
            f"Authorization: SharedKey {storage.account}:AAAA\r\nContent-Length: 999999999999\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


def test_an_unknown_account_an_old_date_and_no_signature_at_all_are_refused(storage):
    old = format_datetime(later(minutes=-20), usegmt=True)
    assert storage.error("GET", "x", headers={"x-ms-date": old}) == (403, "AuthenticationFailed")
    bare = requests.get(f"{storage.base}/{storage.container}/x", headers={"x-ms-version": "2020-04-08"}, timeout=10)
    assert (bare.status_code, bare.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
    unknown = {"x-ms-version": "2020-04-08", "Authorization": "SharedKey nobody:AAAA"}
    assert requests.get(f"{storage.base}/{storage.container}/x", headers=unknown, timeout=10).status_code == 403


def test_a_changed_query_or_header_breaks_the_signature(storage, unique):
    name = unique()
    storage.put(name)
    path, values = f"/{storage.container}/{name}", {"x-ms-version": "2020-04-08"}
    values["x-ms-date"] = format_datetime(datetime.now(timezone.utc), usegmt=True)
    signature = sign(storage.key, shared_key_text("GET", storage.account, path, {}, values))
    values["Authorization"] = f"SharedKey {storage.account}:{signature}"
    assert requests.get(storage.base + path, headers=values, timeout=10).status_code == 200
    assert requests.get(storage.base + path + "?comp=metadata", headers=values, timeout=10).status_code == 403
    assert (
        requests.get(storage.base + path, headers={**values, "x-ms-range": "bytes=0-0"}, timeout=10).status_code
        == 403
    )
    assert requests.get(storage.base + path + "2", headers=values, timeout=10).status_code == 403


def blob_sas(storage, name, **options):
    given = {"permission": BlobSasPermissions(read=True), "expiry": later(hours=1), **options}
    return generate_blob_sas(storage.account, storage.container, name, account_key=storage.key, **given)


def test_a_signature_opens_its_blob_only_for_what_it_allows_and_as_long_as_it_lasts(storage, unique):
    name = unique()
    storage.put(name)
    address = f"{storage.base}/{storage.container}/{name}"

    def get(sas, url=address, method="GET"):
        return requests.request(method, f"{url}?{sas}", timeout=10).headers.get("x-ms-error-code", "fine")

    assert get(blob_sas(storage, name)) == "fine"
    assert get(blob_sas(storage, name), address + "2") == "AuthenticationFailed"
    assert get(blob_sas(storage, name), method="DELETE") == "AuthorizationPermissionMismatch"
    assert (
        get(blob_sas(storage, name, permission=BlobSasPermissions(write=True))) == "AuthorizationPermissionMismatch"
    )
    assert get(blob_sas(storage, name, expiry=later(seconds=-5))) == "AuthenticationFailed"
    assert get(blob_sas(storage, name, start=later(minutes=5))) == "AuthenticationFailed"
    assert get(blob_sas(storage, name).replace("sp=r", "sp=rwd")) == "AuthenticationFailed"
    assert get(re.sub("sig=.", "sig=%21", blob_sas(storage, name))) == "AuthenticationFailed"
    assert get(blob_sas(storage, name) + "&restype=container&comp=list", f"{storage.base}/{storage.container}") in (
        "AuthenticationFailed"
    )


@pytest.mark.parametrize("letters", ["r", "c", "a", "w", "racw"])
def test_only_a_signature_to_delete_deletes(storage, unique, letters):
    storage.put(name := unique())
    permission = BlobSasPermissions.from_string(letters)
    address = f"{storage.base}/{storage.container}/{name}?{blob_sas(storage, name, permission=permission)}"
    answer = requests.delete(address, timeout=10)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert storage.send("HEAD", name)[0] == 200
    sas = blob_sas(storage, name, permission=BlobSasPermissions(delete=True))
    assert requests.delete(f"{storage.base}/{storage.container}/{name}?{sas}", timeout=10).status_code == 202


@pytest.mark.parametrize("expiry", [None, "", "soon"])
def test_a_signature_needs_an_end(storage, unique, expiry):
    """Azure lets a stored access policy set it, which nothing here has."""
    storage.put(name := unique())
    values = {"sv": SAS_VERSION, "sr": "b", "sp": "r", **({} if expiry is None else {"se": expiry})}
    values["sig"] = sign(storage.key, sas_text(values, storage.account, storage.container, name))
    answer = requests.get(f"{storage.base}/{storage.container}/{name}", params=values, timeout=10)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


def test_a_signature_to_create_writes_once(storage, unique):
    address = f"{storage.base}/{storage.container}/{(name := unique())}"
    sas = blob_sas(storage, name, permission=BlobSasPermissions(create=True))
    headers = {"x-ms-blob-type": "BlockBlob"}
    assert requests.put(f"{address}?{sas}", data=b"1", headers=headers, timeout=10).status_code == 201
    assert requests.put(f"{address}?{sas}", data=b"2", headers=headers, timeout=10).status_code == 403


def test_a_container_signature_lists_only_with_l(storage):
    for letters, code in ((ContainerSasPermissions(list=True), 200), (ContainerSasPermissions(read=True), 403)):
        sas = generate_container_sas(
            storage.account, storage.container, account_key=storage.key, permission=letters, expiry=later(hours=1)
        )
        url = f"{storage.base}/{storage.container}?restype=container&comp=list&{sas}"
        assert requests.get(url, timeout=10).status_code == code


# Reading and writing


def test_what_was_put_comes_back_with_its_properties(storage, unique):
    name = f"{unique()}/with space+é.txt"
    storage.client.upload_blob(name, b"data", metadata={"who": "me"})
    properties = storage.client.get_blob_client(name).get_blob_properties()
    assert (properties.size, properties.metadata, properties.blob_type) == (4, {"who": "me"}, "BlockBlob")
    status, headers, _ = storage.send("HEAD", quote(name))
    assert (status, headers["content-length"]) == (200, "4")
    assert headers["content-md5"] == "jXd/OF09/siBXSD3SWAm3A=="
    assert {"etag", "last-modified"} <= headers.keys()


def test_ranges_are_cut_as_asked(storage, unique):
    name = unique()
    storage.put(name, b"0123456789")

    def get(value, header="x-ms-range"):
        status, headers, body = storage.send("GET", name, headers={header: value})
        return status, headers.get("content-range") or headers.get("x-ms-error-code"), body if status == 206 else None

    assert get("bytes=2-4") == (206, "bytes 2-4/10", b"234")
    assert get("bytes=8-") == (206, "bytes 8-9/10", b"89")
    assert get("bytes=8-999", "Range") == (206, "bytes 8-9/10", b"89")
    assert get("bytes=10-") == (416, "InvalidRange", None)
    assert get("bytes=4-2") == (400, "InvalidHeaderValue", None)
    assert get("bytes=-3") == (400, "InvalidHeaderValue", None)


def test_an_empty_blob_can_be_read(storage, unique):
    name = unique()
    storage.client.upload_blob(name, b"")
    assert storage.client.download_blob(name).readall() == b""


def test_a_missing_blob_and_a_missing_container_have_their_codes(storage, unique):
    assert storage.error("GET", unique()) == (404, "BlobNotFound")
    assert storage.error("HEAD", unique()) == (404, "BlobNotFound")
    with pytest.raises(ResourceNotFoundError) as caught:
        storage.service.get_container_client("nocontainer").upload_blob("x", b"x")
    assert caught.value.error_code == "ContainerNotFound"


def test_a_wrong_md5_is_refused_and_leaves_nothing(storage, unique):
    name = unique()
    assert (
        storage.put(name, b"abc", **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})[1]["x-ms-error-code"]
        == "Md5Mismatch"
    )
    assert storage.error("HEAD", name) == (404, "BlobNotFound")
    assert storage.put(name, b"abc", **{"Content-MD5": "kAFQmDzST7DWlj99KOF/cg=="})[0] == 201


def test_metadata_and_content_headers_can_be_set_and_are_listed(storage, unique):
    from azureml._vendor.azure_storage.blob import ContentSettings

    name = unique()
    blob = storage.client.get_blob_client(name)
    blob.upload_blob(b"a,b", content_settings=ContentSettings(content_type="text/csv"))
    first = blob.get_blob_properties().etag
    blob.set_blob_metadata({"k": "v <&>"})
    found = blob.get_blob_properties()
    assert (found.metadata, found.content_settings.content_type) == ({"k": "v <&>"}, "text/csv")
    assert found.etag != first
    (listed,) = storage.client.list_blobs(name_starts_with=name, include=["metadata"])
    assert (listed.metadata, listed.content_settings.content_type, listed.size) == ({"k": "v <&>"}, "text/csv", 3)
    blob.set_http_headers(ContentSettings(cache_control="no-store"))
    assert blob.get_blob_properties().content_settings.cache_control == "no-store"
    assert storage.put(unique(), **{"x-ms-meta-a!b": "x"})[1]["x-ms-error-code"] == "InvalidMetadata"


def test_conditions_are_held(storage, unique):
    name = unique()
    _, headers, _ = storage.put(name)
    etag, date = headers["etag"], headers["last-modified"]
    before, after = format_datetime(later(hours=-1), usegmt=True), format_datetime(later(hours=1), usegmt=True)
    for method, name_and_value, status in (
        ("GET", ("If-Match", etag), 200),
        ("GET", ("If-Match", '"0xBAD"'), 412),
        ("GET", ("If-None-Match", etag), 304),
        ("GET", ("If-None-Match", '"0xBAD"'), 200),
        ("GET", ("If-Modified-Since", date), 304),
        ("GET", ("If-Modified-Since", before), 200),
        ("GET", ("If-Unmodified-Since", before), 412),
        ("HEAD", ("If-Unmodified-Since", after), 200),
        # In the second of the change itself, a blob counts as unmodified.
        ("HEAD", ("If-Unmodified-Since", date), 200),
        ("HEAD", ("If-Modified-Since", date), 304),
        ("DELETE", ("If-Modified-Since", date), 412),
        ("DELETE", ("If-Unmodified-Since", before), 412),
        ("PUT", ("If-None-Match", "*"), 409),
        ("PUT", ("If-Match", '"0xBAD"'), 412),
        ("DELETE", ("If-Match", '"0xBAD"'), 412),
    ):
        found = storage.send(method, name, headers={"x-ms-blob-type": "BlockBlob", **dict([name_and_value])})
        assert found[0] == status, (method, name_and_value)
    assert storage.put(unique(), **{"If-Match": etag})[1]["x-ms-error-code"] == "ConditionNotMet"
    with pytest.raises(ResourceExistsError):
        storage.client.upload_blob(name, b"again")
    with pytest.raises(ResourceModifiedError):
        storage.client.delete_blob(name, etag="0xBAD", match_condition=_if_not_modified())
    storage.client.delete_blob(name)
    assert storage.error("GET", name) == (404, "BlobNotFound")


def _if_not_modified():
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified


def test_blocks_are_staged_listed_and_committed(storage, unique):
    blob = storage.client.get_blob_client(unique())
    ids = [base64.b64encode(f"{number:05}+/".encode()).decode() for number in range(3)]
    for number, block in enumerate(ids):
        blob.stage_block(block, f"part {number};".encode())
    assert [block.id for block in blob.get_block_list("all")[1]] == ids
    blob.commit_block_list([BlobBlock(block_id=block) for block in reversed(ids)])
    assert blob.download_blob().readall() == b"part 2;part 1;part 0;"
    assert [block.size for block in blob.get_block_list("all")[0]] == [7, 7, 7]
    with pytest.raises(HttpResponseError) as caught:
        blob.commit_block_list([BlobBlock(block_id="AAAA")])
    assert caught.value.error_code == "InvalidBlockList"


def test_append_blobs_grow(storage, unique):
    blob = storage.client.get_blob_client(unique())
    blob.create_append_blob()
    blob.append_block(b"one ")
    blob.append_block(b"two", appendpos_condition=4)
    assert blob.download_blob().readall() == b"one two"
    with pytest.raises(HttpResponseError) as caught:
        blob.append_block(b"three", appendpos_condition=4)
    assert caught.value.error_code == "AppendPositionConditionNotMet"


def test_only_append_blobs_grow(storage, unique):
    name = unique()
    storage.put(name)
    assert storage.error("PUT", name, query="comp=appendblock", data=b"x") == (409, "InvalidBlobType")


def test_threads_append_while_others_read_the_properties(storage, unique):
    """The properties are right at every moment, although file and note change one after the other."""
    blob = storage.client.get_blob_client(unique())
    blob.create_append_blob(metadata={"k": "v"})
    seen, done = [], threading.Event()

    def append(number):
        for _ in range(25):
            blob.append_block(b"%d" % number)

    def read():
        while not done.is_set():
            listed = next(iter(storage.client.list_blobs(name_starts_with=blob.blob_name, include=["metadata"])))
            seen.extend((found.blob_type, found.metadata) for found in (blob.get_blob_properties(), listed))

    with ThreadPoolExecutor(10) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            list(pool.map(append, range(8)))
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert sorted(blob.download_blob().readall()) == sorted(b"01234567" * 25)
    assert seen
    assert all(item == ("AppendBlob", {"k": "v"}) for item in seen)


def test_a_blob_is_copied_within_its_account(storage, unique):
    name, other = unique(), unique()
    storage.client.upload_blob(name, b"data", metadata={"k": "v"})
    copied = storage.client.get_blob_client(other)
    assert copied.start_copy_from_url(storage.client.get_blob_client(name).url)["copy_status"] == "success"
    assert copied.get_blob_properties().metadata == {"k": "v"}
    assert copied.download_blob().readall() == b"data"


def test_containers_are_made_listed_and_deleted(storage, unique):
    name = f"c-{unique()}"
    storage.service.create_container(name)
    with pytest.raises(ResourceExistsError):
        storage.service.create_container(name)
    assert name in [container.name for container in storage.service.list_containers()]
    assert storage.service.get_container_client(name).get_container_properties().name == name
    storage.service.delete_container(name)
    with pytest.raises(ResourceNotFoundError):
        storage.service.get_container_client(name).get_container_properties()


def test_what_the_store_does_not_keep_is_refused(storage, unique):
    name = unique()
    storage.put(name)
    assert storage.send("PUT", name, headers={"x-ms-blob-type": "PageBlob"})[0] == 501
    assert storage.send("PUT", name, headers={"x-ms-blob-type": "BlockBlob", "x-ms-lease-id": "1"})[0] == 501
    assert storage.send("PUT", name, headers={"x-ms-copy-source": "http://["})[0] == 400
    assert storage.send("PUT", name, query="comp=lease")[0] == 501
    assert storage.send("GET", name, query="snapshot=2020")[0] == 501


@pytest.mark.parametrize("operation", ["comp=tags", "restype=container&comp=acl", "comp=page"])
def test_a_refusal_names_the_operation(storage, unique, operation):
    path = f"/{storage.container}/{unique()}"
    answer = requests.put(f"{storage.base}{path}?{operation}", headers={"x-ms-version": "2020-10-02"}, timeout=10)
    assert answer.status_code == 501
    assert f"does not support PUT {path}?{operation}. " in html.unescape(answer.text)


def test_a_folder_mark_makes_a_folder(storage, unique):
    name = unique()
    assert storage.put(name, b"", **{"x-ms-meta-hdi_isfolder": "true"})[0] == 201
    assert (storage.folder / name).is_dir()
    status, headers, _ = storage.send("HEAD", name)
    assert (status, headers["x-ms-meta-hdi_isfolder"], headers["content-length"]) == (200, "true", "0")
    assert storage.send("GET", name)[2] == b""
    storage.put(f"{name}/inside")
    assert [blob.name for blob in storage.client.list_blobs(name_starts_with=name)] == [f"{name}/inside"]


# Names


@pytest.mark.parametrize("name", ATTACKS)
def test_no_name_leaves_its_container(storage, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = storage.folder / "link"
    if not link.is_symlink():
        link.symlink_to(tmp_path)
    elif not link.exists():
        link.unlink()
        link.symlink_to(tmp_path)
    before = set(Home().path.rglob("*secret*"))
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        status, headers, body = storage.send(method, name, headers={"x-ms-blob-type": "BlockBlob"})
        assert (status, headers["x-ms-error-code"]) == (400, "InvalidResourceName")
        assert body != b"secret"
    assert secret.read_text() == "secret"
    assert set(Home().path.rglob("*secret*")) == before
    assert not Path("/etc/passwd.__blob__").exists()


@pytest.mark.parametrize("name", NO_FILE_NAMES)
def test_a_name_that_no_file_can_have_is_missing_and_cannot_be_written(storage, name):
    storage.put("folder/a")
    storage.put("a/b")
    mark = {"x-ms-blob-type": "BlockBlob"}
    for method in ("GET", "HEAD", "DELETE"):
        assert storage.error(method, name) == (404, "BlobNotFound")
    assert storage.error("PUT", name, headers=mark) == (400, "InvalidResourceName")
    assert storage.error("PUT", name, query="comp=block&blockid=AAAA") == (400, "InvalidResourceName")
    assert storage.error("PUT", name, query="comp=appendblock") == (404, "BlobNotFound")
    assert storage.send("GET", "a/b")[2] == b"x"


def test_a_page_that_was_uploaded_cannot_run_as_the_services_own(storage, unique):
    name = unique()
    storage.put(name, b"<script>1</script>", **{"x-ms-blob-content-type": "text/html"})
    _, headers, _ = storage.send("GET", name)
    assert headers["content-security-policy"] == "sandbox"
    assert headers["x-content-type-options"] == "nosniff"


# Listings


def test_a_listing_has_azures_order_and_prefixes(storage, unique):
    top = unique()
    names = [f"{top}/{name}" for name in ("a", "a-b", "a/b", "a/c/d", "a.txt", "ü&<>")]
    for name in names:
        storage.client.upload_blob(name, b"")
    assert [blob.name for blob in storage.client.list_blobs(name_starts_with=f"{top}/")] == sorted(names)
    found = storage.client.walk_blobs(name_starts_with=f"{top}/", delimiter="/")
    # The client puts the prefixes of a page first.
    assert sorted(item.name for item in found) == [f"{top}/{name}" for name in ("a", "a-b", "a.txt", "a/", "ü&<>")]


@pytest.mark.slow
def test_twelve_thousand_names_come_in_pages(storage, unique):
    folder = storage.folder / unique()
    folder.mkdir()
    for number in range(12_000):
        (folder / f"{number:05}").touch()
    pages = list(storage.client.list_blobs(name_starts_with=f"{folder.name}/").by_page())
    names = [blob.name for page in pages for blob in page]
    assert len(names) == len(set(names)) == 12_000
    assert names == sorted(names)
    small = storage.client.list_blobs(name_starts_with=f"{folder.name}/", results_per_page=7).by_page()
    assert len(list(next(small))) == 7


def test_a_marker_or_page_size_that_is_none_of_ours_is_refused(storage):
    query = "restype=container&comp=list"
    for wrong in ("&marker=%21%21%21", "&maxresults=0", "&maxresults=x"):
        signed = generate_container_sas(
            storage.account, storage.container, account_key=storage.key,
            permission=ContainerSasPermissions(list=True), expiry=later(hours=1),
        )  # fmt: skip
        answer = requests.get(f"{storage.base}/{storage.container}?{query}{wrong}&{signed}", timeout=10)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "OutOfRangeQueryParameterValue")


# Bodies larger than memory


def resident(pid):
    """The process's highest resident memory so far, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110
def test_three_hundred_megabytes_pass_through_without_filling_the_memory(storage, unique):
    pid, size, piece = Home().read_service().pid, 300 * 2**20, secrets.token_bytes(2**20)
    name, before = unique(), resident(pid)
    sas = blob_sas(storage, name, permission=BlobSasPermissions(read=True, write=True))
    address = urlsplit(f"{storage.base}/{storage.container}/{name}?{sas}")
    connection = http.client.HTTPConnection(address.netloc, timeout=60)
    connection.request(
        "PUT", f"{address.path}?{address.query}", body=(piece for _ in range(300)),
        headers={"Content-Length": str(size), "x-ms-blob-type": "BlockBlob"},
    )  # fmt: skip
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (201, b"")
    with requests.get(address.geturl(), stream=True, timeout=60) as answer:
        received = 0
        for chunk in answer.iter_content(2**20):
            assert chunk == piece
            received += len(chunk)
    assert received == size
    assert resident(pid) - before < 80
    storage.client.delete_blob(name)
