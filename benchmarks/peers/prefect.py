"""Prefect with the server that it starts for each run where none is configured."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline


class Prefect(Peer):
    name = "Prefect"
    environment = "prefect"
    steps_are = "one process"
    reuses = True

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "python"), str(FLOWS / "prefect_flow.py")]

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        return {
            "PREFECT_HOME": str(self.state(pipeline) / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "CACHE": "1" if reuse else "",
        }
