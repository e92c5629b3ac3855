"""Metaflow: each step a process. It reads the steps in the source of the class, so that the source is written."""

from __future__ import annotations

import itertools

from benchmarks.peers.peer import Peer
from benchmarks.pipelines import Pipeline

HEAD = """import os

from metaflow import FlowSpec, step


class Flow(FlowSpec):
"""
COUNT = "open(os.environ['TALLY'], 'ab').write(b'.')"
STEP = """    @step
    def {name}(self{inputs}):
        {sdk}
        {tally}
        {work}
        {next}

"""
TAIL = """
if __name__ == "__main__":
    Flow()
"""


class Metaflow(Peer):
    name = "Metaflow"
    environment = "metaflow"

    def write(self, pipeline: Pipeline) -> None:
        steps = _chain(pipeline) if pipeline.shape == "chain" else _fan(pipeline)
        sdk = "from azureml.core import Run" if pipeline.sdk else "pass"
        body = "".join(STEP.format(sdk=sdk, **{"inputs": "", "tally": COUNT, **each}) for each in steps)
        (pipeline.folder / "flow.py").write_text(HEAD + body + TAIL)

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        python = str(self.programs / "python")
        options = ["--quiet", "--no-pylint", "--datastore", "local", "--metadata", "local"]
        return [python, "flow.py", *options, "run", "--max-workers", "2", "--max-num-splits", "1000"]

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        return {"METAFLOW_USER": "bench", "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.state(pipeline) / "store")}


def _chain(pipeline: Pipeline) -> list[dict[str, str]]:
    names = ["start", *(f"step{number}" for number in range(1, pipeline.steps - 1)), "end"]
    steps = [{"name": "start", "work": "self.value = 0", "next": f"self.next(self.{names[1]})"}]
    for name, following in itertools.pairwise(names[1:]):
        steps.append({"name": name, "work": "self.value += 1", "next": f"self.next(self.{following})"})
    return [*steps, {"name": "end", "work": "self.value += 1", "next": "pass"}]


def _fan(pipeline: Pipeline) -> list[dict[str, str]]:
    numbers = f"self.numbers = list(range({pipeline.steps}))"
    return [
        {"name": "start", "work": numbers, "next": "self.next(self.add, foreach='numbers')"},
        {"name": "add", "work": "self.value = self.input + 1", "next": "self.next(self.join)"},
        # The flow's own steps, which are none of the pipeline.
        {"name": "join", "inputs": ", inputs", "tally": "pass", "work": "pass", "next": "self.next(self.end)"},
        {"name": "end", "tally": "pass", "work": "pass", "next": "pass"},
    ]
