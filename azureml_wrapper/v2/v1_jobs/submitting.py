"""Submits a job of a file: command, pipeline or sweep."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.assets.names import as_experiment_name, check_experiment_name
from azureml_wrapper.errors import BadValue
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.v2.command_job import CommandJob, Header
from azureml_wrapper.v2.job_data import DOWNLOAD, DataInput, Literal
from azureml_wrapper.v2.pipeline_job import Node, PipelineJob, binding_of
from azureml_wrapper.v2.read import Job
from azureml_wrapper.v2.v1_jobs.job_datasets import Data
from azureml_wrapper.v2.v1_jobs.run_config import (
    Parts,
    hyperdrive_config,
    run_configuration,
    script_run_config,
    source_directory,
)

if TYPE_CHECKING:
    from azureml.core import Experiment, Workspace


def submit(ws: Workspace, job: Job) -> RunWrapper:
    """Submit a job; it runs in Azure or on the local Azure ML. Raises what the workspace lacks, with the line."""
    from azureml.core import Experiment

    header = job.header
    experiment = Experiment(ws, check_experiment_name(header.experiment or as_experiment_name(Path.cwd().name)))
    run = _submit(experiment, job)
    _describe(run, header)
    return RunWrapper(run)


def _submit(experiment: Experiment, job: Job) -> Any:
    if isinstance(job, CommandJob):
        return _submit_command(experiment, job)
    if isinstance(job, PipelineJob):
        return _submit_pipeline(experiment, job)
    with source_directory(job.trial) as folder:
        return experiment.submit(hyperdrive_config(experiment.workspace, job, folder), tags=_tags(job.header))


def _submit_command(experiment: Experiment, job: CommandJob) -> Any:
    ws, command = experiment.workspace, job.command
    parts = Parts.of(command, Data(ws))
    how: dict[str, Any] = {"command": parts.line(command.command)}
    if script := command.script:
        how = {"script": script.name, "arguments": parts.arguments(script)}
    named = {"run_id": job.header.name} if job.header.name else {}
    with source_directory(command) as folder:
        source = script_run_config(ws, command, parts, folder, how)
        return experiment.submit(source, tags=_tags(job.header), **named)


def _submit_pipeline(experiment: Experiment, job: PipelineJob) -> Any:
    from azureml.pipeline.core import Pipeline

    with contextlib.ExitStack() as folders:
        steps = _Steps(experiment.workspace, job, folders).build()
        pipeline = Pipeline(experiment.workspace, steps=steps)
        return experiment.submit(
            pipeline,
            tags=_tags(job.header),
            continue_on_step_failure=job.continue_on_failure,
            regenerate_outputs=job.force_rerun,
        )


class _Steps:
    """The SDK's steps of one pipeline."""

    def __init__(self, ws: Workspace, job: PipelineJob, folders: contextlib.ExitStack) -> None:
        self._ws, self._job, self._folders = ws, job, folders
        self._data, self._lookup = Data(ws, job.datastore), Lookup(ws)
        self._outputs: dict[tuple[str, str], Any] = {}
        self._files = {
            (node.name, name): output.file for node in job.nodes for name, output in node.command.outputs.items()
        }

    def build(self) -> list[Any]:
        self._lookup.computes(str(node.command.compute) for node in self._job.nodes)
        made: dict[str, Any] = {}
        for node in self._job.nodes:
            made[node.name] = self._step(node)
            for other in node.waits.values():
                made[node.name].run_after(made[other])
        return list(made.values())

    def _step(self, node: Node) -> Any:
        from azureml.pipeline.steps import CommandStep, PythonScriptStep

        command = node.command
        parts = Parts.of(command, self._data, self._read_from_others(node))
        for name, output in parts.outputs.items():
            self._outputs[node.name, name] = output
        name = str(command.compute)
        common = {
            "name": node.display_name,
            "source_directory": self._folders.enter_context(source_directory(command)),
            "compute_target": self._lookup.computes([name])[name],
            "runconfig": run_configuration(self._ws, command),
            "allow_reuse": node.allow_reuse,
        }
        script = command.script
        if script is None:
            return CommandStep(
                command=_words(parts.line_with_variables(command.command)),
                inputs=list(parts.inputs.values()),
                outputs=list(parts.outputs.values()),
                **common,
            )
        arguments = parts.arguments(script)
        inputs, outputs = parts.left(arguments)
        return PythonScriptStep(
            script_name=script.name,
            arguments=arguments,
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
            **common,
        )

    def _read_from_others(self, node: Node) -> dict[str, tuple[Any, str | None]]:
        found = {}
        for name, item in node.command.inputs.items():
            binding = binding_of(item)
            if binding is None or isinstance(item, Literal) or name in node.waits:
                continue
            source = self._outputs[binding.job, binding.name].as_input(name)
            is_copy = isinstance(item, DataInput) and item.mode == DOWNLOAD
            file = self._files.get((binding.job, binding.name))
            found[name] = source.as_download() if is_copy else source.as_mount(), file
        return found


def _words(line: str) -> list[str]:
    from azureml_wrapper.v2.command_line import split_first

    first, rest = split_first(line)
    return [first, rest] if rest else [first]


def _tags(header: Header) -> dict[str, str] | None:
    return dict(header.tags) or None


def _describe(run: Any, header: Header) -> None:
    """What SDK v1 sets on a run that was submitted."""
    if header.display_name:
        run.display_name = header.display_name
    if header.description:
        run.description = header.description
    if header.properties:
        _add_properties(run, header.properties)


def _add_properties(run: Any, properties: Mapping[str, str]) -> None:
    from azureml.exceptions import AzureMLException

    try:
        run.add_properties(dict(properties))
    except AzureMLException as error:
        raise BadValue(f"The run {run.id} was submitted, and its properties were refused: {error}") from error
