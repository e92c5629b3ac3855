"""What SDK v2 needs to know and a pipeline's config does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.assets import environments
from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.errors import BadArgument, BadSchedule, did_you_mean
from azureml_wrapper.publishing.schedule import DETAILS, OnBlobChange, Recurring, Schedule

REFUSE, POLL, EVENT_GRID = "refuse", "poll", "event-grid"
BLOB_CHANGES = (REFUSE, POLL, EVENT_GRID)
_COMPUTE = {
    "compute_size": "vm_size",
    "compute_min_nodes": "min_nodes",
    "compute_max_nodes": "max_nodes",
    "vm_priority": "vm_priority",
    "idle_seconds": "idle_seconds",
}
# Any time will do: nothing that depends on the current time is written.
_NO_TIME = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the caller chose. `packages` is None if they were not given; `cluster` has the settings that were."""

    experiment: str | None = None
    name: str | None = None
    file_datasets: frozenset[str] = frozenset()
    shim: bool = True
    packages: Packages | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    schedule: Recurring | OnBlobChange | None = None
    has_start: bool = False
    blob_change: str = REFUSE
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def cluster_upon(self, default: Cluster) -> Cluster:
        """The default cluster with the settings that were given."""
        return replace(default, **self.cluster)


def packages_of(given: Mapping[str, Any] | None) -> Packages | None:
    """The keywords of `register_env` as packages."""
    known = {"dependencies", "requirements", "conda_file", "docker_image", "python_version"}
    _check("environment", given or {}, known)
    return environments.packages(**{"dependencies": None, **given}) if given else None


def cluster_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keywords of `register_compute` as settings of a cluster."""
    _check("compute", given or {}, set(_COMPUTE))
    return {_COMPUTE[name]: value for name, value in (given or {}).items()}


def schedule_of(given: Schedule | Mapping[str, Any] | None, blob_change: str) -> Recurring | OnBlobChange | None:
    """A schedule, or the keywords of `register` for one; `BadSchedule` for On_blob_change without a choice."""
    if blob_change not in BLOB_CHANGES:
        raise BadArgument(f"blob_change must be one of {', '.join(BLOB_CHANGES)}, got {blob_change!r}.")
    if isinstance(given, Mapping):
        _check("schedule", given, {"schedule", *DETAILS})
        given = Schedule.of(**{"schedule": None, **given})
    found = given.plan(_NO_TIME) if given else None
    if isinstance(found, OnBlobChange) and blob_change == REFUSE:
        raise BadSchedule(
            "SDK v2 has no schedule that watches blobs, so On_blob_change cannot be exported as it is. Use "
            f"--blob-change {POLL} for one that starts a run every {found.polling_interval} minutes, whether or not "
            f"a blob has changed, or --blob-change {EVENT_GRID} for none; the report explains how Azure Event Grid "
            "starts runs."
        )
    return found


def _check(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f" Expected one of {', '.join(sorted(known))}."
            raise BadArgument(f"{what} has no {name!r}.{hint}")
