"""What the blob endpoint reads from headers, and how it tells faults."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Invalid, OutOfRange, OutOfSpace, ServiceFault
from azureml_wrapper.local.domain.storage import InvalidName
from azureml_wrapper.local.http.messages import Request
from azureml_wrapper.local.services.blob import wire


def request(method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method=method, path="/c/n", headers=named)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("bytes=0-", (0, 10)), ("bytes=3-3", (3, 1)), ("bytes=3-99", (3, 7)), ("bytes=9-9", (9, 1))],
)
def test_a_range_is_start_and_length(text, expected):
    assert wire.byte_range(request(**({"range": text} if text else {})), 10) == expected


def test_a_range_of_azures_own_header_goes_first():
    assert wire.byte_range(request(range="bytes=0-1", x_ms_range="bytes=2-3"), 10) == (2, 2)


@pytest.mark.parametrize("text", ["bytes=-5", "bytes=5-3", "bytes=0-1,3-4", "items=0-1", "bytes=a-b"])
def test_a_range_of_another_form_is_refused(text):
    with pytest.raises(Invalid, match="Invalid range"):
        wire.byte_range(request(range=text), 10)


@pytest.mark.parametrize("size", [0, 10])
def test_a_range_after_the_end_is_out_of_range(size):
    with pytest.raises(OutOfRange, match=f"which has {size} bytes"):
        wire.byte_range(request(range=f"bytes={size}-"), size)


def test_a_block_list_is_read_in_its_order():
    body = b"<?xml version='1.0'?><BlockList><Latest>QUE=</Latest><Committed>QkI=</Committed></BlockList>"
    assert wire.block_picks(body) == [("Latest", "QUE="), ("Committed", "QkI=")]
    with pytest.raises(Invalid, match="not a BlockList"):
        wire.block_picks(b"{}")


@pytest.mark.parametrize("name", ["a", "a b/c", "é&<>", "+/="])
def test_a_marker_brings_its_name_back(name):
    assert wire.name_of(wire.marker_of(name)) == name


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (InvalidName("n"), 400, "InvalidResourceName"),
        (Invalid("n"), 400, "InvalidInput"),
        (Invalid("n", code="Md5Mismatch"), 400, "Md5Mismatch"),
        (ServiceFault("n"), 500, "ServiceError"),
        # The clients try a 5xx again and again; a full disk stays full.
        (OutOfSpace("full"), 413, "InsufficientStorage"),
    ],
)
def test_a_fault_carries_its_code_in_header_and_body(fault, status, code):
    answer = wire.fault(fault, request())
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (status, code)
    assert f"<Code>{code}</Code>".encode() in answer.body


def test_a_fault_of_a_head_request_has_no_text():
    assert b"<Error>" not in wire.fault(InvalidName("n"), request("HEAD")).body
