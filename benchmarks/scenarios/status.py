"""Two hundred job folders, and how their jobs are."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from benchmarks.ours import Place, place
from benchmarks.processes import Failed
from benchmarks.scenario import Entry, Scenario, Setting, Values

FOLDERS = 200
MAKE_SECONDS = 300.0
LAST_LINE = ".aml_last_line"


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    count = setting.size(FOLDERS, 4)
    with place(setting.folder / "status") as here:
        here.set_up()
        here.program("make_jobs", count, limit=MAKE_SECONDS)

        def again() -> Values:
            return status(here, count, setting.limit)

        def first() -> Values:
            for line in (here.folder / "output").rglob(LAST_LINE):
                line.unlink()
            return again()

        yield [
            Entry(name=f"aml status all, {count} folders, for the first time", measure=first),
            Entry(name=f"aml status all, {count} folders, again", measure=again),
        ]


def status(here: Place, count: int, limit: float) -> Values:
    done = here.aml("status", "all", "--json", limit=limit)
    if len(json.loads(done.output)) != count:
        raise Failed("did not show all jobs", done.output)
    return {"seconds": done.seconds}


SCENARIO = Scenario(
    name="status",
    title="200 job folders",
    about="""Completed jobs of one script; the command as a whole process. The first call fetches the last lines
of all logs.""",
    open=entries,
)
