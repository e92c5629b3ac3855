"""What the user is told, and what of the SDK's own messages is kept from the user."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


def say(message: str) -> None:
    """Tell the user, as the SDK itself does: on standard output."""
    print(message)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep the SDK from logging an error where an answer such as "there is none" is expected."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.disable(before)
