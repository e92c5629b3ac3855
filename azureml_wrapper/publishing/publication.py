"""Published pipelines: registered by name, with their versions, their schedule and their runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import get_datastore
from azureml_wrapper.assets.names import as_experiment_name, check_experiment_name
from azureml_wrapper.config.parameters import Parameter, assign, breaks_json
from azureml_wrapper.errors import BadArgument, BadSchedule, ConnectionFailed, UnregisteredPipeline, did_you_mean
from azureml_wrapper.messages import inform
from azureml_wrapper.pipelines.datastore_paths import DatastorePath, assign_paths, to_sdk
from azureml_wrapper.publishing.listing import rank
from azureml_wrapper.publishing.schedule import (
    BATCH_SECONDS,
    OnBlobChange,
    Recurring,
    next_times,
    recurrence_of,
    utc_now,
)
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.resubmission import check_texts, defaults_of, paths_of

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.pipeline.core import Pipeline, PublishedPipeline
    from azureml.pipeline.core import Schedule as SdkSchedule

Plan = Recurring | OnBlobChange | None
ACTIVE = "Active"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What `PipelineWrapper.register` publishes, checked."""

    name: str
    description: str
    plan: Plan
    experiment: str
    parameters: Mapping[str, Parameter]
    paths: Mapping[str, DatastorePath] = field(default_factory=dict)
    version: str | None = None
    continue_on_step_failure: bool = False

    def __post_init__(self) -> None:
        for key, value in (("description", self.description), ("version", self.version)):
            if value is not None and not isinstance(value, str):
                raise BadArgument(f"{key} must be a string; got {value!r}.")


class RegisteredPipeline:
    """A published pipeline and the schedule that runs it, if any.

    Attributes:
        pipeline: The SDK's PublishedPipeline.
        schedule: The SDK's Schedule; None without one.
        experiment_name: Experiment of the runs that `trigger` starts, unless another one is given.
    """

    def __init__(
        self,
        ws: Workspace,
        pipeline: PublishedPipeline,
        schedule: SdkSchedule | None = None,
        *,
        experiment: str | None = None,
        plan: Plan = None,
    ) -> None:
        self.ws, self.pipeline, self.schedule = ws, pipeline, schedule
        self.experiment_name = experiment or as_experiment_name(pipeline.name)
        self._plan = plan

    @property
    def name(self) -> str:
        """The name it was registered under."""
        return str(self.pipeline.name)

    @property
    def version(self) -> str:
        """The version of this name."""
        return str(self.pipeline.version)

    @property
    def endpoint(self) -> str:
        """The URL that runs the pipeline: POST `ExperimentName` and `ParameterAssignments` with a bearer token."""
        return str(self.pipeline.endpoint)

    def next_runs(self, count: int = 5) -> list[datetime]:
        """Return the next times at which the schedule runs, in its time zone.

        Args:
            count: Number of times to return.

        Returns:
            The times; none without an active schedule, or if it watches blobs.
        """
        if self.schedule is None or self.schedule.status != ACTIVE:
            return []
        now = utc_now()
        made = self._plan.recurrence if isinstance(self._plan, Recurring) else recurrence_of(self.schedule, now)
        return next_times(made, count, now) if made else []

    def disable(self) -> None:
        """Disable all schedules of the pipeline, and its endpoint. Runs that have started continue.

        Raises:
            ConnectionFailed: A schedule could not be disabled. All others are; the endpoint is not.
        """
        from azureml.pipeline.core import Schedule

        listed = Schedule.list(self.ws, pipeline_id=self.pipeline.id)
        own = [] if self.schedule is None else [self.schedule]
        others = [each for each in listed if each.status == ACTIVE and each.id not in {one.id for one in own}]
        # In this order: Azure refuses to disable a pipeline that has an active schedule.
        disable_all([*own, *others])
        self.pipeline.disable()

    def enable(self) -> None:
        """Enable the endpoint and the schedule again."""
        self.pipeline.enable()
        if self.schedule is not None:
            self.schedule.enable()

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters and their defaults, as published; a path on a datastore is "datastore/path"."""
        interface = self._interface()
        return {**defaults_of(interface), **{name: str(place) for name, place in paths_of(interface).items()}}

    def trigger(self, parameters: Mapping[str, Any] | None = None, *, experiment: str | None = None) -> RunWrapper:
        """Start a run now, and return it at once.

        Args:
            parameters: Values by parameter name. Default: the published ones.
            experiment: Experiment of the run. Default: `experiment_name`.

        Raises:
            BadParameter: A parameter is unknown, or its value has the wrong type. The message lists the parameters.
            BadName: The experiment name is invalid.
        """
        check_experiment_name(name := experiment or self.experiment_name)
        values = self._values(parameters) if parameters else {}
        return RunWrapper(self.pipeline.submit(self.ws, name, pipeline_parameters=values))

    def _interface(self) -> Any:
        provider = self.pipeline._pipeline_provider
        return provider._service_caller.get_graph_interface_async(self.pipeline.graph_id)

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        interface = self._interface()
        paths = paths_of(interface)
        values = assign(defaults_of(interface), given, set(), paths)
        if any(map(breaks_json, values.values())):
            caller = self.pipeline._pipeline_provider._service_caller
            check_texts(caller, caller.get_graph_async(self.pipeline.graph_id), values)
        return {**values, **to_sdk(self.ws, assign_paths(paths, given))}

    def __repr__(self) -> str:
        return f"RegisteredPipeline({self.name!r}, version {self.version}, {self.pipeline.status})"


def publish(ws: Workspace, pipeline: Pipeline, publication: Publication) -> RegisteredPipeline:
    """Publish a pipeline of the SDK and replace the schedule of its name."""
    # Over the pipeline's own connection, as below: PublishedPipeline.list opens another one.
    listed = _connection(pipeline).published_pipeline_provider.get_all(active_only=False)
    earlier = [each for each in listed if each.name == publication.name]
    version = publication.version
    if version is None:
        version = next_version(each.version for each in earlier)
    published = pipeline.publish(
        publication.name, publication.description, version, publication.continue_on_step_failure
    )
    before = _schedules_of(ws, pipeline, publication.name, {each.id for each in earlier})
    schedule = _replace_schedule(ws, published, publication, before)
    return RegisteredPipeline(ws, published, schedule, experiment=publication.experiment, plan=publication.plan)


def next_version(taken: Iterable[str | None]) -> str:
    """The highest number among the versions, plus one; "1" for the first."""
    numbers = [int(version) for version in taken if version and version.isdecimal()]
    return str(max(numbers, default=0) + 1)


def check_plan(ws: Workspace, plan: Plan, paths: Iterable[str], *, is_local: bool) -> None:
    """Raise `BadSchedule` or `UnregisteredDatastore` for a plan that the pipeline or the workspace cannot follow."""
    if not isinstance(plan, OnBlobChange):
        return
    if plan.data_path_parameter is not None and plan.data_path_parameter not in paths:
        raise BadSchedule(
            f"Unknown data_path_parameter {plan.data_path_parameter!r}; expected a parameter of the steps' "
            f"input_paths: {', '.join(paths) or 'none is defined'}."
        )
    datastore = get_datastore(ws, plan.datastore_name)
    if datastore.datastore_type != "AzureBlob":
        raise BadSchedule(
            f"Datastore {plan.datastore_name} must be of type AzureBlob; got {datastore.datastore_type}."
        )
    if BATCH_SECONDS in plan.parameters and not is_local:
        raise BadSchedule("batch_seconds requires the local Azure ML: Azure starts one run per changed blob.")


def _connection(pipeline: Pipeline) -> Any:
    return pipeline._graph_context.workflow_provider


def _schedules_of(ws: Workspace, pipeline: Pipeline, name: str, versions: Collection[str]) -> list[SdkSchedule]:
    """The schedules of earlier versions."""
    from azureml.pipeline.core import Schedule

    if not versions:
        return []
    listed = Schedule.list(ws, _workflow_provider=_connection(pipeline))
    return [each for each in listed if each.name == name and each.pipeline_id in versions]


def disable_all(schedules: Iterable[SdkSchedule]) -> None:
    """Disable every schedule, whatever becomes of the others; raises `ConnectionFailed` for those that failed."""
    from azure.core.exceptions import AzureError
    from azureml.exceptions import AzureMLException
    from msrest.exceptions import ClientException
    from requests import RequestException

    failed: list[str] = []
    for schedule in schedules:
        try:
            schedule.disable()
        except (AzureMLException, AzureError, ClientException, RequestException) as error:
            reason = str(getattr(error, "message", None) or error).strip().partition("\n")[0]
            failed.append(f"schedule {schedule.name!r} ({schedule.id}): {reason}")
    if failed:
        raise ConnectionFailed(f"Still active, disable it again: {'; '.join(failed)}")


def _replace_schedule(
    ws: Workspace, published: PublishedPipeline, publication: Publication, before: Sequence[SdkSchedule]
) -> SdkSchedule | None:
    """Create the new schedule, then disable those of earlier versions, so that no run is missed in between."""
    made = _create(ws, published, publication) if publication.plan else None
    disable_all(before)
    if before and made is None:
        inform(f"Disabled the previous schedule of {publication.name}, because none was given.")
    return made


def find_registered(ws: Workspace, name: str) -> RegisteredPipeline:
    """The newest active version of a published pipeline; `UnregisteredPipeline` if it has none."""
    active = list_registered(ws)
    found = [each for each in active if each.name == name]
    if not found:
        if any(each.name == name for each in list_registered(ws, active_only=False)):
            raise UnregisteredPipeline(
                f"The published pipeline {name!r} of workspace {ws.name} is disabled. Publish it again, or enable it "
                "with the SDK (PublishedPipeline.enable)."
            )
        known = sorted({each.name for each in active})
        hint = did_you_mean(name, known) or f" Published: {', '.join(known) or 'none'}."
        raise UnregisteredPipeline(f"Workspace {ws.name} has no published pipeline {name!r}.{hint}")
    return max(found, key=lambda each: rank(each.version))


def list_registered(ws: Workspace, *, active_only: bool = True) -> list[RegisteredPipeline]:
    """Every published pipeline, each with its active schedule; by name, then by version."""
    from azureml.pipeline.core import PublishedPipeline, Schedule

    schedules = {schedule.pipeline_id: schedule for schedule in Schedule.list(ws)}
    published = PublishedPipeline.list(ws, active_only=active_only)
    found = [RegisteredPipeline(ws, each, schedules.get(each.id)) for each in published]
    return sorted(found, key=lambda each: (each.name, rank(each.version)))


def _create(ws: Workspace, published: PublishedPipeline, publication: Publication) -> SdkSchedule:
    from azureml.pipeline.core import Schedule

    asked = publication.plan
    if isinstance(asked, OnBlobChange):
        when = {
            "datastore": get_datastore(ws, asked.datastore_name),
            "polling_interval": asked.polling_interval,
            "path_on_datastore": asked.path_on_datastore,
            "data_path_parameter_name": asked.data_path_parameter,
        }
        extra = asked.parameters
    else:
        when, extra = {"recurrence": asked.to_sdk() if asked else None}, {}
    parameters = {**publication.parameters, **extra, **to_sdk(ws, publication.paths)}
    return Schedule.create(
        ws,
        publication.name,
        published.id,
        publication.experiment,
        description=publication.description,
        pipeline_parameters=parameters or None,
        continue_on_step_failure=publication.continue_on_step_failure,
        **when,
    )
