"""How soon a changed blob begins a run, and what publishing with a schedule costs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from benchmarks import ours
from benchmarks.pipelines import Pipeline
from benchmarks.scenario import Entry, Quantity, Scenario, Setting
from benchmarks.watched import watched_place


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    with watched_place(setting.folder / "schedules") as place:
        place.set_up()
        ours.write(Pipeline(folder=place.folder, steps=2))
        names = (f"watched{number}" for number in itertools.count())
        yield [
            Entry(
                name="from a file's upload to its run",
                measure=lambda: place.program("changed_blob", next(names), limit=setting.limit).json(),
            )
        ]


SCENARIO = Scenario(
    name="schedules",
    title="Changed blobs",
    about="""A pipeline of two steps is registered with "On_blob_change" on a folder of the default datastore, and a
file is uploaded there. Measured are the seconds from the end of the upload to the start of the run, and the
requests of the call of `register` alone, with the workspace connected; the first call also uploads the scripts.
In Azure, the run waits for the next polling interval, which is minutes.""",
    open=entries,
    quantities=(
        Quantity(key="seconds", heading="upload to run"),
        Quantity(key="requests", heading="requests of register", unit="number"),
    ),
)
