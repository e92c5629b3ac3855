"""What is waited for before anything happens."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from benchmarks import ours
from benchmarks.scenario import Entry, Scenario, Setting, Values


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    with ours.place(setting.folder / "start") as place:
        service_process.start(place.home)
        place.stop()
        new = (Home(place.folder / f"new{number}") for number in itertools.count())
        yield [
            Entry(name="start of the service, new home", measure=lambda: service_start(next(new))),
            Entry(name="start of the service, used home", measure=lambda: service_start(place.home)),
            Entry(name="import azureml_wrapper", measure=lambda: place.program("import_time").json()),
            Entry(name="aml --help", measure=lambda: {"seconds": place.aml("--help").seconds}),
        ]


def service_start(home: Home) -> Values:
    start = time.perf_counter()
    service_process.start(home)
    took = time.perf_counter() - start
    service_process.stop(home)
    return {"seconds": took}


SCENARIO = Scenario(
    name="start",
    title="Start",
    about="""From the first call to a listening service, in a new and in a used home folder; the import alone, in a
fresh interpreter; and a command line as a whole process.""",
    open=entries,
)
