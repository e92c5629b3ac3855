"""Divides the inputs into mini-batches."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .settings import Settings, Source

# The number of rows from which the size of a row is estimated.
_SAMPLE = 1000


@dataclass
class Batch:
    """`files`, or the file of a `table`; `count` is the number of files or rows."""

    number: int
    count: int
    files: list[str] | None = None
    table: str | None = None
    tries: int = 0

    def load(self) -> Any:
        """The argument of `run()`: a list of paths, or a data frame."""
        if self.table is None:
            return list(self.files or ())
        import pandas

        return pandas.read_pickle(self.table)  # noqa: S301 - written a moment ago by `_parts`


def make_batches(settings: Settings) -> list[Batch]:
    """Mini-batches of all inputs; each input is divided separately."""
    made: list[Batch] = []
    for source in settings.sources:
        divide = _tables if source.dataset else _files
        made.extend(divide(source, settings.mini_batch_size, len(made)))
    return made


def _files(source: Source, size: int, first: int) -> Iterator[Batch]:
    paths = sorted(_below(source.path or ""))
    for place in range(0, len(paths), size):
        some = paths[place : place + size]
        yield Batch(first + place // size, len(some), files=some)


def _below(path: str) -> Iterator[str]:
    if Path(path).is_file():
        yield path
    for folder, _, names in os.walk(path, followlinks=True):
        yield from (str(Path(folder, name)) for name in names)


def _tables(source: Source, size: int, first: int) -> Iterator[Batch]:
    """Read a table once, and save its parts in the job's folder, which is removed when the job ends."""
    from azureml.core import Run

    table = Run.get_context().input_datasets[source.dataset].to_pandas_dataframe()
    # The size is that of the rows as CSV: for a table of CSV files, that of the files.
    sample = table.head(_SAMPLE)
    row = len(sample.to_csv(index=False, header=False)) / max(1, len(sample))
    rows = max(1, int(size / max(1.0, row)))
    folder = tempfile.mkdtemp(prefix="mini_batches_", dir=Path.cwd().parent)
    for place in range(0, len(table), rows):
        part, number = table.iloc[place : place + rows].reset_index(drop=True), first + place // rows
        file = f"{folder}/{number}.pickle"
        part.to_pickle(file)
        yield Batch(number, len(part), table=file)
