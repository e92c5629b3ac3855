"""What goes wrong with one file, and what with all of them."""

from __future__ import annotations

import errno
import os

import pytest

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, Response
from azureml_wrapper.transfer.local_files import LocalFile
from azureml_wrapper.transfer.outcome import CorruptData, Outcome
from azureml_wrapper.transfer.upload import BLOCK, FileChanged, send_small


def raises(error):
    def work():
        raise error

    return work


def refusal(status, code=""):
    return ErrorResponse(Response(status, {"x-ms-error-code": code}, b""))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (FileChanged("it has changed while it was read"), "it has changed while it was read"),
        (refusal(412, "ConditionNotMet"), "it has changed in the storage in the meantime"),
        (refusal(409, "BlobArchived"), "BlobArchived"),
    ],
)
def test_what_concerns_one_file_does_not_stop_the_others(error, words):
    outcome = Outcome("to x")
    assert outcome.attempt("bad", raises(error)) is None
    assert outcome.attempt("good", lambda: 1) == 1
    with pytest.raises(TransferFailed, match="One file could not be transferred to x:") as failed:
        outcome.check()
    assert f"bad: {words}" in str(failed.value)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        refusal(403, "AuthenticationFailed"),
        refusal(404, "ContainerNotFound"),
        ConnectionBroken("reset"),
    ],
)
def test_what_concerns_all_of_them_stops_at_once(error):
    outcome = Outcome("to x")
    outcome.uploaded.append("before")
    with pytest.raises(TransferFailed) as failed, outcome.reporting():
        outcome.attempt("bad", raises(error))
    assert failed.value.report.uploaded == ("before",)
    assert "Done so far: 1 uploaded" in str(failed.value)


def test_bytes_that_were_damaged_on_their_way_are_asked_for_once_more():
    for error in (CorruptData("x"), refusal(400, "Md5Mismatch")):
        answers = [raises(error), lambda: "whole"]
        assert Outcome("to x").attempt("x", lambda answers=answers: answers.pop(0)()) == "whole"
        outcome = Outcome("to x")
        outcome.attempt("x", raises(error))
        assert len(outcome.failures) == 1


def test_a_no_is_not_asked_for_once_more():
    asked = []

    def work():
        asked.append(1)
        raise refusal(412, "ConditionNotMet")

    assert Outcome("to x").attempt("x", work) is None
    assert len(asked) == 1


def test_a_few_of_many_faults_are_listed():
    outcome = Outcome("to x")
    for number in range(12):
        outcome.attempt(f"f{number:02}", raises(OSError("no")))
    with pytest.raises(TransferFailed, match=r"12 files could not be transferred") as failed:
        outcome.check()
    assert "f04: no\n  … and 7 more" in str(failed.value)


def test_a_file_that_has_grown_since_it_was_looked_at_is_not_sent(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK + 1))
    with pytest.raises(FileChanged):
        send_small(None, "x", LocalFile(str(path), 1, 0, 0))
