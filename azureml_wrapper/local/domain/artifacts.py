"""Artifacts: the files of runs (`ExperimentRun/dcid.<run id>/…`) and of uploads (`LocalUpload/<time>-<id>/…`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import check_length

# Azure keeps them in this container of the workspace's own account.
CONTAINER = "azureml"
RUN_ORIGIN = "ExperimentRun"
DATASTORE = "workspaceartifactstore"
PATH_LENGTH = 5000


@dataclass(frozen=True)
class Place:
    """A collection of artifacts: an origin, and a container such as `dcid.<run id>`."""

    origin: str
    container: str

    def __post_init__(self) -> None:
        """Refuse a percent-encoded "/", which would lead into another container."""
        for part in (self.origin, self.container):
            if not part or part in (".", "..") or "/" in part:
                raise Invalid(f"Invalid part of an artifact's id: {part[:80]!r}.")

    @property
    def root(self) -> str:
        """The prefix of the names of all its blobs."""
        return f"{self.origin}/{self.container}/"

    def name(self, path: str) -> str:
        """The blob of an artifact, which is also the artifact's id."""
        return self.root + clean_path(path)


def clean_path(path: str) -> str:
    """The path with "/" as the separator and without ".": a `with` block ends by uploading `./outputs/x`."""
    check_length("ArtifactPath", path, PATH_LENGTH)
    return "/".join(step for step in path.replace("\\", "/").split("/") if step != ".")


def of_run(run_id: str) -> Place:
    """The place of a run's files."""
    return Place(RUN_ORIGIN, f"dcid.{run_id}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file."""

    place: Place
    path: str
    size: int
    etag: str
    created: datetime

    @property
    def artifact_id(self) -> str:
        return self.place.name(self.path)
