"""PipelineWrapper: steps, wired and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.environments import step_configuration
from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.assets.names import as_experiment_name, check_experiment_name, check_pipeline_name
from azureml_wrapper.config.parameters import Parameter, assign, to_text
from azureml_wrapper.errors import BadArgument, BadPipeline
from azureml_wrapper.messages import say
from azureml_wrapper.pipelines.datastore_paths import PathBuilder, assign_paths, path_parameters, to_sdk
from azureml_wrapper.pipelines.wiring import OUTPUT_ARGUMENT, Wires, wire
from azureml_wrapper.publishing.publication import Order, RegisteredPipeline, check_plan, publish
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, Wanted, plan, utc_now
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.waiting import see_through, within
from azureml_wrapper.snapshots.script_folder import check_script, check_size
from azureml_wrapper.snapshots.upload import send_in_one_request
from azureml_wrapper.step import PipelineStep
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import Experiment, Workspace
    from azureml.pipeline.core import Pipeline

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.v2.export.export import Export

OUTPUT_NAME = "output_folder"
# Read by the local Azure ML in a job's variables (local/executor/warm.py); users of the SDK alone may set it, too.
WARM_VARIABLE = "AZUREML_WRAPPER_WARM"


class PipelineWrapper:
    """A pipeline of steps. Making one asks Azure nothing.

    Every step but the first gets `--input-folder`, the folder that the step before it has filled; every step but the
    last gets `--output-folder`. A step with `input_steps` reads the folders of the steps that it names instead, and
    steps that do not read from each other run in parallel. `pipeline_parameters` (name -> default) are what each run
    may change; steps use them as `${{parameters.NAME}}`. `warm=False` lets the local Azure ML start each step in a
    new process, where the step does not say otherwise; in Azure it has no effect. `options` are those of
    WorkspaceWrapper.
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
        **options: Any,
    ) -> None:
        self.workspace = WorkspaceWrapper(ws_name, resource_group, subscription_id, **options)
        for key, value in (("env_name", env_name), ("compute_name", compute_name)):
            if not isinstance(value, str) or not value:
                raise BadArgument(f"{key} must be a text that is not empty, not {value!r}.")
        if not isinstance(warm, bool):
            raise BadArgument(f"warm must be True or False, not {warm!r}.")
        self.env_name, self.compute_name, self.warm = env_name, compute_name, warm
        self.steps = _check_steps(steps, self.workspace)
        self.pipeline_parameters = _check_parameters(pipeline_parameters or {}, self.steps)
        self.path_parameters = path_parameters(path for step in self.steps for path in step.input_paths.values())
        if taken := sorted(self.path_parameters.keys() & self.pipeline_parameters):
            raise BadPipeline(f"{taken[0]!r} is a pipeline parameter and the parameter of a path; use two names.")
        self._wires = wire([(step.name, step.input_steps) for step in self.steps])
        self._pipeline: Pipeline | None = None
        self.experiment: Experiment | None = None

    @classmethod
    def from_config(cls, config: Config = None, **options: Any) -> PipelineWrapper:
        """The pipeline of a dict or of a .json or .yml file; `ConfigError` tells all that is wrong with it.

        `steps` is a mapping of step configs, in order, or a list. A `script_directory` is relative to the file's
        folder. `options` are those of WorkspaceWrapper. A pipeline configuration file, which is a mapping of steps
        and nothing else, is read as well; its workspace is that of `ws_config`, or of the nearest
        .azureml/config.json. See docs/pipeline-files.md.
        """
        from azureml_wrapper.config.loader import load, read_document
        from azureml_wrapper.config.models import PipelineConfig
        from azureml_wrapper.pipeline_files.steps_file import is_steps_file

        read = read_document(config)
        if is_steps_file(read.data):
            from azureml_wrapper.pipeline_files.steps_pipeline import StepsPipeline

            return StepsPipeline.of(read, **options)
        if options.pop("ws_config", None) is not None:
            raise BadArgument("ws_config is for pipeline configuration files; this config names a workspace itself.")
        found, document = load(PipelineConfig, read)
        workspace = WorkspaceWrapper(found.ws_name, found.resource_group, found.subscription_id, **options)
        folder = document.folder if document.path else None
        steps = [PipelineStep._of(fields, workspace, folder) for fields in found.named_steps()]
        names = (found.ws_name, found.resource_group, found.subscription_id)
        options = {"pipeline_parameters": found.pipeline_parameters, "warm": found.warm, **options}
        return cls(*names, found.env_name, found.compute_name, steps, **options)

    @property
    def pipeline(self) -> Pipeline:
        """The SDK's own Pipeline, as it was built last."""
        if self._pipeline is None:
            self._pipeline = self.build()
        return self._pipeline

    def build(self) -> Pipeline:
        """A new SDK Pipeline, with the newest versions of datasets and environments.

        Raises `ScriptNotFound`, `SnapshotTooLarge` or `NotRegistered` before anything is sent. The steps stay as they
        are, so that building again gives the same again.
        """
        from azureml.pipeline.core import Pipeline

        self._check_folders()
        ws = self.workspace.ws
        made = Pipeline(ws, steps=self._sdk_steps(ws))
        if self.workspace.is_local:
            send_in_one_request(made)
        return made

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
        """Submit the pipeline, and wait for its end; `RunFailed` says which step failed and why.

        While it waits, Ctrl-C says that the run goes on, and a second one cancels it. Where the failed step has
        `retries`, the run is submitted again from there, and the last run is returned: SDK v1 has no retries itself.

        `timeout` is in seconds, for all tries, and ends the waiting, not the run. `regenerate_outputs` runs steps
        again whose results could be reused. With `continue_on_step_failure`, steps that do not need a failed one
        still run. `parameters` are values for `pipeline_parameters`; `BadParameter` for others.
        """
        from azureml.core import Experiment

        check_experiment_name(experiment_name)
        values, paths = self.assign(parameters), assign_paths(self.path_parameters, parameters or {})
        # Built anew each time: a Pipeline of the SDK that is submitted again runs the scripts as they were before.
        self._pipeline = self.build()
        self.experiment = Experiment(self.workspace.ws, experiment_name)
        raw = self.experiment.submit(
            self._pipeline,
            pipeline_parameters={**values, **to_sdk(self.workspace.ws, paths)},
            tags=dict(tags) if tags else None,
            regenerate_outputs=regenerate_outputs,
            continue_on_step_failure=continue_on_step_failure,
        )
        run = RunWrapper(raw)
        return see_through(run, within(timeout, show_output), self.retries) if wait else run

    def register(
        self,
        name: str,
        description: str,
        schedule: str | None = None,
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
        """Publish the pipeline, and let it run by itself where a `schedule` is given.

        `schedule` is "Minute", "Hour", "Day", "Week" or "Month", with an `interval`: it first fires an interval from
        now, or at `start_time`, or at once with `start_now`; `hours`, `minutes` and `week_days` pin it to the clock
        of `time_zone` (an IANA or a Windows name; else UTC). Or it is "On_blob_change", with a `datastore_name`: it
        looks every `polling_interval` minutes for blobs of `path_on_datastore` that are new or changed, and begins
        a run for each, on the local Azure ML one for all of `batch_seconds`.

        `version` is the next one unless given. Scheduled runs belong to `experiment_name` (else that of the last run,
        else the pipeline's name) and have these `parameters`. Registering a name again replaces its schedule.
        Everything is checked before anything is published: raises `BadSchedule` and `BadParameter` (ValueErrors),
        `UnregisteredDatastore` (a NameError), and what `build` raises.
        """
        wanted = Wanted(
            schedule=schedule,
            interval=interval,
            datastore_name=datastore_name,
            path_on_datastore=path_on_datastore,
            polling_interval=polling_interval,
            data_path_parameter=data_path_parameter,
            batch_seconds=batch_seconds,
            start_time=start_time,
            time_zone=time_zone,
            hours=hours,
            minutes=minutes,
            week_days=week_days,
            start_now=start_now,
        )
        order = Order(
            name=check_pipeline_name(name),
            description=description,
            plan=plan(wanted, utc_now()),
            experiment=self._experiment_for(experiment_name, name),
            parameters=self.assign(parameters),
            paths=assign_paths(self.path_parameters, parameters or {}),
            version=version,
            continue_on_step_failure=continue_on_step_failure,
        )
        if self.retries:
            say(f"The retries of {', '.join(self.retries)} count in run() only: Azure ML v1 has none for other runs.")
        ws = self.workspace.ws
        check_plan(ws, order.plan, self.path_parameters, is_local=self.workspace.is_local)
        self._pipeline = self.build()
        return publish(ws, self._pipeline, order)

    def to_v2(self, directory: PathLike, *, force: bool = False, **choices: Any) -> Export:
        """Write the pipeline as SDK v2's YAML (`az ml`) into a folder; asks Azure nothing and imports no SDK.

        What the config does not say may be given: `environment` has keywords of `register_env`, `compute` of
        `register_compute`, `schedule` of `register`; `name` is the schedule's, `experiment_name` the job's. SDK v2
        has no On_blob_change: `blob_change` is "refuse", "poll" (a run every polling_interval minutes) or
        "event-grid" (no schedule). `file_datasets` are those of files; others are tables. `shim=False` does not
        fill `run.input_datasets` for them. REPORT.md says what needs a hand. Writing again changes no byte
        without cause. Raises `FolderTaken` for files that no export has written, unless `force`; `BadPipeline`
        for keys in values.
        """
        from azureml_wrapper.v2.export.export import choose, export

        return export(self, Path(directory), choose(**choices), force=force)

    @property
    def retries(self) -> dict[str, int]:
        """Step -> how often it may be tried again."""
        return {step.name: step.retries for step in self.steps if step.retries}

    def _experiment_for(self, given: str | None, name: str) -> str:
        if given is not None:
            return check_experiment_name(given)
        return str(self.experiment.name) if self.experiment else as_experiment_name(name)

    def assign(self, parameters: Mapping[str, Any] | None) -> dict[str, Parameter]:
        """The values as the SDK takes them; `BadParameter` says which are allowed."""
        in_config = {name for step in self.steps for name in step.parameters_in_config}
        values = assign(self.pipeline_parameters, parameters or {}, in_config, self.path_parameters)
        return {name: as_parameter(value) for name, value in values.items()}

    def _sdk_steps(self, ws: Workspace) -> Any:
        """A list of the SDK's steps, or its StepSequence."""
        return _Builder(self, Lookup(ws)).build()

    def _check_folders(self) -> None:
        for step in self.steps:
            check_script(step.script_directory, step.script_name)
        for directory in dict.fromkeys(step.script_directory for step in self.steps):
            check_size(directory)

    def __repr__(self) -> str:
        return f"PipelineWrapper([{', '.join(step.name for step in self.steps)}])"


class _Builder:
    """The SDK's steps of one build."""

    def __init__(self, pipeline: PipelineWrapper, lookup: Lookup) -> None:
        self._pipeline = pipeline
        self._lookup = lookup
        self._outputs: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}
        self._paths = PathBuilder(lookup.ws)
        self._run_configurations: dict[tuple[str, bool], Any] = {}

    def build(self) -> list[Any]:
        from azureml.data import OutputFileDatasetConfig
        from azureml.pipeline.core import PipelineParameter

        given = self._pipeline.pipeline_parameters.items()
        self._parameters = {name: PipelineParameter(name, as_parameter(value)) for name, value in given}
        steps = self._pipeline.steps
        self._lookup.check(
            datasets=[name for step in steps for name in step.input_datasets.values()],
            environments=map(self._environment, steps),
            computes=map(self._compute, steps),
        )
        pairs = list(zip(steps, self._pipeline._wires, strict=True))
        self._outputs = {step.name: OutputFileDatasetConfig(OUTPUT_NAME) for step, wires in pairs if wires.has_output}
        return [self._step(step, wires) for step, wires in pairs]

    def _step(self, step: PipelineStep, wires: Wires) -> Any:
        from azureml.pipeline.steps import PythonScriptStep

        compute = self._lookup.computes([self._compute(step)])[self._compute(step)]
        paths = self._path_inputs(step)
        return PythonScriptStep(
            name=step.name,
            script_name=step.script_name,
            source_directory=str(step.script_directory),
            arguments=step.build_arguments(self._lookup, self._pipeline.pipeline_parameters)
            + [part for pair in paths.items() for part in pair]
            + self._folders(step, wires),
            inputs=list(paths.values()),
            params={name: self._parameters[name] for name in sorted(step.parameters)},
            compute_target=compute,
            runconfig=self._run_configuration(step),
            allow_reuse=step.allow_reuse,
        )

    def _path_inputs(self, step: PipelineStep) -> dict[str, Any]:
        names = _path_names(step)
        return {argument: self._paths.build(given, names[argument]) for argument, given in step.input_paths.items()}

    def _folders(self, step: PipelineStep, wires: Wires) -> list[Any]:
        taken = {*step._input_names().values(), *_path_names(step).values(), OUTPUT_NAME}
        arguments: list[Any] = []
        for argument, producer in wires.inputs.items():
            name = _free_name(argument, taken)
            arguments += [argument, self._outputs[producer].as_input(name)]
        return arguments + ([OUTPUT_ARGUMENT, self._outputs[step.name]] if wires.has_output else [])

    def _run_configuration(self, step: PipelineStep) -> Any:
        """Steps with the same settings share one."""
        key = (self._environment(step), self._is_warm(step))
        if key not in self._run_configurations:
            self._run_configurations[key] = self._new_run_configuration(*key)
        return self._run_configurations[key]

    def _new_run_configuration(self, name: str, is_warm: bool) -> Any:
        configuration = step_configuration(self._lookup.environments([name])[name])
        if not is_warm and self._pipeline.workspace.is_local:
            configuration.environment_variables = {WARM_VARIABLE: "false"}
        return configuration

    def _is_warm(self, step: PipelineStep) -> bool:
        return self._pipeline.warm if step.warm is None else step.warm

    def _environment(self, step: PipelineStep) -> str:
        return step.env_name or self._pipeline.env_name

    def _compute(self, step: PipelineStep) -> str:
        return step.compute_name or self._pipeline.compute_name


def _free_name(argument: str, taken: set[str]) -> str:
    """The input's name, the same at each build: a random one, as the SDK gives, would prevent reuse."""
    name = argument.strip("-").replace("-", "_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _path_names(step: PipelineStep) -> dict[str, str]:
    """Argument -> the name of the input that holds its path."""
    taken = {*step._input_names().values(), OUTPUT_NAME}
    return {argument: _free_name(argument, taken) for argument in step.input_paths}


def as_parameter(value: Parameter) -> Parameter:
    """A value as Azure ML is to put it into JSON: it would write True where JSON has true."""
    return to_text(value) if isinstance(value, bool) else value


def _check_parameters(given: Mapping[str, Parameter], steps: Sequence[PipelineStep]) -> dict[str, Parameter]:
    from azureml_wrapper.config.loader import check_parameters

    return check_parameters(given, {step.name: step.fields_with_parameters for step in steps})


def _check_steps(steps: Sequence[PipelineStep], workspace: WorkspaceWrapper) -> list[PipelineStep]:
    if isinstance(steps, (str, Mapping)) or not all(isinstance(step, PipelineStep) for step in steps):
        raise BadArgument("steps must be a list of PipelineStep. For a config, call PipelineWrapper.from_config.")
    for step in steps:
        if step.workspace.scope != workspace.scope:
            raise BadPipeline(f"Step {step.name!r} belongs to {step.workspace!r}, its pipeline to {workspace!r}.")
    return list(steps)
