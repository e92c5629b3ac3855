"""Blocks, reports, and what is said of answers."""

from __future__ import annotations

import base64
from contextlib import nullcontext
from hashlib import md5 as md5_of

import pytest

from azureml_wrapper.transfer.blob_container import BlobContainer, http_seconds
from azureml_wrapper.transfer.download_file import PartialFile, _check_piece
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, Response
from azureml_wrapper.transfer.local_files import PART
from azureml_wrapper.transfer.outcome import CorruptData, TransferReport
from azureml_wrapper.transfer.upload import BLOCK, MOST_BLOCKS, block_id, block_size, id_length

MD5_OF_1234 = base64.b64encode(md5_of(b"1234", usedforsecurity=False).digest()).decode()


def test_a_file_never_has_more_blocks_than_azure_takes():
    assert block_size(1) == block_size(BLOCK * MOST_BLOCKS) == BLOCK
    for size in (BLOCK * MOST_BLOCKS + 1, 4 * 10**12):
        assert block_size(size) * MOST_BLOCKS >= size


def test_a_block_s_id_tells_its_place_and_content():
    ids = {block_id(number, md5) for number in (1, 11) for md5 in (b"x" * 16, b"y" * 16, b"1" + b"x" * 15)}
    assert len(ids) == 6
    assert {len(base64.b64decode(each)) for each in ids} == {24}
    assert block_id(1, b"x" * 16) == block_id(1, b"x" * 16)


def test_ids_are_as_long_as_those_that_wait():
    assert id_length([]) == 24
    waiting = base64.b64encode(b"x" * 48).decode()
    assert len(block_id(1, b"x", id_length([waiting]))) == len(waiting)


def test_a_report_says_what_was_done():
    report = TransferReport(uploaded=("a",), skipped=("b",) * 9997, bytes=1_234_567, seconds=0.84)
    assert str(report) == "1 uploaded, 9,997 unchanged; 1.2 MB in 0.8 s"
    assert str(TransferReport()) == "no files; 0 bytes in 0.0 s"


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (1000, "1.0 kB"), (10**9, "1.0 GB"), (5 * 10**15, "5.0 PB")]
)
def test_sizes_are_those_that_disks_are_sold_with(count, text):
    assert str(TransferReport(bytes=count)) == f"no files; {text} in 0.0 s"


def test_a_refusal_has_the_storage_s_own_words():
    body = b"\xef\xbb\xbf<Error><Code>BlobNotFound</Code><Message>It is not there.\nRequestId:1</Message></Error>"
    refusal = ErrorResponse(Response(404, {}, body))
    assert (refusal.code, refusal.message) == ("BlobNotFound", "It is not there.")
    assert ErrorResponse(Response(502, {"x-ms-error-code": "X"}, b"<html>proxy")).message == "<html>proxy"


def test_times_of_the_storage_are_read():
    assert http_seconds("Wed, 05 Oct 2022 18:03:07 GMT") == 1664992987
    assert http_seconds("yesterday") == 0.0


def listed(*entries, marker=""):
    blobs = "".join(
        f"<Blob>{name}<Properties><Etag>{etag}</Etag><Content-Length>5</Content-Length></Properties>{more}</Blob>"
        for name, etag, more in entries
    )
    return (
        f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>".encode()
    )


class Pages:
    """What stands for the connection: listings by their markers."""

    def __init__(self, pages):
        self.pages, self.asked = pages, []

    def send(self, method, url, **_):
        self.asked.append(url)
        return Response(200, {}, next(body for marker, body in self.pages if f"marker={marker}" in f"{url}marker="))


def test_a_listing_goes_on_from_marker_to_marker():
    mark = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>"
    first = listed(("<Name>a</Name>", '"0x1"', ""), ("<Name>b</Name>", "0x2", mark), marker="2!&amp;x")
    second = listed(("<Name Encoded='true'>c%01%C3%A9</Name>", "0x3", ""))
    pages = Pages([("2%21%26x", second), ("", first)])
    found = list(BlobContainer(pages, "https://a/c", "sig=s", label="x").list("p/"))
    assert [(blob.name, blob.size, blob.etag, blob.md5) for blob in found] == [
        ("a", 5, "0x1", None),
        ("c\x01é", 5, "0x3", None),
    ]
    assert len(pages.asked) == 2
    assert all("prefix=p%2F" in url and url.endswith("&sig=s") for url in pages.asked)


# Partial files


def partial_file(folder, listed: str) -> PartialFile:
    (folder / "part").write_bytes(b"")
    (folder / f"part{PART}").write_text(listed)
    return PartialFile(folder / "whole", folder / "part", 10)


@pytest.mark.parametrize(
    ("listed", "done"),
    # The process was killed while it wrote the last number, or the disk has lost something.
    [("", set()), ("0\n8388608\n", {0, 8388608}), ("0\n8388608", {0}), ("0\n\0\0\n", {0})],
)
def test_a_piece_counts_once_its_line_is_whole(tmp_path, listed, done):
    part = partial_file(tmp_path, listed)
    part.close()
    assert part.done == done


@pytest.mark.parametrize(
    ("body", "md5", "with_md5", "error"),
    [
        (b"1234", None, True, None),
        (b"1234", MD5_OF_1234, True, None),
        (b"1234", "AAAAAAAAAAAAAAAAAAAAAA==", True, CorruptData),
        # Not the piece's, but that of the whole blob.
        (b"1234", "AAAAAAAAAAAAAAAAAAAAAA==", False, None),
        (b"123", None, True, ConnectionBroken),
        (b"12345", MD5_OF_1234, False, ConnectionBroken),
    ],
)
def test_a_piece_has_its_length_and_its_md5(body, md5, with_md5, error):
    response = Response(206, {} if md5 is None else {"content-md5": md5}, body)
    with pytest.raises(error) if error else nullcontext():
        _check_piece(response, 4, with_md5=with_md5)
