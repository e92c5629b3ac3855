"""Starts a job of several processes: through mpirun, or side by side for PyTorch. Each has a log of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.distribution import ADDRESS, Distribution, Launcher
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.executor import ranks
from azureml_wrapper.local.executor.process import ColdStarter, Process

MPIRUN = "mpirun"
NO_MPIRUN = (
    "The job is distributed by MPI, and there is no mpirun on this machine. Install Open MPI: "
    "on Debian and Ubuntu `sudo apt-get install openmpi-bin`, and submit again."
)


@dataclass(frozen=True)
class Failure:
    """The first process that failed; `code` is negative where a signal ended it."""

    rank: int
    code: int


class RankStarter:
    """Starts every rank of a job. `folder` is for what it needs, `logs` are those of the ranks, in order."""

    def __init__(self, spread: Distribution, folder: Path, logs: Sequence[Path]) -> None:
        self._spread, self._folder, self._logs = spread, folder, logs
        self._cold = ColdStarter()

    @property
    def failure(self) -> Failure | None:
        """Which rank failed first; None where none did, or mpirun itself failed."""
        try:
            told = json.loads((self._folder / "failure.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return Failure(told["rank"], told["code"])

    def preload(self, interpreter: str, variables: Mapping[str, str]) -> None:
        pass

    def explain(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> str:
        spread = self._spread
        how = self._mpirun(variables) if spread.launcher is Launcher.MPI else "MASTER_ADDR and RANK"
        return (
            f"Distributed start: {spread.size} processes through {how}, all on this machine "
            f"({spread.nodes} nodes with {spread.per_node} each)."
        )

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        """Start all; `log` is for what mpirun says. `Invalid` where there is no mpirun."""
        words = [sys.executable, "-I", "-S", ranks.__file__, str(self._order(command))]
        if self._spread.launcher is Launcher.MPI:
            words = [self._mpirun(variables), "-np", str(self._spread.size), *words]
            variables = {**self._settings(), **variables}
        return self._cold.start(words, folder=folder, variables=variables, log=log)

    def close(self) -> None:
        pass

    def _order(self, command: Sequence[str]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        places = [
            {"log": str(log), "variables": self._spread.variables(rank, port)} for rank, log in enumerate(self._logs)
        ]
        file = self._folder / "order.json"
        order = {
            "command": list(command),
            "mpi": self._spread.launcher is Launcher.MPI,
            "failure": str(self._folder / "failure.json"),
            "ranks": places,
        }
        file.write_text(json.dumps(order))
        return file

    def _mpirun(self, variables: Mapping[str, str]) -> str:
        # An environment may bring an Open MPI of its own.
        found = shutil.which(MPIRUN, path=variables.get("PATH", os.defpath))
        if found is None:
            raise Invalid(NO_MPIRUN)
        return found

    def _settings(self) -> dict[str, str]:
        """Open MPI on one machine: any user, more ranks than cores, no network, nothing left behind elsewhere."""
        return {
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_hwloc_base_binding_policy": "none",
            "OMPI_MCA_plm": "isolated",
            "OMPI_MCA_oob_tcp_if_include": "lo",
            "OMPI_MCA_pml": "ob1",
            "OMPI_MCA_btl": "self,vader",
            # Containers forbid one process to read another one's memory.
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            "OMPI_MCA_btl_vader_backing_directory": str(self._folder),
            "OMPI_MCA_orte_tmpdir_base": str(self._folder),
        }


def free_port() -> int:
    """A port of this machine on which nobody listens at the moment."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port: int = listener.getsockname()[1]
    return port
