"""A job: what the executor needs to know to run one script for one run.

A script run (services/execution) and a step of a pipeline (executor/graph) both come down to this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from azureml_wrapper.local.domain.distribution import Distribution, distribution
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.runs import Run

# The file systems' own limit for one name, in bytes.
NAME_LIMIT = 255
# Of a DockerConfiguration (azureml/core/runconfig.py). It always has sharedVolumes, which alone asks for nothing.
_DOCKER = ("useDocker", "arguments", "shmSize")


class Mode(str, Enum):
    """How data reaches a script, or leaves it."""

    DIRECT = "direct"  # the script gets the dataset's id, and reads it through the SDK
    MOUNT = "mount"  # a real local folder that shows the store's files
    DOWNLOAD = "download"  # a copy that the script may change
    UPLOAD = "upload"  # a folder that is published to the store when the script ends


@dataclass(frozen=True, kw_only=True)
class JobInput:
    """Data that a job reads: a saved dataset, or a path of a datastore.

    `name` is what stands in `DatasetConsumptionConfig:<name>` and `$AZUREML_DATAREFERENCE_<name>`; `variable` is the
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


@dataclass(frozen=True, kw_only=True)
class JobOutput:
    """A folder that a job fills: `path` of `datastore`, where `{run-id}` and `{output-name}` are replaced.

    `is_dataset`: an OutputFileDatasetConfig. It exists before the script starts, is named in
    AZUREML_DATASET_FILE_OUTPUTS and becomes a dataset when the job has completed. Otherwise it is PipelineData (or a
    DataReference in upload mode): only the folder above it exists, so that the script may make it a folder or a file,
    and no dataset is made of it; `$AZUREML_DATAREFERENCE_<name>` stands for its path.
    `register_as` holds the SDK's registration options (name, description, tags, properties,
    datasetRegistrationOptions) for the dataset. Uploads are published only if the script ends well, mounts at once.
    """

    name: str
    mode: Mode
    datastore: str
    path: str = "dataset/{run-id}/{output-name}/"
    path_on_compute: str | None = None
    overwrite: bool = False
    source_globs: tuple[str, ...] = ()
    register_as: dict[str, Any] | None = None
    is_dataset: bool = True

    def __post_init__(self) -> None:
        _check_name("output", self.name)
        if ".." in self.path.split("/") or "\0" in self.path:
            raise Invalid(f"Output {self.name}: {self.path[:300]!r} leads out of its datastore.")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One script (or shell `command`) to run for the run `run_id`, which is stored already, NotStarted.

    `arguments` still hold the SDK's placeholders (`DatasetConsumptionConfig:x`, `DatasetOutputConfig:x`,
    `$AZUREML_DATAREFERENCE_x`, `$AML_PARAMETER_x`); the executor replaces them. Values of pipeline parameters go into
    `environment_variables` as `AML_PARAMETER_<name>`. `environment` is the definition as the environment
    service stores it. `timeout` is in seconds. `folders` of the working directory are uploaded to the run at the end.
    `notes` are sentences for the log: what was asked for and is not done here. `is_parallel`: a ParallelRunStep,
    whose driver is the service's (driver/), and starts processes itself as if on `node_count` nodes.
    """

    workspace_id: str
    run_id: str
    target: str
    snapshot_id: str | None
    script: str | None = None
    command: str | None = None
    arguments: tuple[str, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    environment_variables: dict[str, str] = field(default_factory=dict)
    inputs: tuple[JobInput, ...] = ()
    outputs: tuple[JobOutput, ...] = ()
    communicator: str | None = None
    node_count: int = 1
    processes_per_node: int = 1
    timeout: float | None = None
    folders: tuple[str, ...] = ("outputs", "logs")
    notes: tuple[str, ...] = ()
    is_parallel: bool = False

    @property
    def distribution(self) -> Distribution:
        """The processes of the job; `Unsupported` where it asks for what is not served."""
        if self.is_parallel and self.communicator is None:
            return Distribution()
        return distribution(self.communicator, self.node_count, self.processes_per_node)

    def __post_init__(self) -> None:
        # Refuses what cannot be started before anything is stored.
        self.distribution  # noqa: B018
        for folder in self.folders:
            if folder.startswith("/") or ".." in folder.split("/") or "\0" in folder:
                raise Invalid(f"The folder {folder[:300]!r} leads out of the run's working directory.")


def _check_name(kind: str, name: str) -> None:
    """An input's or output's name is that of its folder, too."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > NAME_LIMIT:
        raise Invalid(f"{name[:300]!r} cannot be the name of an {kind}.")


def unused_settings(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences for the log: settings of a RunConfiguration that are not used here, with their values."""
    docker = config.get("docker") or {}
    given = ", ".join(f"{name} {_shown(docker[name])}" for name in _DOCKER if docker.get(name))
    asked = {
        "The job's priority is not looked at: jobs start in the order in which they come.": config.get("priority"),
        f"The docker settings of the run are not used ({given}): it runs without a container.": given,
        "The identity of the submitter is not passed on: the job has its run's token.": config.get(
            "credentialPassthrough"
        ),
    }
    return tuple(text for text, applies in asked.items() if applies)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job that is about to be submitted, its run, which is not stored yet, and that run's definition."""

    run: Run
    definition: dict[str, Any]
    job: Job


class Executor(Protocol):
    """Runs jobs. Whoever wants to know how a job ends listens to the run store (`RunStore.listen`).

    At its end the run's record has `input_datasets` and `output_datasets` in run history's form, and `error` where it
    failed. They are stored before the status changes, so a listener sees them.
    """

    def preload(self) -> None:
        """Get ready for the first job, in the background: called once, when the service listens."""

    def recover(self) -> None:
        """Called once, before anything is submitted: fail the jobs that an earlier process of the service left."""

    def submit(self, job: Job) -> None:
        """Take the job and return at once; its run goes Queued → Running → Finalizing → its end."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop the job and all its processes; False where no such job waits or runs."""

    def is_busy(self) -> bool:
        """Whether any job waits or runs: the service stays up as long."""

    def close(self) -> None:
        """Stop every job, because the service ends."""
