"""What the library reports is seen by default, on standard error, and by an application's own logging instead."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from azureml_wrapper.messages import SDK_LOGGERS, inform, quiet_sdk

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


@pytest.mark.parametrize("name", SDK_LOGGERS)
def test_what_the_sdk_logs_is_held_back_in_one_thread_only(name, caplog):
    logger = logging.getLogger(name)
    quiet, logged = threading.Event(), threading.Event()

    def look() -> None:
        with quiet_sdk():
            quiet.set()
            assert logged.wait(10)
            logger.error("not found")

    thread = threading.Thread(target=look)
    thread.start()
    assert quiet.wait(10)
    logger.error("of another thread")
    logged.set()
    thread.join()
    with quiet_sdk():
        logger.critical("always")
    logger.error("afterwards")
    assert [record.message for record in caplog.records] == ["of another thread", "always", "afterwards"]
    assert logging.root.manager.disable == 0
