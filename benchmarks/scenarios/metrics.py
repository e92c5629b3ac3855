"""Many metrics: logged by one script and by several at once, and read again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.ours import Place
from benchmarks.processes import NotMeasured
from benchmarks.scenario import Entry, Scenario, Setting, Values
from benchmarks.watched import watched_place

CALLS, SCRIPTS = 100_000, 8


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    calls, folder = setting.size(CALLS, 1_000), setting.folder
    one, several = f"{calls:,} run.log calls, one script", f"{calls:,} run.log calls, {SCRIPTS} scripts at once"
    with watched_place(folder / "kept") as kept, watched_place(folder / "gone", discards_metrics=True) as gone:
        kept.set_up()
        gone.set_up()
        measured = Logging(setting.limit, calls)
        yield [
            Entry(name=one, measure=measured.by(kept, 1)),
            Entry(name=f"{one}, thrown away", measure=measured.by(gone, 1)),
            Entry(name=f"{one}, offline", measure=measured.by(kept, 1, how="offline")),
            Entry(name=several, measure=measured.by(kept, SCRIPTS)),
            Entry(name=f"{several}, thrown away", measure=measured.by(gone, SCRIPTS)),
            Entry(name=f"get_metrics of {calls:,} points", measure=lambda: measured.read(kept)),
        ]


class Logging:
    """Scripts that log `calls` metrics together."""

    def __init__(self, limit: float, calls: int) -> None:
        self._limit, self._calls = limit, calls
        self._runs: dict[Place, str] = {}

    def by(self, place: Place, scripts: int, *, how: str = "run") -> Callable[[], Values]:
        """Seconds from when the first script begins to log until the last has ended its run."""

        def measure() -> Values:
            with ThreadPoolExecutor(scripts) as pool:
                told = [*pool.map(lambda _: self._log(place, self._calls // scripts, how), range(scripts))]
            if scripts == 1 and how == "run":
                self._runs[place] = str(told[0]["run"])
            return {"seconds": max(float(each["end"]) for each in told) - min(float(each["start"]) for each in told)}

        return measure

    def read(self, place: Place) -> Values:
        if place not in self._runs:
            raise NotMeasured("nothing was logged")
        values: Values = place.program("read_metrics", self._runs[place], self._calls, limit=self._limit).json()
        return values

    def _log(self, place: Place, calls: int, how: str) -> dict[str, float | str]:
        values: dict[str, float | str] = place.program("log_metrics", calls, how, limit=self._limit).json()
        return values


SCENARIO = Scenario(
    name="metrics",
    title="Metrics",
    about=f"""`run.log` of a number under one name, {CALLS:,} times in total, from the first call to the end of
`run.complete()`, which waits until all are stored; {SCRIPTS} scripts share the calls. "Thrown away" runs against
a service that acknowledges batches of metrics and discards them: what remains is the SDK's own work. "Offline" is
the SDK without a workspace. `get_metrics` reads all points of one run.""",
    open=entries,
    budget=36,
)
