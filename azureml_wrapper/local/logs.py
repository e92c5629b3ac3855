"""Lines of service.log: what clients send cannot forge another line, clear a terminal, or fill the disk."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

# Characters of a message, such as one with a request's path; a traceback after it is not cut.
MESSAGE_LIMIT = 1000
# Of the current file; an earlier one of this size is kept beside it.
LOG_LIMIT = 5 * 1024 * 1024
STDOUT, STDERR = 1, 2


class LogFile(logging.StreamHandler):  # type: ignore[type-arg] # not generic at run time before Python 3.11
    """Writes to standard error. If that is a large service.log, it becomes service.log.1, and a new one begins.

    What does not use `logging` (the traceback of a crash) goes the same way, because the descriptors are replaced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(sys.stderr)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        try:
            self._bound()
        except OSError:
            self.handleError(record)

    def _bound(self) -> None:
        status = os.fstat(STDERR)
        if status.st_size < LOG_LIMIT or not self._path.exists() or self._path.stat().st_ino != status.st_ino:
            return
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (STDOUT, STDERR):
            os.dup2(descriptor, number)
        os.close(descriptor)


class SafeFormatter(logging.Formatter):
    """Cuts long messages, and escapes control characters in messages and tracebacks."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = record.message
        if len(text) > MESSAGE_LIMIT:
            text = f"{text[:MESSAGE_LIMIT]}… ({len(text)} characters)"
        record.message = printable(text)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        return "\n".join(map(printable, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


def printable(text: str) -> str:
    """The text with an escape sequence for each character that is not printable, line breaks included."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
