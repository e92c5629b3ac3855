"""What `aml` says of an error, and the code with which it ends."""

from __future__ import annotations

import pytest

from azureml_wrapper import errors
from azureml_wrapper.cli.main import exit_code
from azureml_wrapper.cli.work.output import MESSAGE_LINES, message


@pytest.mark.parametrize(
    "kind", [errors.MissingKey, errors.BadName, errors.UnregisteredDataset, errors.ScriptNotFound]
)
def test_what_the_user_can_correct_ends_with_2(kind):
    assert exit_code(kind("wrong")) == 2


@pytest.mark.parametrize("error", [errors.RunFailed("failed"), errors.LoginFailed("nobody"), OSError("disk")])
def test_what_went_wrong_otherwise_ends_with_1(error):
    assert exit_code(error) == 1


def test_a_message_is_what_the_error_says():
    assert message(ValueError("no such thing")) == "no such thing"


def test_an_error_without_words_is_named():
    assert message(ValueError()) == "ValueError"


def test_the_sdks_errors_are_told_without_their_json():
    class SdkError(Exception):
        message = "Workspace not found."

        def __str__(self):
            return 'SdkError:\n\tMessage: Workspace not found.\n\tErrorResponse \n{"error": {}}'

    assert message(SdkError()) == "Workspace not found."


def test_a_long_message_is_cut_to_one_screen():
    lines = message(ValueError("\n".join(map(str, range(100))))).splitlines()
    assert lines[0] == "0"
    assert lines[-1] == "…"
    assert len(lines) == MESSAGE_LINES + 1
