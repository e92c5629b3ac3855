"""A job's working directory: the snapshot, the inputs and the outputs.

<home>/jobs/<job key>/wd        the snapshot, where the script runs; data with a relative `path_on_compute`
                     /inputs    copies and folders of links
                     /outputs   files to publish when the script ends
                     /bin       `python` of a shell command
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput, Mode, RunForms
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.inputs import InputStager, StagedInput
from azureml_wrapper.local.executor.outputs import OutputStager, StagedOutput

# Environment variables, and placeholders in arguments, begin with this.
REFERENCE = "AZUREML_DATAREFERENCE_"
_MODES = {Mode.DIRECT: "Direct", Mode.MOUNT: "Mount", Mode.DOWNLOAD: "Download", Mode.UPLOAD: "Upload"}


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The working directory of a job that is ready to start."""

    folder: Path
    inputs: tuple[StagedInput, ...]
    outputs: tuple[StagedOutput, ...]

    @property
    def working_directory(self) -> Path:
        return self.folder / "wd"

    @property
    def shims(self) -> Path:
        return self.folder / "bin"

    def input_datasets(self, forms: RunForms) -> list[JSON]:
        """The items of the run's `input_datasets`."""
        return [
            forms.input_dataset(staged.job_input.name, staged.job_input.dataset_id, staged.job_input.mode)
            for staged in self.inputs
            if staged.job_input.dataset_id
        ]

    def notes(self) -> Iterator[str]:
        """Differences from Azure, and what a script has to know, for the log."""
        for staged in self.inputs:
            if staged.note:
                yield staged.note
            if staged.job_input.mode is Mode.MOUNT:
                # Azure mounts datasets read-only, and data references so that a job can write there.
                yield f"Input {staged.job_input.name} is the store's own data at {staged.value}" + (
                    ": do not write there. Azure's mounts are read-only; here nothing prevents it."
                    if staged.job_input.dataset_id
                    else ": files written there are in the datastore at once."
                )
            if staged.job_input.path_on_compute and not staged.is_literal:
                yield _elsewhere("Input", staged.job_input, staged.value)
        for output in self.outputs:
            if output.job_output.path_on_compute and not output.is_literal:
                yield _elsewhere("Output", output.job_output, str(output.folder))


def _elsewhere(kind: str, data: JobInput | JobOutput, value: str) -> str:
    """A sentence about data whose `path_on_compute` is not used."""
    start = f"{kind} {data.name} is at {value}, not at {data.path_on_compute}"
    if data.is_mounted_reference:
        return f"{start}: data references and PipelineData have no path on the compute in mount mode, as in Azure."
    return (
        f"{start}: on this machine, only a relative path is used, and only if it is free. "
        f"Pass the {kind.lower()} as an argument, and use the path that the script receives."
    )


def stage(context: ExecutorContext, job: Job, folder: Path) -> Staged:
    """Fill a new folder; a fault if the snapshot, an input or an output is missing."""
    working_directory = folder / "wd"
    working_directory.mkdir(parents=True)
    if job.snapshot_id:
        context.snapshots.restore(job.workspace_id, job.snapshot_id, working_directory)
    inputs = InputStager(context, job.workspace_id, folder / "inputs", working_directory)
    outputs = OutputStager(context, job, folder)
    staged = Staged(
        folder=folder,
        inputs=tuple(inputs.stage(item) for item in job.inputs),
        outputs=tuple(outputs.stage(item, working_directory) for item in job.outputs),
    )
    # Azure creates both; scripts rely on `outputs`.
    for name in ("outputs", "logs"):
        (working_directory / name).mkdir(exist_ok=True)
    return staged


def data_variables(staged: Staged) -> dict[str, str]:
    """The variables that `run.input_datasets` and `run.output_datasets` read (azureml/core/run.py)."""
    datasets = [item for item in staged.inputs if item.job_input.dataset_id]
    outputs = [item for item in staged.outputs if item.job_output.is_dataset]
    paths = {item.job_input.variable: item.value for item in staged.inputs}
    paths.update({item.name: str(item.folder) for item in staged.outputs})
    references = {f"{REFERENCE}{item.job_input.name}": item.value for item in staged.inputs}
    references.update({f"{REFERENCE}{item.name}": str(item.folder) for item in staged.outputs})
    return {
        **paths,
        **references,
        "AZUREML_DATASET_ENVIRONMENT_VARS": ",".join(
            f"{item.job_input.variable}:{_MODES[item.job_input.mode]}" for item in datasets
        ),
        "AZUREML_DATASET_FILE_OUTPUTS": ";".join(item.name for item in outputs),
    }
