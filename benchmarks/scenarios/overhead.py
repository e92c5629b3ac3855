"""What the wrapper adds to the SDK: requests and time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from benchmarks import ours
from benchmarks.pipelines import Pipeline
from benchmarks.scenario import Entry, Quantity, Scenario, Setting, Values
from benchmarks.watched import WatchedPlace, watched_place

OPERATIONS = ("build", "submit", "publish", "register")
STEPS = 1_000
HOW = {"wrapper": "wrapper", "SDK alone": "sdk"}


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    with watched_place(setting.folder / "overhead") as place:
        place.set_up()
        ours.write(Pipeline(folder=place.folder, steps=2))
        steps = setting.size(STEPS, 5)
        yield [
            Entry(name=f"{what}, {name}", measure=measurement(place, what, how, setting.limit))
            for what in OPERATIONS
            for name, how in HOW.items()
        ] + [
            Entry(name=f"per step of {steps:,}, {name}", measure=per_step(place, how, steps, setting))
            for name, how in HOW.items()
        ]


def measurement(place: WatchedPlace, what: str, how: str, limit: float) -> Callable[[], Values]:
    def measure() -> Values:
        values: Values = place.program("overhead", what, how, limit=limit).json()
        return values

    return measure


def per_step(place: WatchedPlace, how: str, steps: int, setting: Setting) -> Callable[[], Values]:
    def measure() -> Values:
        values: Values = place.program("many_steps", how, steps, limit=setting.limit).json()
        return values

    return measure


SCENARIO = Scenario(
    name="overhead",
    title="Wrapper and raw SDK",
    about="""Two steps, written once as a config of the wrapper and once with the classes of the SDK: built, built
and submitted, built and published; and a small table, uploaded and registered. Each round is a fresh process.
The requests are those of the first operation, from the connection on, counted at the service; the time is the
median of three more operations in the same process. Scripts and table are new each time. If the wrapper needs
more requests, it is because it asks first: `publish` for the versions and schedules of that name, `register`
for the table of that name, so that an unchanged table is left alone. It also checks that the script exists, and
that the table can be read with this delimiter and encoding. The last two lines are a build and a submit, with
time and requests divided by the number of steps, which are all new; their run is canceled.""",
    open=entries,
    quantities=(
        Quantity(key="seconds", heading="time"),
        Quantity(key="requests", heading="requests", unit="number"),
    ),
)
