"""One large table, and one large file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import data
from benchmarks.ours import Place, place
from benchmarks.scenario import Entry, Scenario, Setting, Values

SIZE, QUICK = 10**9, 10**6
# A round of the table takes a minute and more.
TABLE_LIMIT = 200.0


def moving(here: Place, what: str, file: Path, limit: float) -> Callable[[], Values]:
    def measure() -> Values:
        values: Values = here.program("transfer", what, file, limit=limit).json()
        return values

    return measure


def syncing(here: Place, what: str, file: Path, limit: float) -> Callable[[], Values]:
    """The folder of the file, by the wrapper."""

    def measure() -> Values:
        values: Values = here.program("sync", what, file.parent, "synced", limit=limit).json()
        return values

    return measure


@contextlib.contextmanager
def table(setting: Setting) -> Iterator[list[Entry]]:
    file = data.csv(setting.cache, setting.size(SIZE, QUICK))
    with place(setting.folder / "table") as here:
        here.start()
        registered = moving(here, "register", file, TABLE_LIMIT)

        def register() -> Values:
            data.change(file)
            return registered()

        yield [
            Entry(name="register_csv with upload", measure=register),
            Entry(name="cp of the file", measure=lambda: data.copy(file, here.folder / "copy")),
            Entry(name="to_pandas_dataframe", measure=moving(here, "read", file, TABLE_LIMIT)),
            Entry(name="pandas.read_csv", measure=moving(here, "pandas", file, TABLE_LIMIT)),
        ]


@contextlib.contextmanager
def blob(setting: Setting) -> Iterator[list[Entry]]:
    file = data.noise(setting.cache, setting.size(SIZE, QUICK))
    with place(setting.folder / "blob") as here:
        here.start()
        synced = syncing(here, "up", file, setting.limit)

        def sync_up() -> Values:
            data.change(file)
            return synced()

        yield [
            Entry(name="Datastore.upload_files", measure=moving(here, "upload", file, setting.limit)),
            Entry(name="Datastore.download", measure=moving(here, "download", file, setting.limit)),
            Entry(name="sync_folder, up", measure=sync_up),
            Entry(name="sync_folder, down", measure=syncing(here, "down", file, setting.limit)),
            Entry(name="cp", measure=lambda: data.copy(file, here.folder / "copy")),
        ]


TABLE = Scenario(
    name="table",
    title="A table of 1 GB",
    about="""Five columns of numbers, strings and times. `register_csv` uploads the file, whose first row is new
each time, and registers it; `to_pandas_dataframe` reads the registered table with the SDK's own reader. In
fresh, connected processes.""",
    open=table,
)
BLOB = Scenario(
    name="blob",
    title="A file of 1 GB to and from a datastore",
    about="""With the SDK's own blob client, and with `WorkspaceWrapper.sync_folder`, both over HTTPS on this
machine, in fresh, connected processes. The content is new for each upload by `sync_folder`, which would
otherwise send nothing.""",
    open=blob,
)
