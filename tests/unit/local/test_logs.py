"""service.log: one line per message, whatever clients send."""

from __future__ import annotations

import logging
import sys

from azureml_wrapper.local.logs import MESSAGE_LIMIT, SafeFormatter


def line(message, *args, error=None):
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, message, args, error)
    return SafeFormatter("%(levelname)s %(message)s").format(record)


def test_a_path_cannot_forge_a_line_or_clear_the_terminal():
    assert line("unknown route: %s", "/a\n2026 INFO all is well\x1b[2J\x9b\u202e") == (
        r"WARNING unknown route: /a\n2026 INFO all is well\x1b[2J\x9b\u202e"
    )


def test_other_alphabets_stay():
    assert line("%s", "é 漢字 😀") == "WARNING é 漢字 😀"


def test_a_long_message_is_cut():
    text = line("%s", "x" * 60_000)
    assert len(text) < MESSAGE_LIMIT + 50
    assert text.endswith("x… (60000 characters)")


def test_a_traceback_keeps_its_lines_and_escapes_the_rest():
    try:
        raise ValueError("odd \x1b[31m")
    except ValueError:
        text = line("PUT %s", "/a", error=sys.exc_info())
    assert text.startswith("WARNING PUT /a\nTraceback (most recent call last):\n")
    assert text.endswith(r"ValueError: odd \x1b[31m")
