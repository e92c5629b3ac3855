"""What the library reports to its users, and which of the SDK's own messages it holds back."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar

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


# Where the SDKs log what our callers take as an answer: that something does not exist yet, that `az` has no login,
# that a class is deprecated or experimental.
SDK_LOGGERS = (
    "root",
    "azure.ai.ml._utils._experimental",
    "azure.identity._internal.decorators",
    "azureml._project._commands",
    "azureml.core.environment",
    "azureml.data._loggerfactory.azureml.data._dataset_rest_helper",
    "azureml.data._loggerfactory.azureml.data.abstract_dataset",
    "azureml.pipeline.steps.mpi_step",
    "azureml.train.estimator._estimator",
)
_quiet = ContextVar("quiet", default=False)


def _passes(record: logging.LogRecord) -> bool:
    return not _quiet.get() or record.levelno > logging.ERROR


@contextlib.contextmanager
def quiet_sdk() -> Iterator[None]:
    """Hold back what `SDK_LOGGERS` log in this thread; other threads log as always.

    The filter stays on those loggers, because removing one is not safe while another thread logs.
    """
    for name in SDK_LOGGERS:
        logging.getLogger(name).addFilter(_passes)
    before = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(before)
