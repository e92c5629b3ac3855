"""The same pipeline with more and more steps: time and memory against their number."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator

from benchmarks import ours
from benchmarks.peers import PEERS
from benchmarks.pipelines import Pipeline, Shape
from benchmarks.processes import NotMeasured
from benchmarks.scenario import Entry, Open, Quantity, Scenario, Setting, Values
from benchmarks.subjects import OurRun, PeerRun, folder_name

OURS = "azureml_wrapper"
CHAIN = (10, 30, 100, 300, 1000)
PEERS_CHAIN = (10, 100, 1000)
FAN = (200,)
QUICK = (3, 6)
# Part of the limit: a start counts in every step of the estimate, and what may be cut off shows no more.
MOST_EXPECTED = 0.4


class Growing:
    """The sizes of one subject. A size is not started if, judging by the one before, it takes more than `most` s."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._took: dict[int, list[float]] = {}

    def entry(self, name: str, size: int, measure: Callable[[], Values]) -> Entry:
        def guarded() -> Values:
            self._check(size)
            values = measure()
            self._took.setdefault(size, []).append(values["seconds"])
            return values

        return Entry(name=f"{name}, {size} steps", measure=guarded, group=name, size=size)

    def _check(self, size: int) -> None:
        smaller = max((known for known in self._took if known < size), default=None)
        if smaller is None:
            return
        expected = statistics.median(self._took[smaller]) * size / smaller
        if size not in self._took and expected > self._most:
            raise NotMeasured(f"not started: about {expected:.0f} s, judging by {smaller} steps")


def open_growth(shape: Shape, own: tuple[int, ...], others: tuple[int, ...]) -> Open:
    @contextlib.contextmanager
    def entries(setting: Setting) -> Iterator[list[Entry]]:
        with ours.place(setting.folder / f"growth-{shape}") as place:
            place.set_up()
            growing, lines = Growing(math.inf), []
            for size in QUICK if setting.quick else own:
                pipeline = Pipeline(folder=place.folder / f"{shape}-{size}", steps=size, shape=shape)
                run = OurRun(place, pipeline, setting.limit, memory=True)
                lines.append(growing.entry(OURS, size, run.measure))
                if size in PEERS_CHAIN:
                    lines.append(growing.entry(f"{OURS}, nothing changed", size, run.again))
            yield lines + (peers(setting, shape, QUICK if setting.quick else others) if setting.peers else [])

    return entries


def peers(setting: Setting, shape: Shape, sizes: tuple[int, ...]) -> list[Entry]:
    found = []
    for peer in PEERS:
        growing = Growing(setting.limit * MOST_EXPECTED)
        for size in sizes:
            folder = setting.shared / folder_name(peer.name) / f"{shape}-{size}"
            run = PeerRun(peer, Pipeline(folder=folder, steps=size, shape=shape), setting.limit, memory=True)
            found.append(growing.entry(peer.name, size, run.measure))
    return found


ABOUT = """{what} Wall time of a fresh process, with the service up. Memory is the peak of all processes
together (client, service and steps, and a peer's server), as the sum of their resident sets: pages that forked
processes share count once for each. The exponent is that of a power law, fitted by least squares on a
logarithmic scale; 1 is a straight line. A peer is not started if, judging by fewer steps, it would take more
than 40 % of the limit."""
QUANTITIES = (
    Quantity(key="seconds", heading="time"),
    Quantity(key="mib", heading="memory", unit="MiB"),
)

CHAINS = Scenario(
    name="growth",
    title="Chains of 10 to 1,000 steps",
    about=ABOUT.format(what="The same trivial steps, in a row."),
    open=open_growth("chain", CHAIN, PEERS_CHAIN),
    budget=8,
    quantities=QUANTITIES,
)
FANS = Scenario(
    name="fan",
    title="200 parallel steps",
    about=ABOUT.format(what="200 steps that read one source, two at a time if the tool can."),
    open=open_growth("fan", FAN, FAN),
    limit=45,
    budget=8,
    quantities=QUANTITIES,
)
