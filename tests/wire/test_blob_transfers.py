"""What the blob endpoint answers to programs that transfer files in pieces and check them."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets

import pytest
from azureml.core import Datastore

from azureml_wrapper.transfer.blob_container import BlobContainer
from azureml_wrapper.transfer.http_client import ErrorResponse

pytestmark = pytest.mark.local_only

LIMIT = 4 * 2**20
BYTES = os.urandom(LIMIT + 10)


@pytest.fixture(scope="module")
def store(ws):
    name, key = f"p{secrets.token_hex(5)}", base64.b64encode(secrets.token_bytes(64)).decode()
    return Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key)


@pytest.fixture(scope="module")
def container(store):
    opened = BlobContainer.of(store)
    opened.put("x", BYTES, md5(BYTES))
    return opened


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def read(container, span=None):
    headers = {"x-ms-range-get-content-md5": "true"} | ({"x-ms-range": f"bytes={span}"} if span else {})
    return container.http.send("GET", container.url("x"), headers=headers)


def test_the_md5_of_a_range_is_told_beside_that_of_the_blob(container):
    answer = read(container, "5-104")
    assert answer.body == BYTES[5:105]
    assert answer.headers["content-md5"] == md5(BYTES[5:105])
    assert answer.headers["x-ms-blob-content-md5"] == md5(BYTES)


@pytest.mark.parametrize("span", [None, f"0-{LIMIT}"])
def test_the_md5_of_more_than_four_megabytes_is_refused(container, span):
    with pytest.raises(ErrorResponse, match="OutOfRangeQueryParameterValue"):
        read(container, span)
    assert len(read(container, f"0-{LIMIT - 1}").body) == LIMIT


def test_a_block_that_was_damaged_on_its_way_is_refused(container):
    block = base64.b64encode(b"1").decode()
    with pytest.raises(ErrorResponse, match="Md5Mismatch"):
        container.put_block("blocks", block, b"damaged", md5(b"whole"))
    assert container.waiting_blocks("blocks") == {}


def test_ids_of_blocks_are_of_one_length(container):
    container.put_block("ids", base64.b64encode(b"1").decode(), b"x", md5(b"x"))
    with pytest.raises(ErrorResponse, match="InvalidBlobOrBlock"):
        container.put_block("ids", base64.b64encode(b"10").decode(), b"x", md5(b"x"))
    assert container.waiting_blocks("ids") == {base64.b64encode(b"1").decode(): 1}


def test_a_copy_s_source_may_be_named_by_its_etag(container):
    [blob] = [each for each in container.list() if each.name == "x"]
    headers = {"x-ms-copy-source": container.url("x")}
    for condition in ({"x-ms-source-if-match": '"0x1"'}, {"x-ms-source-if-none-match": f'"{blob.etag}"'}):
        with pytest.raises(ErrorResponse, match="412 SourceConditionNotMet"):
            container.http.send("PUT", container.url("y"), headers={**headers, **condition})
    container.http.send("PUT", container.url("y"), headers={**headers, "x-ms-source-if-match": f'"{blob.etag}"'})
    assert {each.name: each.md5 for each in container.list()}["y"] == md5(BYTES)


def test_whoever_has_the_key_is_told_that_the_container_is_gone(ws, unique):
    name, key = unique("s"), base64.b64encode(secrets.token_bytes(64)).decode()
    made = Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key)
    opened = BlobContainer.of(made)
    made.blob_service.get_container_client(made.container_name).delete_container()
    with pytest.raises(ErrorResponse, match="404 ContainerNotFound"):
        list(opened.list())
