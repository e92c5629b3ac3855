"""Kubeflow Pipelines' local mode."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline


class Kfp(Peer):
    name = "kfp local"
    environment = "kfp"

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "python"), str(FLOWS / "kfp_flow.py")]
