"""What `aml` prints of an error and of the library's messages, and its exit codes."""

from __future__ import annotations

import json
import logging

import pytest
from click.testing import CliRunner

from azureml_wrapper import errors
from azureml_wrapper.cli.main import aml, exit_code
from azureml_wrapper.cli.work.output import MESSAGE_LINES, message, show_json


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


def test_what_the_library_logs_is_shown_on_standard_error_and_json_is_json():
    @aml.command("probe")
    def probe():
        logging.getLogger("azureml_wrapper.assets").info("Dataset 'a': registered version 1.")
        logging.getLogger("azureml_wrapper.assets").debug("not for people")
        show_json({"a": 1})

    try:
        done = CliRunner().invoke(aml, ["probe"])
    finally:
        del aml.commands["probe"]
    assert json.loads(done.stdout) == {"a": 1}
    assert done.stderr == "Dataset 'a': registered version 1.\n"
