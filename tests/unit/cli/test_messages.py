"""What `aml` prints of an error and of the library's messages, and its exit codes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from azureml_wrapper import errors
from azureml_wrapper.cli.main import aml, exit_code, main
from azureml_wrapper.cli.work.output import MESSAGE_LINES, message, show_json
from azureml_wrapper.messages import inform


@pytest.mark.parametrize(
    "kind", [errors.MissingKey, errors.BadName, errors.UnregisteredDataset, errors.ScriptNotFound]
)
def test_what_the_user_can_correct_ends_with_2(kind):
    assert exit_code(kind("wrong")) == 2


@pytest.mark.parametrize("error", [errors.RunFailed("failed"), errors.LoginFailed("nobody"), OSError("disk")])
def test_what_went_wrong_otherwise_ends_with_1(error):
    assert exit_code(error) == 1


def test_what_the_encoding_of_the_output_lacks_is_escaped(tmp_path):
    code = "from azureml_wrapper.cli.main import _print_any_character as f; f(); print('a \\u2192 b', '\\xe9')"
    variables = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=variables, check=True)
    assert done.stdout.decode("cp1252").strip() == "a \\u2192 b é"


@pytest.mark.parametrize("word", ["--new-cod", "--from-faild", "--forc=1"])
def test_a_misspelt_option_of_a_command_with_free_words_is_refused(word, capsys):
    with pytest.raises(SystemExit):
        main(["resubmit", "folder", word])
    assert "Did you mean" in capsys.readouterr().err


def test_so_is_one_of_submit(capsys):
    with pytest.raises(SystemExit):
        main(["submit", "--entry-scrpt", "a.py"])
    assert "Did you mean" in capsys.readouterr().err


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


@pytest.fixture
def probe():
    """`aml probe`, which reports something and prints JSON; afterwards, logging is as it was."""
    logger = logging.getLogger("azureml_wrapper")
    before = logger.handlers[:], logger.level, logger.propagate

    @aml.command("probe")
    def command():
        inform("Dataset 'a': registered version 1.")
        logger.debug("not for users")
        show_json({"a": 1})

    yield
    del aml.commands["probe"]
    logger.handlers[:], logger.level, logger.propagate = before


def test_what_the_library_reports_is_on_standard_error_as_it_is_and_json_is_json(probe, capsys):
    with pytest.raises(SystemExit) as left:
        main(["probe"])
    assert not left.value.code
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": 1}
    assert printed.err == "Dataset 'a': registered version 1.\n"
