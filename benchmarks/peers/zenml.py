"""ZenML with its local orchestrator and store."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline


class Zenml(Peer):
    name = "ZenML"
    environment = "zenml"
    steps_are = "one process"
    reuses = True

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "python"), str(FLOWS / "zenml_flow.py")]

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        return {
            "ZENML_CONFIG_PATH": str(self.state(pipeline) / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            "AUTO_OPEN_DASHBOARD": "false",
            "CACHE": "1" if reuse else "",
        }
