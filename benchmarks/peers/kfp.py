"""Kubeflow Pipelines' local mode."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline


class Kfp(Peer):
    name = "kfp local"
    environment = "kfp"
    reuses = True

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "python"), str(FLOWS / "kfp_flow.py")]

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        return {"CACHE": "1" if reuse else ""}
