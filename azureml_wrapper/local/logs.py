"""Lines of service.log: what clients send cannot forge another line, clear a terminal, or fill the disk."""

from __future__ import annotations

import logging

# Characters of a message, such as one with a request's path; a traceback after it is not cut.
MESSAGE_LIMIT = 1000


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
