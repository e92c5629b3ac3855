"""A script folder of 2,000 files."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator

from benchmarks import data, ours
from benchmarks.pipelines import Pipeline
from benchmarks.scenario import Entry, Quantity, Scenario, Setting, Values

FILES, SIZE = 1_999, 1_000
NEW = 200


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    files, new = setting.size(FILES, 50), setting.size(NEW, 10)
    with ours.place(setting.folder / "snapshot") as place:
        place.set_up()
        step = Pipeline(folder=place.folder / "step", steps=1)
        ours.write(step)
        scripts = data.folder(step.folder / "scripts", files, SIZE, "")

        def submit() -> Values:
            values: Values = place.program("snapshot", step.folder / "config.json", limit=setting.limit).json()
            return values

        def first() -> Values:
            shutil.rmtree(scripts)
            ours.write(step)
            data.folder(scripts, files, SIZE, time.time_ns())
            return submit()

        def changed() -> Values:
            ours.renew(step)
            return submit()

        yield [
            Entry(name="all files new", measure=first),
            Entry(name="unchanged", measure=submit),
            Entry(name="one file changed", measure=changed),
            Entry(name="cp -r of the folder", measure=lambda: data.copy(scripts, place.folder / "copy")),
            *(
                Entry(name=f"{new} new files, {name}", measure=new_files(place, how, new, setting.limit))
                for name, how in (("a job", "job"), ("the SDK alone", "sdk"))
            ),
        ]


def new_files(place: ours.Place, how: str, count: int, limit: float) -> Callable[[], Values]:
    def measure() -> Values:
        values: Values = place.program("new_files", how, count, limit=limit).json()
        return values

    return measure


SCENARIO = Scenario(
    name="snapshot",
    title="A script folder of 2,000 files",
    about=f"""A pipeline of one step, whose folder has the script and {FILES:,} other files of {SIZE:,} bytes.
In a fresh, connected process, from the call of `run` until it is submitted, and until it has completed: the
step gets all files in its working folder. {NEW} new files are submitted without a pipeline, as a `JobWrapper` and
as a `ScriptRunConfig` of the SDK, which uploads each file over a connection of its own.""",
    open=entries,
    quantities=(
        Quantity(key="seconds", heading="submitted"),
        Quantity(key="completed", heading="completed"),
    ),
)
