"""From the steps of a pipeline configuration file to steps of the SDK."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.environments import Packages, step_configuration
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.messages import hushed
from azureml_wrapper.pipeline_files.entries import (
    INPUT_ARGUMENT,
    OUTPUT_ARGUMENT,
    MpiEntry,
    ParallelRunEntry,
    StepEntry,
)
from azureml_wrapper.pipeline_files.steps_file import FileStep, StepsFile

if TYPE_CHECKING:
    from azureml.core import Environment, Workspace


def datastore_names(file: StepsFile) -> dict[str, str | None]:
    """Step -> its datastore; None is the workspace's own.

    A step that names a path and no datastore reads from that of the nearest step before it that names one.
    """
    names: dict[str, str | None] = {}
    last = None
    for entry in file.entries:
        last = entry.input_dataset_name or last
        if entry.has_reference:
            names[entry.name] = last
    return names


class StepsBuilder:
    """The SDK's steps of one build, in order."""

    def __init__(self, ws: Workspace, file: StepsFile, compute: Any, datastores: Mapping[str | None, Any]) -> None:
        self._ws = ws
        self._file = file
        self._compute = compute
        self._datastores = datastores
        self._names = datastore_names(file)
        self._references: dict[tuple[str | None, ...], Any] = {}
        self._last_output: Any = None

    def build(self) -> list[Any]:
        return [self._step(step) for step in self._file.steps]

    def _step(self, step: FileStep) -> Any:
        from azureml.data import OutputFileDatasetConfig

        entry = step.entry
        output = OutputFileDatasetConfig(entry.output) if entry.output else None
        # The SDK says of several of its classes that others are to be used.
        with hushed():
            if isinstance(entry, ParallelRunEntry):
                made = self._parallel(step, entry, output)
            else:
                made = self._script(step, output)
        # A step after one without output reads what was there before.
        self._last_output = output or self._last_output
        return made

    def _script(self, step: FileStep, output: Any) -> Any:
        from azureml.pipeline.steps import MpiStep, PythonScriptStep

        entry = step.entry
        data = self._reference(entry) if entry.has_reference else self._previous()
        given: dict[str, Any] = {
            "name": entry.name,
            "script_name": entry.script,
            "source_directory": str(step.script_directory),
            "arguments": step.arguments
            + ([INPUT_ARGUMENT, data] if data is not None else [])
            + ([OUTPUT_ARGUMENT, output] if output is not None else []),
            "inputs": [data] if entry.has_reference else [],
            "compute_target": self._compute,
            "allow_reuse": entry.allow_reuse,
        }
        environment = define_environment(step)
        if not isinstance(entry, MpiEntry):
            return PythonScriptStep(runconfig=step_configuration(environment), **given)
        # Its estimator takes this from the environment alone (azureml/train/_estimator_helper.py).
        environment.docker.enabled = True
        return MpiStep(
            node_count=entry.node_count,
            process_count_per_node=entry.processes_per_node or 1,
            environment_definition=environment,
            **given,
        )

    def _parallel(self, step: FileStep, entry: ParallelRunEntry, output: Any) -> Any:
        from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep

        data = self._files(entry) if entry.has_reference else self._previous()
        if data is None:
            raise BadPipeline(
                f"Step {entry.name!r} is a ParallelRunStep and has no input: give input_datareference_path and "
                "input_dataset_name, or an output to a step before it."
            )
        configuration = ParallelRunConfig(
            environment=define_environment(step),
            entry_script=entry.script,
            source_directory=str(step.script_directory),
            compute_target=self._compute,
            node_count=entry.node_count,
            process_count_per_node=entry.processes_per_node,
            mini_batch_size=entry.mini_batch_size,
            error_threshold=entry.error_threshold,
            output_action=entry.output_action,
            append_row_file_name=entry.append_row_file_name,
            run_invocation_timeout=entry.run_invocation_timeout,
            run_max_try=entry.run_max_try,
        )
        return ParallelRunStep(
            name=entry.name,
            parallel_run_config=configuration,
            inputs=[data],
            output=output,
            arguments=step.arguments,
            allow_reuse=entry.allow_reuse,
        )

    def _reference(self, entry: StepEntry) -> Any:
        """Two steps that read the same place by the same name share one object: the graph has one node for it."""
        from azureml.data.data_reference import DataReference

        path = entry.input_datareference_path or None
        key = (entry.input_datareference_name, self._names[entry.name], path)
        if key not in self._references:
            self._references[key] = DataReference(self._datastore(entry), self._free_name(entry), path, mode="mount")
        return self._references[key]

    def _free_name(self, entry: StepEntry) -> str:
        """The name that the step gives, else input_data, input_data_2 and so on: one for each place."""
        if entry.input_datareference_name:
            return entry.input_datareference_name
        taken = {each.input_datareference_name for each in self._file.entries}
        taken |= {reference.data_reference_name for reference in self._references.values()}
        numbered = (f"{entry.reference_name}_{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain((entry.reference_name,), numbered) if name not in taken)

    def _files(self, entry: StepEntry) -> Any:
        """All files below the path, as ParallelRunStep wants them."""
        from azureml.core import Dataset

        path = (entry.input_datareference_path or "").strip("/")
        # A path that has a name extension is a file's.
        wanted = path if "." in path.rpartition("/")[2] else f"{path}/**".lstrip("/")
        files = Dataset.File.from_files((self._datastore(entry), wanted), validate=False)
        return files.as_named_input(entry.reference_name).as_mount()

    def _datastore(self, entry: StepEntry) -> Any:
        return self._datastores[self._names[entry.name]]

    def _previous(self) -> Any:
        return None if self._last_output is None else self._last_output.as_input("input_data")


def define_environment(step: FileStep) -> Environment:
    """The step's own environment: the packages of its requirements, above its base_image."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", step.name)
    return Packages(requirements=step.requirements, docker_image=step.entry.base_image).define(f"{name}_environment")
