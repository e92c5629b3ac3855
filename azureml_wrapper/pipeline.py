"""PipelineWrapper: a pipeline of steps, to run or to register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import check_experiment_name, check_pipeline_name, choose_experiment_name
from azureml_wrapper.config.arguments import check_call
from azureml_wrapper.config.parameters import Parameter, assign
from azureml_wrapper.connection.target import DEFAULT_LOCATION
from azureml_wrapper.errors import BadArgument, BadPipeline
from azureml_wrapper.messages import inform
from azureml_wrapper.pipelines.datastore_paths import DatastorePath, assign_paths, to_sdk
from azureml_wrapper.pipelines.definition import Definition, Step
from azureml_wrapper.pipelines.sdk_v1 import as_parameter, build
from azureml_wrapper.publishing.publication import Publication, RegisteredPipeline, check_plan, publish
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, DETAILS, Schedule, utc_now
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.waiting import wait_with_retries, waiter
from azureml_wrapper.step import PipelineStep
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper, open_workspace

if TYPE_CHECKING:
    from azureml.core import Experiment, Workspace
    from azureml.pipeline.core import Pipeline

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.pipelines.loading import LoadedPipeline
    from azureml_wrapper.v2.export.exporting import Export


class PipelineWrapper:
    """A pipeline of steps. Creating one sends no request.

    Every step except the first gets `--input-folder`, the output folder of the step before it; every step except the
    last gets `--output-folder`. A step with `input_steps` reads from the steps that it names instead; steps that do
    not read from each other run in parallel.

    Args:
        ws_name: Name of the workspace.
        resource_group: Its resource group.
        subscription_id: Its subscription; "local" for the local Azure ML.
        env_name: Environment of the steps that name none.
        compute_name: Compute target of the steps that name none.
        steps: The steps, in order.
        pipeline_parameters: Name -> default of what each run may change; steps use them as `${{parameters.NAME}}`.
        warm: False lets the local Azure ML start each script in a new process instead of forking one that has
            imported the SDK already, unless the step sets `warm` itself. In Azure it has no effect.
        auth, target, workspace, location: As for WorkspaceWrapper.

    `last_run` is the run that `run` submitted last, a retry included, even if it failed; None before.

    Raises:
        BadArgument: An argument has the wrong type (a TypeError).
        BadPipeline: The steps do not fit together (a ValueError).
        BadParameter: A step uses an unknown parameter (a ValueError).
    """

    def __init__(
        self,
        ws_name: str,
        resource_group: str,
        subscription_id: str,
        env_name: str,
        compute_name: str,
        steps: Sequence[PipelineStep],
        *,
        pipeline_parameters: Mapping[str, Parameter] | None = None,
        warm: bool = True,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        opened = WorkspaceWrapper(
            ws_name, resource_group, subscription_id, auth=auth, target=target, workspace=workspace, location=location
        )
        for key, value in (("env_name", env_name), ("compute_name", compute_name)):
            if not isinstance(value, str) or not value:
                raise BadArgument(f"{key} must be a non-empty string, got {value!r}.")
        from azureml_wrapper.pipelines.loading import define

        definition = define(
            _check_steps(steps, opened),
            parameters=pipeline_parameters or {},
            environment=env_name,
            compute=compute_name,
            warm=warm,
        )
        self._start(definition, opened, [step._step for step in steps])

    def _start(self, definition: Definition, workspace: WorkspaceWrapper, steps: Sequence[Step]) -> None:
        self.definition, self.workspace = definition, workspace
        self.steps = [PipelineStep._of(step, workspace, definition) for step in steps]
        self._pipeline: Pipeline | None = None
        self.experiment: Experiment | None = None
        self.last_run: RunWrapper | None = None

    @classmethod
    def _of(cls, loaded: LoadedPipeline, workspace: WorkspaceWrapper) -> PipelineWrapper:
        """The pipeline of a config, which has been checked."""
        made = cls.__new__(cls)
        made._start(loaded.definition, workspace, loaded.steps)
        return made

    @classmethod
    def from_config(
        cls,
        config: Config = None,
        *,
        ws_config: Config = None,
        pipeline_parameters: Mapping[str, Parameter] | None = None,
        warm: bool | None = None,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> PipelineWrapper:
        """Load a pipeline from a config.

        Args:
            config: A mapping, the path of a .json or .yml file, or None for the nearest `.azureml/config.json`. Its
                `steps` are a mapping of step configs, in order, or a list; a relative `script_directory` is below the
                file's folder. Or a pipeline configuration file, which is a mapping of steps and nothing else: see
                docs/pipeline-files.md.
            ws_config: The workspace of a pipeline configuration file. Default: the nearest `.azureml/config.json`.
            pipeline_parameters, warm: Replace those of the config.
            auth, target, workspace, location: As for WorkspaceWrapper.

        Raises:
            ConfigError: The config is missing or invalid. The message lists all problems.
        """
        from azureml_wrapper.pipelines.loading import load_pipeline

        found = load_pipeline(config, ws_config, parameters=pipeline_parameters, warm=warm)
        opened = (
            open_workspace(ws_config, auth=auth, target=target, workspace=workspace, location=location)
            if found.workspace is None
            else WorkspaceWrapper(*found.workspace, auth=auth, target=target, workspace=workspace, location=location)
        )
        return cls._of(found, opened)

    @property
    def env_name(self) -> str | None:
        """The environment of steps that name none; None if each step has one of its own."""
        return self.definition.environment

    @property
    def compute_name(self) -> str | None:
        """The compute target of steps that name none; None if AML_COMPUTE_CLUSTER_NAME is missing."""
        variables = self.definition.variables
        return variables.cluster_name if variables else self.definition.compute

    @property
    def warm(self) -> bool:
        """Whether the local Azure ML may fork the scripts of steps that leave it open."""
        return self.definition.warm

    @property
    def pipeline_parameters(self) -> dict[str, Parameter]:
        """Parameter -> default."""
        return dict(self.definition.parameters)

    @property
    def path_parameters(self) -> dict[str, DatastorePath]:
        """Parameter -> default, of the parameters that name a file or folder of a datastore."""
        return self.definition.path_parameters

    @property
    def pipeline(self) -> Pipeline:
        """The SDK's Pipeline that was built last; otherwise, a new one."""
        if self._pipeline is None:
            self._pipeline = self.build()
        return self._pipeline

    def build(self) -> Pipeline:
        """Build a new SDK Pipeline, with the newest versions of datasets and environments.

        Returns:
            The `azureml.pipeline.core.Pipeline`, not submitted yet.

        Raises:
            ScriptNotFound: The script of a step is not in its folder (a FileNotFoundError).
            SnapshotTooLarge: A script folder exceeds Azure ML's limits (a ValueError).
            SecretInFolder: A file of a script folder looks secret (a ValueError).
            NotRegistered: The workspace lacks a dataset, environment or compute target (a NameError).
        """
        return build(self.workspace.ws, self.definition, is_local=self.workspace.is_local)

    def run(
        self,
        experiment_name: str,
        *,
        wait: bool = True,
        show_output: bool = False,
        timeout: float | None = None,
        tags: Mapping[str, str] | None = None,
        regenerate_outputs: bool = False,
        continue_on_step_failure: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> RunWrapper:
        """Submit the pipeline, and wait until it has ended.

        While it waits, the first Ctrl-C says that the run continues; the second cancels it. If a failed step has
        `retries`, the pipeline is submitted again from that step, because SDK v1 has no retries.

        Args:
            experiment_name: Experiment of the run: 1 to 256 letters, digits, "_" and "-".
            wait: False returns as soon as the run is submitted; nothing is retried then.
            show_output: Print the logs while they grow, as the SDK does.
            timeout: Seconds to wait, for all retries together. Default: no limit. The run continues afterwards.
            tags: Tags of the run.
            regenerate_outputs: Run steps even if results of an earlier run could be reused.
            continue_on_step_failure: Still run steps that do not need a failed one.
            parameters: Values for `pipeline_parameters`.

        Returns:
            The run; after retries, the last one.

        Raises:
            RunFailed: A step failed; the message says which one and why.
            RunCanceled: The run was canceled.
            RunTimeout: The run has not ended after `timeout` seconds.
            BadParameter: A parameter is unknown, or its value has the wrong type (a ValueError).
            BadName: The experiment name is invalid (a ValueError).
            WrapperError: Whatever `build` raises.
        """
        check_call("Run", locals())
        from azureml.core import Experiment

        check_experiment_name(experiment_name)
        values, paths = self._assign(parameters), assign_paths(self.path_parameters, parameters or {})
        # Built for each run: if the SDK submits a Pipeline again, it runs the scripts as they were the first time.
        self._pipeline = self.build()
        self.experiment = Experiment(self.workspace.ws, experiment_name)
        raw = self.experiment.submit(
            self._pipeline,
            pipeline_parameters={**values, **to_sdk(self.workspace.ws, paths)},
            tags=dict(tags) if tags else None,
            regenerate_outputs=regenerate_outputs,
            continue_on_step_failure=continue_on_step_failure,
        )
        run = self.last_run = RunWrapper(raw)
        remember = partial(setattr, self, "last_run")
        return wait_with_retries(run, waiter(timeout, show_output), self.retries, remember) if wait else run

    def register(
        self,
        name: str,
        description: str,
        schedule: str | Schedule | None = None,
        interval: int | None = None,
        datastore_name: str | None = None,
        *,
        experiment_name: str | None = None,
        version: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        path_on_datastore: str | None = None,
        polling_interval: int = DEFAULT_POLLING_MINUTES,
        data_path_parameter: str | None = None,
        batch_seconds: float | None = None,
        start_time: datetime | str | None = None,
        time_zone: str | None = None,
        hours: int | Sequence[int] | None = None,
        minutes: int | Sequence[int] | None = None,
        week_days: str | Sequence[str] | None = None,
        start_now: bool = False,
        continue_on_step_failure: bool = False,
    ) -> RegisteredPipeline:
        """Publish the pipeline under a name, and run it by itself if a schedule is given.

        Registering a name again makes its next version and replaces its schedule. Everything is checked before
        anything is published.

        Args:
            name: Name of the published pipeline; any characters.
            description: What the pipeline is for.
            schedule: "Minute", "Hour", "Day", "Week", "Month" or "On_blob_change", with the keywords of `Schedule`
                below; or a `Schedule`, which has them. Default: run only when triggered.
            interval: Number of minutes, hours, days, weeks or months from one run to the next, an integer ≥ 1.
            datastore_name: Blob datastore that "On_blob_change" watches.
            experiment_name: Experiment of scheduled runs. Default: that of the last `run`, else the pipeline's name.
            version: Default: the next number, from "1".
            parameters: Values of the scheduled runs for `pipeline_parameters`. Default: the pipeline's defaults.
            path_on_datastore: Folder to watch. Default: the whole container.
            polling_interval: Minutes between two checks for changed blobs.
            data_path_parameter: Parameter of an input path that receives the path of the changed blob.
            batch_seconds: Start one run for all blobs that change within this many seconds, instead of one per blob.
                Only on the local Azure ML.
            start_time: First run, as a datetime without offset or as "2030-12-31T08:30:00", in `time_zone`.
                Default: one interval from now.
            time_zone: IANA name ("Europe/Paris") or Windows name. Default: UTC.
            hours: Hours of the day to run at, 0 to 23. Only for "Day" and "Week".
            minutes: Minutes of the hour to run at, 0 to 59. Only for "Day" and "Week".
            week_days: Names of the days to run on, such as "Monday". Only for "Week".
            start_now: Also run once as soon as the schedule exists.
            continue_on_step_failure: Still run steps that do not need a failed one.

        Returns:
            The published pipeline, with `endpoint`, `next_runs()`, `trigger()`, `disable()`.

        Raises:
            BadSchedule: The schedule is invalid (a ValueError).
            BadParameter: A parameter is unknown, or its value has the wrong type (a ValueError).
            UnregisteredDatastore: The workspace does not have the datastore (a NameError).
            WrapperError: Whatever `build` raises.
        """
        check_call("Register", locals())
        # The parameters of a schedule have the names of its fields.
        asked = Schedule.of(schedule, **{name: value for name, value in locals().items() if name in DETAILS})
        publication = Publication(
            name=check_pipeline_name(name),
            description=description,
            plan=asked.plan(utc_now()) if asked else None,
            experiment=choose_experiment_name(experiment_name, self.experiment, name),
            parameters=self._assign(parameters),
            paths=assign_paths(self.path_parameters, parameters or {}),
            version=version,
            continue_on_step_failure=continue_on_step_failure,
        )
        if self.retries:
            inform("Retries apply only to run(); Azure ML v1 does not retry scheduled runs.")
        ws = self.workspace.ws
        check_plan(ws, publication.plan, self.path_parameters, is_local=self.workspace.is_local)
        self._pipeline = self.build()
        return publish(ws, self._pipeline, publication)

    def to_v2(
        self,
        directory: PathLike,
        *,
        force: bool = False,
        environment: Mapping[str, Any] | None = None,
        compute: Mapping[str, Any] | None = None,
        schedule: Schedule | Mapping[str, Any] | None = None,
        blob_change: str = "refuse",
        file_datasets: Sequence[str] = (),
        shim: bool = True,
        name: str | None = None,
        experiment_name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Export:
        """Write the pipeline as YAML of SDK v2 (`az ml`). Sends no request and imports no SDK.

        Args:
            directory: Folder to write to. Exporting again changes only files whose content changes.
            force: Overwrite files that no export has written.
            environment: What the environment consists of, as keywords of `register_env`.
            compute: Settings of the cluster, as keywords of `register_compute`.
            schedule: When the pipeline runs: a `Schedule`, or keywords of `register`.
            blob_change: What to do with "On_blob_change", which SDK v2 does not have: "refuse", "poll" (run every
                polling_interval minutes) or "event-grid" (write no schedule).
            file_datasets: Names of the datasets that are file datasets; all others are tabular.
            shim: Fill `run.input_datasets` in the scripts.
            name: Name of the schedule.
            experiment_name: Experiment of the job.
            parameters: Values for `pipeline_parameters`.

        Returns:
            What was written. REPORT.md in the folder lists what you need to change by hand.

        Raises:
            FolderTaken: The folder has files that no export has written, and `force` is False.
            BadPipeline: The values contain keys or other secrets.
            BadSchedule: The schedule is invalid, or "On_blob_change" with blob_change="refuse".
        """
        choices = {name: value for name, value in locals().items() if name not in ("self", "directory", "force")}
        from azureml_wrapper.v2.export.exporting import choose, export

        return export(self.definition, self.workspace.scope, Path(directory), choose(**choices), force=force)

    @property
    def retries(self) -> dict[str, int]:
        """Step -> how many times `run` retries it."""
        return self.definition.retries

    def _assign(self, parameters: Mapping[str, Any] | None) -> dict[str, Parameter]:
        """The values in the SDK's types; `BadParameter` lists the parameters."""
        in_config = {name for step in self.definition.steps for name in step.parameters_in_config}
        values = assign(self.pipeline_parameters, parameters or {}, in_config, self.path_parameters)
        return {name: as_parameter(value) for name, value in values.items()}

    _run = property(lambda self: self.last_run)  # its name in the first version

    def __repr__(self) -> str:
        return f"PipelineWrapper([{', '.join(step.name for step in self.steps)}])"


def _check_steps(steps: Sequence[PipelineStep], workspace: WorkspaceWrapper) -> list[Step]:
    if isinstance(steps, (str, Mapping)) or not all(isinstance(step, PipelineStep) for step in steps):
        raise BadArgument("steps must be a list of PipelineStep. To load a config, use PipelineWrapper.from_config.")
    for step in steps:
        if step.workspace.scope != workspace.scope:
            raise BadPipeline(f"Step {step.name!r} belongs to {step.workspace!r}, its pipeline to {workspace!r}.")
    return [step._step for step in steps]
