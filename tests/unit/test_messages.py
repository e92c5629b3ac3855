"""What the library reports is seen by default, on standard error, and by an application's own logging instead."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from azureml_wrapper.messages import inform

SAY = "from azureml_wrapper.messages import inform; inform('registered version 1')"


def told(before: str) -> tuple[str, str]:
    program = f"import logging, sys; {before}; {SAY}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, done.stderr


def test_a_program_that_configures_no_logging_shows_it_on_standard_error():
    assert told("pass") == ("", "registered version 1\n")


@pytest.mark.parametrize(
    "configured",
    [
        "logging.basicConfig()",
        "logging.getLogger('azureml_wrapper').setLevel('ERROR')",
        "logging.getLogger('azureml_wrapper').addHandler(logging.NullHandler())",
        "logging.getLogger().setLevel('ERROR')",
        "logging.disable()",
    ],
)
def test_a_program_that_wants_none_of_it_gets_none(configured):
    assert told(configured) == ("", "")


def test_a_program_that_configures_logging_gets_it_there():
    assert told("logging.basicConfig(level='INFO', stream=sys.stdout)") == (
        "INFO:azureml_wrapper:registered version 1\n",
        "",
    )


def test_the_record_names_the_place_that_reports(caplog):
    caplog.set_level(logging.INFO, logger="azureml_wrapper")
    inform("registered version 1")
    assert [(record.name, record.message, record.filename) for record in caplog.records] == [
        ("azureml_wrapper", "registered version 1", "test_messages.py")
    ]
