"""What the library reports to its users, and which of the SDK's own messages it holds back."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

LOGGER = logging.getLogger("azureml_wrapper")


class StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what is standard error at that moment: tests and notebooks replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to the current `sys.stderr`."""
        self.stream = sys.stderr
        super().emit(record)


_default = StandardError()


def inform(message: str) -> None:
    """Report what the library did, as an INFO record of the logger "azureml_wrapper".

    Logging shows no INFO unless it is configured; these messages are for users, who would miss them. So they go to
    standard error as long as the application has configured neither this logger nor the root logger.
    """
    if _is_configured():
        LOGGER.info(message, stacklevel=2)
    elif logging.root.manager.disable < logging.INFO:
        _default.handle(LOGGER.makeRecord(LOGGER.name, logging.INFO, __file__, 0, message, (), None))


def _is_configured() -> bool:
    """Whether the application decides what is shown; a root logger set to ERROR wants less than by default."""
    return LOGGER.hasHandlers() or LOGGER.level != logging.NOTSET or logging.root.level > logging.WARNING


@contextlib.contextmanager
def quiet_sdk() -> Iterator[None]:
    """Keep the SDK from logging an error when it looks for something that may not exist."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.disable(before)
