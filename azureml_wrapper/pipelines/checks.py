"""What must hold before a pipeline is built: checked before anything is uploaded and before anything costs money."""

from __future__ import annotations

from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.pipelines.definition import Definition
from azureml_wrapper.pipelines.script_arguments import check_arguments
from azureml_wrapper.snapshots.script_folder import check_script, check_size


def check(definition: Definition) -> None:
    """Raises `ScriptNotFound`, `SnapshotTooLarge` or `BadPipeline`."""
    for step in definition.steps:
        check_script(step.directory, step.script)
        check_arguments(step)
    for directory in dict.fromkeys(step.directory for step in definition.steps):
        check_size(directory)


def check_inputs(definition: Definition) -> None:
    """Raise `BadPipeline` for a ParallelRunStep that has nothing to divide."""
    for step in definition.steps:
        if step.is_parallel and not (step.paths or step.datasets or step.reads):
            raise BadPipeline(
                f"Step {step.name!r} is a ParallelRunStep and has no input: give {_inputs(definition)}."
            )


def _inputs(definition: Definition) -> str:
    if definition.in_sequence:
        return "input_datareference_path and input_dataset_name, or an output to a step before it"
    return "input_datasets, input_paths or input_steps"
