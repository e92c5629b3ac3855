"""Why a run failed, in a few lines; a pure function of what the service and the script say."""

from __future__ import annotations

import re

TRACEBACK = "Traceback (most recent call last):"
# The end of a long traceback: the innermost frames and the exception.
LAST_LINES = 8
MESSAGE_LINES = 5
# "Execution failed. User process '…/python' exited with status code 1. Please check log file …": Azure, 2022.
_EXIT_CODE = re.compile(r"(?:exited with status|exit) code:? (-?\d+)", re.IGNORECASE)
_OWN_LINE = re.compile(r"^\[local\] (.+)$", re.MULTILINE)
_KILLED = re.compile(r"killed by (SIG\w+)")


class Failure(str):
    """The message of a failure, a string with its parts as attributes.

    Attributes:
        step: Name of the step that failed first; None if the run itself failed.
        exit_code: Exit code of the script; None if it never started, or if a signal killed it.
        traceback: Last traceback of the script; empty if it printed none.
        message: What the service reports.
    """

    step: str | None
    exit_code: int | None
    traceback: str
    message: str

    @classmethod
    def of(cls, step: str | None, message: str, traceback: str) -> Failure:
        """Combine what the service reports and what the script printed.

        Args:
            step: Name of the failed step; None if the run itself failed.
            message: What the service reports.
            traceback: Last traceback of the script; empty if it printed none.
        """
        code = _EXIT_CODE.search(message)
        killed = _KILLED.search(message)
        how = f" with exit code {code.group(1)}" if code else f": killed by {killed.group(1)}" if killed else ""
        who = f"Step {step!r}" if step else "The run"
        # The local service's own lines say what a traceback does not.
        remarks = "".join(f"\n{line}" for line in _OWN_LINE.findall(message)) if traceback else ""
        failure = cls(f"{who} failed{how}.\n{_shorten(traceback) or _first_lines(message)}{remarks}".strip())
        failure.step, failure.message, failure.traceback = step, message, traceback
        failure.exit_code = int(code.group(1)) if code else None
        return failure


def find_traceback(text: str) -> str:
    """Return the last traceback in a string, up to the message of its exception; empty if it has none."""
    start = text.rfind(TRACEBACK)
    if start < 0:
        return ""
    lines = text[start:].splitlines()
    for index, line in enumerate(lines[1:], start=1):
        # The first line that is not indented is the exception. Only an empty line separates the rest of its message
        # from what the script printed afterwards.
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
