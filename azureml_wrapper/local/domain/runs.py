"""Runs and experiments: which status may follow which, and what clients may change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from azureml_wrapper.local.domain import limits
from azureml_wrapper.local.domain.errors import Conflict, Invalid

JSON = dict[str, Any]
REPOSITORY_ADDRESSES = ("azureml.git.repository_uri", "mlflow.source.git.repoURL", "azureml.git.build_uri")
# Up to the last "@" of the host's part: a password may contain others.
_LOGIN = re.compile(r"(?<=://)[^/]*@")


class RunStatus(str, Enum):
    """The words of run history (azureml/core/_restclient/constants.py, RunStatus)."""

    NOT_STARTED = "NotStarted"  # the record exists, nothing else
    STARTING = "Starting"  # accepted by the execution service
    PREPARING = "Preparing"  # its environment is being built
    QUEUED = "Queued"  # it waits for a node of its compute
    RUNNING = "Running"  # its process runs
    FINALIZING = "Finalizing"  # its process ended, outputs are being published
    CANCEL_REQUESTED = "CancelRequested"  # a client asked it to stop
    COMPLETED = "Completed"  # it succeeded
    FAILED = "Failed"  # it failed; `error` says why
    CANCELED = "Canceled"  # it was canceled

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


# Runs whose script the service starts: "client is not permitted to update status for run".
MANAGED_TYPES = frozenset({"azureml.scriptrun", "azureml.StepRun", "azureml.PipelineRun", "hyperdrive"})
# The target of a script run that asks for no cluster.
LOCAL_TARGET = "local"
# A property of a reused step's run: the run whose results it has.
REUSED_RUN = "azureml.reusedrunid"
# The property that says which Python a job got instead of the requested one.
OTHER_PYTHON = "azureml_wrapper.python"
# The property of a submitted run that names its submitter's interpreter, if jobs get another one.
CLIENT_PYTHON = "azureml_wrapper.client_python"
EXTRA_FIELDS = ("primaryMetricName", "createdFrom", "queueingInfo", "options")

_TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED})
_ACTIVE = (
    RunStatus.NOT_STARTED,
    RunStatus.STARTING,
    RunStatus.PREPARING,
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.FINALIZING,
)

# Next may be any later active status or any end; after a request to cancel, only an end.
TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    **{
        status: frozenset(_ACTIVE[place + 1 :]) | _TERMINAL | {RunStatus.CANCEL_REQUESTED}
        for place, status in enumerate(_ACTIVE)
    },
    RunStatus.CANCEL_REQUESTED: frozenset({RunStatus.FINALIZING}) | _TERMINAL,
    **{status: frozenset() for status in _TERMINAL},
}
# A run that was finalizing when a client canceled it does not go back to finalizing.
TRANSITIONS[RunStatus.FINALIZING] = _TERMINAL | {RunStatus.CANCEL_REQUESTED}


def check_transition(run_id: str, before: RunStatus, after: RunStatus, *, again: bool = False) -> None:
    """Raise `Conflict` if a run cannot go from `before` to `after`; with `again`, an ended run may change."""
    if after not in TRANSITIONS[before] and not (again and before.is_terminal):
        raise Conflict(f"Run {run_id} is {before.value} and cannot become {after.value}.")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A name that groups runs."""

    experiment_id: str
    name: str
    created: datetime
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    archived: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of any kind: script, pipeline, step, interactive or child.

    `error` and the items of `warnings` have run history's own form.
    Its definition is kept apart (`RunStore.definition`). `requested_failure` is the error with which the
    script of a managed run called `run.fail()`: that run ends Failed with it, regardless of its exit code. `extra`
    holds fields that clients write and read, and the service ignores (`EXTRA_FIELDS`). `params` and `datasets` are
    the parameters and the input datasets that MLflow has logged. The SDK's lists leave out `hidden` runs.
    """

    workspace_id: str
    run_id: str
    experiment: str
    experiment_id: str
    created: datetime
    number: int = 0
    status: RunStatus = RunStatus.NOT_STARTED
    parent_id: str | None = None
    root_id: str = ""
    run_type: str | None = None
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    target: str | None = None
    script: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    hidden: bool = False
    heartbeat: bool = False
    uuid: str = ""
    cancel_uri: str | None = None
    submitted_by: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    run_type_v2: JSON | None = None
    error: JSON | None = None
    requested_failure: JSON | None = None
    warnings: list[JSON] = field(default_factory=list)
    input_datasets: list[JSON] = field(default_factory=list)
    output_datasets: list[JSON] = field(default_factory=list)
    extra: JSON = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    datasets: list[JSON] = field(default_factory=list)

    @property
    def is_managed(self) -> bool:
        """Whether the service itself runs the script."""
        return self.run_type in MANAGED_TYPES

    @property
    def is_system_managed(self) -> bool:
        """Whether only the service sets the run's status.

        The SDK starts the script of a run with the target "local", so Azure accepts `run.complete()` for it.
        """
        return self.is_managed and not (self.run_type == "azureml.scriptrun" and self.target == LOCAL_TARGET)

    @property
    def origin_id(self) -> str:
        """The run that made the results: this one, or an earlier one if the step was reused."""
        return self.properties.get(REUSED_RUN, self.run_id) if self.run_type == "azureml.StepRun" else self.run_id

    @property
    def container_id(self) -> str:
        """The data container that holds the run's files."""
        return f"dcid.{self.run_id}"


@dataclass(frozen=True, kw_only=True)
class RunError:
    """Why a run failed: a code, a sentence, and the part of the service that says so."""

    message: str
    code: str = "UserError"
    component: str = "pipelines"


class SystemManaged(Invalid):
    """A client tried to set the status of a run whose script the service runs."""

    def __init__(self) -> None:
        super().__init__("client is not permitted to update status for run. Status for this run is system managed.")


@dataclass(frozen=True, kw_only=True)
class RunPatch:
    """Changes of a run; `fields` are plain fields of `Run` by name, tags and properties are merged.

    `definition` replaces the run's definition, which is stored apart from the run.
    """

    parent_id: str | None = None
    status: RunStatus | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    input_datasets: list[JSON] = field(default_factory=list)
    output_datasets: list[JSON] = field(default_factory=list)
    extra: JSON = field(default_factory=dict)
    definition: JSON | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise `Invalid` for values that are too long by themselves."""
        limits.check_length("DisplayName", self.fields.get("display_name"), limits.DISPLAY_NAME_LENGTH)
        limits.check_length("Description", self.fields.get("description"), limits.DESCRIPTION_LENGTH)
        limits.check_pairs("Tags", self.tags)
        limits.check_pairs("Properties", self.properties)


def amend(run: Run, patch: RunPatch) -> Run:
    """The run with a client's changes, except for its status; `Invalid` if they break a limit or a rule."""
    patch.check()
    _check_properties(run, patch)
    _check_kind(run, patch)
    changed = replace(
        run,
        **patch.fields,
        tags={**run.tags, **patch.tags},
        properties={**run.properties, **patch.properties},
        input_datasets=_joined(run.input_datasets, patch.input_datasets),
        output_datasets=_joined(run.output_datasets, patch.output_datasets),
        extra={**run.extra, **patch.extra},
    )
    if patch.tags:
        limits.check_size("Tags/Count", len(changed.tags), limits.TAG_COUNT)
    if patch.properties:
        limits.check_size("Properties/Count", len(changed.properties), limits.PROPERTY_COUNT)
    return changed


def without_logins(properties: dict[str, str]) -> dict[str, str]:
    """The properties; those with a repository's address lose the user and the password in it.

    The SDK sends what `git ls-remote --get-url` prints (azureml/_base_sdk_common/tracking).
    """
    addresses = {name: properties[name] for name in REPOSITORY_ADDRESSES if properties.get(name)}
    return {**properties, **{name: _LOGIN.sub("", address) for name, address in addresses.items()}}


def amend_experiment(experiment: Experiment, *, description: str | None, tags: dict[str, str]) -> Experiment:
    """The experiment with another description and more tags; None keeps the description."""
    limits.check_length("Description", description, limits.DESCRIPTION_LENGTH)
    limits.check_pairs("Tags", tags, keys=limits.EXPERIMENT_KEY_LENGTH)
    merged = {**experiment.tags, **tags}
    limits.check_size("Tags/Count", len(merged), limits.TAG_COUNT)
    return replace(
        experiment, tags=merged, description=experiment.description if description is None else description
    )


def _check_properties(run: Run, patch: RunPatch) -> None:
    """Properties are immutable: a client may repeat one, but not change it (how-to-manage-runs)."""
    for key, value in patch.properties.items():
        if key in run.properties and run.properties[key] != value:
            raise Invalid(
                f"Unable to create or update run {run.run_id}: property {key!r} is {run.properties[key]!r} "
                "and cannot be modified; properties are immutable, tags are not."
            )


def _check_kind(run: Run, patch: RunPatch) -> None:
    """A run's type does not change, because it decides who may set the status."""
    if run.run_type and patch.fields.get("run_type", run.run_type) != run.run_type:
        raise Invalid(
            f"Unable to create or update run {run.run_id} : RunType can not be modified after a value is set."
        )
    before = (run.run_type_v2 or {}).get("orchestrator")
    after = (patch.fields.get("run_type_v2") or {}).get("orchestrator")
    if before and after and before != after:
        raise Invalid(
            f"Unable to create or update run {run.run_id} : Orchestrator can not be modified after a value is set."
        )


def _joined(before: list[JSON], more: list[JSON]) -> list[JSON]:
    return [*before, *(item for item in more if item not in before)]
