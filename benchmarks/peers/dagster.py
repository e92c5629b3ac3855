"""Dagster: with its default executor, a process for each step, and with all in one process."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline

SETTINGS = "telemetry:\n  enabled: false\n"


class Dagster(Peer):
    name = "Dagster"
    environment = "dagster"
    in_process = ""

    def write(self, pipeline: Pipeline) -> None:
        home = self.state(pipeline) / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_text(SETTINGS)

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        file = str(FLOWS / "dagster_flow.py")
        return [str(self.programs / "dagster"), "job", "execute", "--python-file", file, "--job", "flow"]

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        return {"DAGSTER_HOME": str(self.state(pipeline) / "dagster"), "IN_PROCESS": self.in_process}


class DagsterInProcess(Dagster):
    name = "Dagster, in process"
    steps_are = "one process"
    in_process = "1"
