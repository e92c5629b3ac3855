"""Clients' changes of runs and experiments, and those that Azure refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from azureml_wrapper.local.domain import limits
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run, RunStatus


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
