"""Ten steps in a row: the wait of somebody who changes a line and runs the pipeline again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from benchmarks import ours
from benchmarks.peers import PEERS
from benchmarks.pipelines import Pipeline
from benchmarks.scenario import Entry, Open, Quantity, Scenario, Setting, Values
from benchmarks.subjects import OurRun, PeerRun, folder_name

STEPS = 10
QUANTITIES = (Quantity(key="seconds", heading="every step runs"), Quantity(key="rerun", heading="nothing changed"))

ABOUT = """{what} Each number is the wall time of a fresh process, except in the lines "SDK imported", which measure
from submit to completed in a process that has already imported the SDK. "Nothing changed" runs the same
pipeline again, with the tool's own cache; if a tool has no cache that detects changes, the cell is empty."""


def open_chain(sdk: bool) -> Open:
    @contextlib.contextmanager
    def entries(setting: Setting) -> Iterator[list[Entry]]:
        folder = setting.folder / f"chain{'-sdk' if sdk else ''}"
        steps = setting.size(STEPS, 3)
        with ours.place(folder / "cold") as cold, ours.place(folder / "up") as up:
            cold.set_up()
            up.set_up()
            downed, running = (
                OurRun(place, Pipeline(folder=place.folder / "chain", steps=steps, sdk=sdk), setting.limit)
                for place in (cold, up)
            )
            mine: dict[str, Callable[[], Values]] = {
                "service down": downed.cold,
                "service up": running.process,
                "SDK imported": running.imported,
            }
            lines = [Entry(name=f"azureml_wrapper, {how}", measure=measure) for how, measure in mine.items()]
            yield lines + (peers(setting, steps, sdk) if setting.peers else [])

    return entries


def peers(setting: Setting, steps: int, sdk: bool) -> list[Entry]:
    found = []
    for peer in PEERS:
        folder = setting.shared / folder_name(peer.name) / f"chain{'-sdk' if sdk else ''}"
        pipeline = Pipeline(folder=folder, steps=steps, sdk=sdk)
        measured = PeerRun(peer, pipeline, setting.limit, rerun=True)
        found.append(Entry(name=f"{peer.name} (steps: {peer.steps_are})", measure=measured.measure))
    return found


TRIVIAL = Scenario(
    name="chain",
    title="A chain of 10 trivial steps",
    about=ABOUT.format(what="Each step reads a number, adds one, and passes it to the next."),
    open=open_chain(sdk=False),
    budget=30,
    quantities=QUANTITIES,
)
WITH_SDK = Scenario(
    name="chain-sdk",
    title="A chain of 10 steps that import the SDK",
    about=ABOUT.format(what="The same steps, each with `from azureml.core import Run`."),
    open=open_chain(sdk=True),
    quantities=QUANTITIES,
)
