"""A job: what the executor needs to know to run one script for one run, in one process or in several.

A script run (services/execution) and a step of a pipeline (executor/graph) both come down to this. Every node is this
machine. The variables that tell each process its place are those that scripts for Azure ML read (MPI: Open MPI's own
and AZ_BATCH*; PyTorch: what `torch.distributed` reads with `env://`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.runs import JSON, Run, RunError

# The file systems' own limit for one name, in bytes.
NAME_LIMIT = 255
ADDRESS = "127.0.0.1"
SINGLE_LOG = "user_logs/std_log.txt"
# The output of mpirun itself.
MPI_LOG = "user_logs/mpi_log.txt"
# The type of the run of a script that was submitted by itself or by a sweep.
SCRIPT_RUN_TYPE = "azureml.scriptrun"


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


class Mode(str, Enum):
    """How data reaches a script, or leaves it."""

    DIRECT = "direct"  # the script gets the dataset's id, and reads it through the SDK
    MOUNT = "mount"  # a real local folder that shows the store's files
    DOWNLOAD = "download"  # a copy that the script may change
    UPLOAD = "upload"  # a folder that is published to the store when the script ends


@dataclass(frozen=True, kw_only=True)
class JobInput:
    """Data that a job reads: a saved dataset, or a path of a datastore.

    `name` is the one in `DatasetConsumptionConfig:<name>` and `$AZUREML_DATAREFERENCE_<name>`; `variable` is the
    environment variable that holds the path (or the dataset's id in direct mode). Without a `dataset_id` it is a data
    reference: `path` of `datastore`, a file or a folder; the script finds it in `AZUREML_DATAREFERENCE_<name>` too.
    """

    name: str
    mode: Mode
    variable: str
    dataset_id: str | None = None
    datastore: str | None = None
    path: str = ""
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        _check_name("input", self.name)

    @property
    def is_reference(self) -> bool:
        """Whether it is a DataReference or PipelineData; other data have a variable of their own name."""
        return self.dataset_id is None and self.variable.startswith("AZUREML_DATAREFERENCE_")

    @property
    def is_mounted_reference(self) -> bool:
        """Azure has no `path_on_compute` for these (Azure/MachineLearningNotebooks #1177)."""
        return self.is_reference and self.mode is Mode.MOUNT


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How the dataset of an output is registered; without a name it is only saved.

    `table`: transformations (of a dataset's definition) that make a table of the output's files. `sent` is the
    request as run definitions show it and as recipes compare it.
    """

    name: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    table: tuple[JSON, ...] = ()
    sent: JSON = field(default_factory=dict, repr=False)


class TrainingOutput(NamedTuple):
    """What the service writes into an output of a sweep: all metrics in JSON, or the model of a run.

    `file` is the model's file or folder among the run's files. The run is that of `iteration`, or the best one by
    `metric`, which is the sweep's own if it is None.
    """

    is_metrics: bool
    file: str | None = None
    metric: str | None = None
    iteration: int | None = None


@dataclass(frozen=True, kw_only=True)
class JobOutput:
    """A folder that a job fills: `path` of `datastore`, where `{run-id}` and `{output-name}` are replaced.

    `is_dataset`: an OutputFileDatasetConfig. It exists before the script starts, is named in
    AZUREML_DATASET_FILE_OUTPUTS and becomes a dataset when the job has completed. Otherwise it is PipelineData (or a
    DataReference in upload mode): only the folder above it exists, so that the script may make it a folder or a file,
    and no dataset is made of it; `$AZUREML_DATAREFERENCE_<name>` stands for its path.
    Uploads are published only if the script succeeds, mounts at once. `path_on_compute`: the folder or file that the
    script writes; PipelineData has one in upload mode only.
    """

    name: str
    mode: Mode
    datastore: str
    path: str = "dataset/{run-id}/{output-name}/"
    path_on_compute: str | None = None
    overwrite: bool = False
    source_globs: tuple[str, ...] = ()
    register_as: Registration | None = None
    is_dataset: bool = True
    training: TrainingOutput | None = None

    def __post_init__(self) -> None:
        _check_name("output", self.name)
        if ".." in self.path.split("/") or "\0" in self.path:
            raise Invalid(f"Output {self.name}: {self.path[:300]!r} leads out of its datastore.")

    @property
    def is_mounted_reference(self) -> bool:
        """As of an input: the SDK documents PipelineData's `output_path_on_compute` for upload mode only."""
        return not self.is_dataset and self.mode is Mode.MOUNT

    def path_of(self, run_id: str) -> str:
        """The path in the datastore for a run."""
        return self.path.replace("{run-id}", run_id).replace("{output-name}", self.name)


@dataclass(frozen=True, kw_only=True)
class Script:
    """A Python script of the snapshot.

    `arguments` still hold the SDK's placeholders (`DatasetConsumptionConfig:x`, `DatasetOutputConfig:x`,
    `$AZUREML_DATAREFERENCE_x`, `$AML_PARAMETER_x`); the executor replaces them when the job starts.
    """

    path: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ParallelRun(Script):
    """A ParallelRunStep: its driver is the service's (driver/) and starts workers itself, as if on many nodes."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line for a shell; `arguments` are appended to it. Both may hold placeholders, as in `Script`."""

    line: str
    arguments: tuple[str, ...] = ()


# What a job runs. executor/tasks.py has one strategy for each class: a new kind of job is a class here, one there,
# and a reader in the services.
Task = Script | ParallelRun | Command


@dataclass(frozen=True, kw_only=True)
class Job:
    """One task to run for the run `run_id`, which is stored already with the status NotStarted.

    Args:
        environment_variables: The user's own, and `AML_PARAMETER_<name>` for pipeline parameters.
        distribution: The processes of the job.
        node_count: How many nodes of the compute the job occupies.
        timeout: In seconds.
        folders: Folders of the working directory that are uploaded to the run at the end.
        notes: Sentences for the log: settings that have no effect on the local service.
    """

    workspace_id: str
    run_id: str
    target: str
    snapshot_id: str | None
    task: Task
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    environment_variables: dict[str, str] = field(default_factory=dict)
    inputs: tuple[JobInput, ...] = ()
    outputs: tuple[JobOutput, ...] = ()
    distribution: Distribution = field(default_factory=Distribution)
    node_count: int = 1
    timeout: float | None = None
    folders: tuple[str, ...] = ("outputs", "logs")
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for folder in self.folders:
            if folder.startswith("/") or ".." in folder.split("/") or "\0" in folder:
                raise Invalid(f"The folder {folder[:300]!r} leads out of the run's working directory.")


def _check_name(kind: str, name: str) -> None:
    """Raise `Invalid` for an input's or output's name that is invalid for its folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > NAME_LIMIT:
        raise Invalid(f"{name[:300]!r} cannot be the name of an {kind}.")


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job that is about to be submitted, its run, which is not stored yet, and that run's definition."""

    run: Run
    definition: dict[str, Any]
    job: Job


class RunForms(Protocol):
    """Makes and reads the parts of a run's record that have run history's form."""

    def error(self, error: RunError) -> JSON:
        """A run's `error`, with the message cut to Azure's limit."""

    def reason(self, run: Run) -> str:
        """Why a run failed, in a sentence."""

    def input_dataset(self, name: str, saved_id: str, mode: Mode) -> JSON:
        """An item of `input_datasets`."""

    def output_dataset(self, name: str, saved_id: str) -> JSON:
        """An item of `output_datasets`."""

    def saved_output(self, run: Run, name: str) -> str | None:
        """The id of the dataset that a run has made of an output; None if it has made none."""


class Executor(Protocol):
    """Runs jobs. To learn how a job ends, listen to the run store (`RunStore.listen`).

    At the end of a job the run's record has `input_datasets` and `output_datasets` in run history's form, and `error`
    if it failed. They are stored before the status changes, so a listener sees them.
    """

    def preload(self) -> None:
        """Get ready for the first job, in the background. Called once, when the service listens."""

    def recover(self) -> None:
        """Fail the jobs that an earlier process of the service left. Called once, before anything is submitted."""

    def submit(self, job: Job) -> None:
        """Accept the job of a stored run and return at once; it goes Queued → Running → Finalizing → its end."""

    def submit_new(self, made: NewJob) -> None:
        """Store a run and accept its job, both or neither."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a job and all its processes. Returns False if no such job waits or runs."""

    def cancel_waiting(self, workspace_id: str, run_ids: Sequence[str]) -> set[str]:
        """Cancel those jobs that only wait, which costs little for each. Returns their runs."""

    def is_busy(self) -> bool:
        """Whether any job waits or runs, or an environment is being built; the service stays up as long."""

    def close(self) -> None:
        """Stop every job, because the service ends."""
