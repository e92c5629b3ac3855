"""Why a run failed, in a few lines. Pure."""

from __future__ import annotations

import re

TRACEBACK = "Traceback (most recent call last):"
# Of a long traceback, its end: the innermost frames and the exception.
LAST_LINES = 8
MESSAGE_LINES = 5
# "Execution failed. User process '…/python' exited with status code 1. Please check log file …": Azure, 2022.
_EXIT_CODE = re.compile(r"(?:exited with status|exit) code:? (-?\d+)", re.IGNORECASE)
_KILLED = re.compile(r"killed by (SIG\w+)")


class Failure(str):
    """The text of a failure; its parts are attributes.

    `step` is None where no step failed, but the run itself; `exit_code` is None where there was no process or where
    a signal ended it; `traceback` is empty where the script left none.
    """

    step: str | None
    exit_code: int | None
    traceback: str
    message: str

    @classmethod
    def of(cls, step: str | None, message: str, traceback: str) -> Failure:
        """What the service says, and the traceback that was found."""
        code = _EXIT_CODE.search(message)
        killed = _KILLED.search(message)
        how = f" with exit code {code.group(1)}" if code else f": killed by {killed.group(1)}" if killed else ""
        who = f"Step {step!r}" if step else "The run"
        failure = cls(f"{who} failed{how}.\n{_shorten(traceback) or _first_lines(message)}".strip())
        failure.step, failure.message, failure.traceback = step, message, traceback
        failure.exit_code = int(code.group(1)) if code else None
        return failure


def find_traceback(text: str) -> str:
    """The last traceback of a text, up to the message of its exception; empty where there is none."""
    start = text.rfind(TRACEBACK)
    if start < 0:
        return ""
    lines = text[start:].splitlines()
    for index, line in enumerate(lines[1:], start=1):
        # The first line that is not indented is the exception. Its own further lines cannot be told from what the
        # script printed afterwards, but for an empty line between.
        if line and not line[0].isspace():
            rest = lines[index:]
            end = rest.index("") if "" in rest else len(rest)
            return "\n".join(lines[:index] + rest[:end]).rstrip()
    return "\n".join(lines).rstrip()


def _shorten(traceback: str) -> str:
    lines = traceback.splitlines()
    if len(lines) <= LAST_LINES + 1:
        return traceback
    return "\n".join([lines[0], "  …", *lines[-LAST_LINES:]])


def _first_lines(message: str) -> str:
    return "\n".join(message.splitlines()[:MESSAGE_LINES])
