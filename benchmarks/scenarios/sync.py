"""Folders of many small files, to and from a datastore."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import data
from benchmarks.ours import Place, place
from benchmarks.scenario import Entry, Scenario, Setting, Values

FILES, MANY, SIZE = 2_000, 10_000, 1_000


def moving(here: Place, what: str, folder: Path, target: Callable[[], str], limit: float) -> Callable[[], Values]:
    def measure() -> Values:
        values: Values = here.program("sync", what, folder, target(), limit=limit).json()
        return values

    return measure


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    files, many = setting.size(FILES, 20), setting.size(MANY, 100)
    with place(setting.folder / "sync") as here:
        here.start()
        small, large = (data.folder(here.folder / str(count), count, SIZE, "") for count in (files, many))
        moving(here, "up", small, lambda: "known", setting.limit)()
        moving(here, "up", large, lambda: "many", setting.limit)()
        new = (f"new{number}" for number in itertools.count())
        ways = {
            f"{files:,} new files up, sync_folder": ("up", small, lambda: next(new)),
            f"{files:,} new files up, Datastore.upload": ("sdk-up", small, lambda: next(new)),
            f"{files:,} files down, sync_folder": ("down", small, lambda: "known"),
            f"{files:,} files down, Datastore.download": ("sdk-down", small, lambda: "known"),
            f"{many:,} unchanged files up, sync_folder": ("up", large, lambda: "many"),
        }
        copy = Entry(name=f"{files:,} files, cp -r", measure=lambda: data.copy(small, here.folder / "copy"))
        yield [
            *(Entry(name=name, measure=moving(here, *way, setting.limit)) for name, way in ways.items()),
            copy,
        ]


SCENARIO = Scenario(
    name="sync",
    title="Folders of small files",
    about=f"""`WorkspaceWrapper.sync_folder` and the SDK's own datastore, with files of {SIZE:,} bytes, in
fresh, connected processes. Unchanged files are compared by size and MD5, and not sent.""",
    open=entries,
)
