"""How the processes of a job are spread over nodes, and the variables that tell each process its place.

Every node is this machine. Names and values of the variables are those that scripts for Azure ML read (MPI: Open
MPI's own and AZ_BATCH*; PyTorch: what `torch.distributed` reads with `env://`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from azureml_wrapper.local.domain.errors import Invalid, Unsupported

ADDRESS = "127.0.0.1"
SINGLE_LOG = "user_logs/std_log.txt"
# The output of mpirun itself.
MPI_LOG = "user_logs/mpi_log.txt"


class Launcher(str, Enum):
    """What starts the processes."""

    MPI = "mpi"
    PYTORCH = "pytorch"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """`per_node` processes on each of `nodes`; `launcher` is None if the job names no communicator."""

    launcher: Launcher | None = None
    nodes: int = 1
    per_node: int = 1

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.per_node < 1:
            raise Invalid(
                f"A job needs at least one process, got {self.nodes} nodes with {self.per_node} processes each."
            )
        if self.launcher is None and self.size > 1:
            raise Unsupported(
                f"The job asks for {self.nodes} nodes, but not how its processes find each other. "
                "Set distributed_job_config to an MpiConfiguration or a PyTorchConfiguration."
            )

    @property
    def size(self) -> int:
        """The total number of processes."""
        return self.nodes * self.per_node

    def log(self, rank: int) -> str:
        """The log of a process, with Azure's name: ranks are padded to the digits of the size."""
        return SINGLE_LOG if self.size == 1 else f"user_logs/std_log_process_{rank:0{len(str(self.size))}}.txt"

    def variables(self, rank: int, port: int) -> dict[str, str]:
        """The environment variables of a process; the first one may listen on `port`."""
        if self.launcher is None:
            return {}
        node, local = divmod(rank, self.per_node)
        of_launcher = self._mpi(rank, local, port) if self.launcher is Launcher.MPI else self._pytorch(rank, port)
        return {
            **of_launcher,
            "AZUREML_NODE_COUNT": str(self.nodes),
            "AZUREML_CR_NODE_RANK": str(node),
            "AZ_BATCHAI_JOB_MASTER_NODE_IP": ADDRESS,
        }

    def _mpi(self, rank: int, local: int, port: int) -> dict[str, str]:
        several = {"AZ_BATCH_MASTER_NODE": f"{ADDRESS}:{port}"} if self.nodes > 1 else {}
        return {
            "OMPI_COMM_WORLD_RANK": str(rank),
            "OMPI_COMM_WORLD_SIZE": str(self.size),
            # mpirun only knows one node.
            "OMPI_COMM_WORLD_LOCAL_RANK": str(local),
            "OMPI_COMM_WORLD_LOCAL_SIZE": str(self.per_node),
            "OMPI_COMM_WORLD_NODE_RANK": str(local),
            "AZ_BATCHAI_MPI_MASTER_NODE": ADDRESS,
            **several,
        }

    def _pytorch(self, rank: int, port: int) -> dict[str, str]:
        node, local = divmod(rank, self.per_node)
        return {
            "MASTER_ADDR": ADDRESS,
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(self.size),
            "NODE_RANK": str(node),
        }
