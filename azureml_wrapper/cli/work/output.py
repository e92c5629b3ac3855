"""Records as a table for people, or as JSON for programs."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

Record = Mapping[str, Any]
COLORS = {"Completed": "green", "reused": "green", "Failed": "red", "Canceled": "yellow", "Running": "cyan"}
# Without a terminal, no line is cut or wrapped, because other programs read them.
WIDE = 10_000
MESSAGE_LINES = 20


def show_records(records: Sequence[Record], columns: Sequence[str], *, as_json: bool) -> None:
    """Print whole records as JSON, or the columns that people want as a table."""
    if as_json:
        show_json(list(records))
    elif records:
        _print(records, columns)
    else:
        click.echo("No results.", err=True)


def show_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def message(error: Exception) -> str:
    """The message of an error, cut to one screen.

    The SDK's own errors print as several blocks of JSON; their `message` is the part for people
    (azureml/_common/exceptions.py).
    """
    text = str(getattr(error, "message", "") or error) or type(error).__name__
    lines = text.strip().splitlines()
    return "\n".join(lines[:MESSAGE_LINES] + ["…"] * (len(lines) > MESSAGE_LINES))


@contextlib.contextmanager
def sdk_silenced() -> Iterator[None]:
    """Drop what the SDK prints on standard output, which is for the command's own; `aml` runs no other thread."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _print(records: Sequence[Record], columns: Sequence[str]) -> None:
    # Imported here, because it takes longer than all else that `--json` needs.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for record in records:
        table.add_row(*(Text(text, style=COLORS.get(text, "")) for text in map(_text, map(record.get, columns))))
    console.print(table)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value)
