"""How the processes of a job are spread over nodes, and what each of them is told of its place.

Every node is this machine. Names and values of the variables are those that scripts for Azure ML read (MPI: Open
MPI's own and AZ_BATCH*; PyTorch: what `torch.distributed` reads with `env://`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported

JSON = dict[str, Any]

ADDRESS = "127.0.0.1"
SINGLE_LOG = "user_logs/std_log.txt"
# What mpirun itself says.
MPI_LOG = "user_logs/mpi_log.txt"


class Launcher(str, Enum):
    """Who starts the processes."""

    MPI = "mpi"
    PYTORCH = "pytorch"


# The communicators of the SDK (azureml/core/runconfig.py), and who starts their processes.
_LAUNCHERS = {
    "openmpi": Launcher.MPI,
    "intelmpi": Launcher.MPI,
    "nccl": Launcher.PYTORCH,
    "gloo": Launcher.PYTORCH,
}
_REFUSED = {
    "parameterserver": "TensorflowConfiguration (communicator ParameterServer) is not supported; MpiConfiguration "
    "runs Horovod, PyTorchConfiguration sets RANK, WORLD_SIZE and MASTER_ADDR",
    "paralleltask": "the communicator ParallelTask (ParallelRunStep on Windows) is not supported",
}


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """`per_node` processes on each of `nodes`; `launcher` is None where the job names no communicator."""

    launcher: Launcher | None = None
    nodes: int = 1
    per_node: int = 1

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.per_node < 1:
            raise Invalid(f"A job needs one process at least, not {self.nodes} nodes with {self.per_node} each.")
        if self.launcher is None and self.size > 1:
            raise Unsupported(
                f"The job asks for {self.nodes} nodes and says nothing of how its processes find each other. "
                "Give it a distributed_job_config: MpiConfiguration or PyTorchConfiguration."
            )

    @property
    def size(self) -> int:
        """How many processes there are in all."""
        return self.nodes * self.per_node

    def log(self, rank: int) -> str:
        """The log of a process as Azure names it, numbers with as many digits as the size."""
        return SINGLE_LOG if self.size == 1 else f"user_logs/std_log_process_{rank:0{len(str(self.size))}}.txt"

    def variables(self, rank: int, port: int) -> dict[str, str]:
        """What a process finds in its environment; the first one may listen on `port`."""
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
            # mpirun knows of one node only.
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


def distribution(communicator: str | None, nodes: int, per_node: int) -> Distribution:
    """The distribution of a job; `Unsupported` for a communicator that is not served."""
    if communicator is None:
        return Distribution(nodes=nodes, per_node=per_node)
    launcher = _LAUNCHERS.get(communicator.lower())
    if launcher is None:
        known = "the local service knows OpenMpi, IntelMpi, Nccl and Gloo"
        raise Unsupported(f"{_REFUSED.get(communicator.lower(), f'{communicator!r} is no communicator; {known}')}.")
    return Distribution(launcher=launcher, nodes=nodes, per_node=per_node)


def processes_per_node(communicator: str | None, nodes: int, config: JSON) -> int:
    """How many processes a RunConfiguration asks for on each node; `Invalid` where they cannot be spread evenly."""
    kind = (communicator or "").lower()
    launcher = _LAUNCHERS.get(kind)
    if launcher is Launcher.MPI:
        return int((config.get("mpi") or {}).get("processCountPerNode") or 1)
    if launcher is Launcher.PYTORCH:
        count = int((config.get("pytorch") or {}).get("processCount") or nodes)
        if count % max(1, nodes):
            raise Invalid(f"PyTorchConfiguration: {count} processes cannot be spread evenly over {nodes} nodes.")
        return count // max(1, nodes)
    if kind == "parameterserver":
        flow = config.get("tensorflow") or {}
        return int(flow.get("workerCount") or 1) + int(flow.get("parameterServerCount") or 0)
    return 1
