"""What goes wrong with one file, and what with all of them."""

from __future__ import annotations

import errno
import os

import pytest

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.fetching import Damaged
from azureml_wrapper.transfer.http import Answer, Broken, Refusal
from azureml_wrapper.transfer.scan import LocalFile
from azureml_wrapper.transfer.sending import BLOCK, Changed, send_small
from azureml_wrapper.transfer.tally import Tally


def raises(error):
    def work():
        raise error

    return work


def refusal(status, code=""):
    return Refusal(Answer(status, {"x-ms-error-code": code}, b""))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (Changed("it has changed while it was read"), "it has changed while it was read"),
        (refusal(412, "ConditionNotMet"), "it has changed in the storage meanwhile"),
        (refusal(409, "BlobArchived"), "BlobArchived"),
    ],
)
def test_what_concerns_one_file_does_not_stop_the_others(error, words):
    tally = Tally("to x")
    assert tally.attempt("bad", raises(error)) is None
    assert tally.attempt("good", lambda: 1) == 1
    with pytest.raises(TransferFailed, match="One file could not be transferred, to x:") as failed:
        tally.check()
    assert f"bad: {words}" in str(failed.value)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        refusal(403, "AuthenticationFailed"),
        refusal(404, "ContainerNotFound"),
        Broken("reset"),
    ],
)
def test_what_concerns_all_of_them_stops_at_once(error):
    tally = Tally("to x")
    tally.uploaded.append("before")
    with pytest.raises(TransferFailed) as failed, tally.telling():
        tally.attempt("bad", raises(error))
    assert failed.value.report.uploaded == ("before",)
    assert "Done so far: 1 uploaded" in str(failed.value)


def test_bytes_that_were_damaged_on_their_way_are_asked_for_once_more():
    for error in (Damaged("x"), refusal(400, "Md5Mismatch")):
        answers = [raises(error), lambda: "whole"]
        assert Tally("to x").attempt("x", lambda answers=answers: answers.pop(0)()) == "whole"
        tally = Tally("to x")
        tally.attempt("x", raises(error))
        assert len(tally.faults) == 1


def test_a_few_of_many_faults_are_listed():
    tally = Tally("to x")
    for number in range(12):
        tally.attempt(f"f{number:02}", raises(OSError("no")))
    with pytest.raises(TransferFailed, match=r"12 files could not be transferred") as failed:
        tally.check()
    assert "f04: no\n  … and 7 more" in str(failed.value)


def test_a_file_that_has_grown_since_it_was_looked_at_is_not_sent(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK + 1))
    with pytest.raises(Changed):
        send_small(None, "x", LocalFile(str(path), 1, 0, 0))
