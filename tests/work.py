"""Work that is counted, not timed: the same number on every machine, busy or not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from azureml_wrapper.local.store.database import Database


def calls(action: Callable[[], Any]) -> int:
    """Count the functions, in Python and in C, that `action` calls in this thread."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def instructions(database: Database, action: Callable[[], Any]) -> int:
    """Count the instructions that SQLite's virtual machine executes for `action`."""
    count = 0

    def note() -> None:
        nonlocal count
        count += 1

    database._connection.set_progress_handler(note, 1)
    try:
        action()
    finally:
        database._connection.set_progress_handler(None, 0)
    return count


def statements(database: Database, action: Callable[[], Any]) -> list[str]:
    """The SQL that `action` runs, with the values in it."""
    found: list[str] = []
    database._connection.set_trace_callback(found.append)
    try:
        action()
    finally:
        database._connection.set_trace_callback(None)
    return found
