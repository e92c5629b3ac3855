"""Who is compared: one file each, with what it needs in the .txt of its name."""

from __future__ import annotations

from benchmarks.peers.dagster import Dagster, DagsterInProcess
from benchmarks.peers.dvc import Dvc
from benchmarks.peers.kedro import Kedro
from benchmarks.peers.kfp import Kfp
from benchmarks.peers.loop import Loop
from benchmarks.peers.metaflow import Metaflow
from benchmarks.peers.peer import Peer
from benchmarks.peers.prefect import Prefect
from benchmarks.peers.zenml import Zenml

PEERS: tuple[Peer, ...] = (
    Loop(),
    Metaflow(),
    Kfp(),
    Zenml(),
    Dvc(),
    Prefect(),
    Dagster(),
    DagsterInProcess(),
    Kedro(),
)
