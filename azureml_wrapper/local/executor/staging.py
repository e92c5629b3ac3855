"""A job's working directory: the snapshot, the inputs, the outputs, and the command line over them.

<home>/jobs/<job_key>/wd        the snapshot, where the script runs
                  /inputs    copies and folders of links
                  /outputs   what is published when the script ends
                  /bin       `python` of a shell command
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local import driver
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import Job, Mode
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.executor import launcher
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.inputs import InputStager, StagedInput
from azureml_wrapper.local.executor.outputs import OutputStager, StagedOutput

_INPUT, _OUTPUT, _REFERENCE = "DatasetConsumptionConfig:", "DatasetOutputConfig:", "AZUREML_DATAREFERENCE_"
_VARIABLE = re.compile(r"\$((?:AZUREML_DATAREFERENCE|AML_PARAMETER)_\w+)")
_NAMED = re.compile(rf"(?:{_INPUT}|{_OUTPUT})[\w.-]+")
_IN_COMMAND = re.compile(rf"{_NAMED.pattern}|\${_REFERENCE}\w+")
_MODES = {Mode.DIRECT: "Direct", Mode.MOUNT: "Mount", Mode.DOWNLOAD: "Download", Mode.UPLOAD: "Upload"}
_SHIM = """#!/bin/sh
# Lets a command's scripts be run as a job's script is: what they logged is saved when they end.
[ "$1" = -u ] && shift
case "$1" in
  -m | *.py) exec {python} {launcher} "$@" ;;
  *) exec {python} "$@" ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A job that is ready to be started."""

    folder: Path
    inputs: tuple[StagedInput, ...]
    outputs: tuple[StagedOutput, ...]

    @property
    def working_directory(self) -> Path:
        return self.folder / "wd"

    @property
    def shims(self) -> Path:
        return self.folder / "bin"

    def input_datasets(self) -> list[JSON]:
        """The items of the run's `inputDatasets`, as the SDK takes them apart (azureml/data/_dataset_lineage.py)."""
        return [
            {
                "identifier": {"savedId": staged.job_input.dataset_id},
                "consumptionType": "RunInput",
                "inputDetails": {
                    "inputName": staged.job_input.name,
                    "mechanism": _MODES[staged.job_input.mode],
                },
            }
            for staged in self.inputs
            if staged.job_input.dataset_id
        ]

    def notes(self) -> Iterator[str]:
        """What differs from Azure, for the log."""
        for staged in self.inputs:
            if staged.job_input.mode is Mode.MOUNT:
                # Azure mounts datasets read-only, and data references so that a job can write there.
                yield f"Input {staged.job_input.name} is the store's own data at {staged.value}" + (
                    ": do not write there. Azure's mounts are read-only, here nothing stops you."
                    if staged.job_input.dataset_id
                    else ": what is written there is in the datastore at once."
                )
            if staged.job_input.path_on_compute:
                wanted = staged.job_input.path_on_compute
                yield f"Input {staged.job_input.name} is at {staged.value}, not at {wanted}."
        for output in self.outputs:
            if output.job_output.path_on_compute:
                yield f"Output {output.name} is at {output.folder}, not at {output.job_output.path_on_compute}."


def stage(context: ExecutorContext, job: Job, folder: Path) -> Staged:
    """Fill a new folder; a fault where the snapshot, an input or an output cannot be had."""
    working_directory = folder / "wd"
    working_directory.mkdir(parents=True)
    if job.snapshot_id:
        context.snapshots.restore(job.workspace_id, job.snapshot_id, working_directory)
    inputs = InputStager(context, job.workspace_id, folder / "inputs")
    outputs = OutputStager(context, job, folder / "outputs")
    staged = Staged(
        folder=folder,
        inputs=tuple(inputs.stage(item) for item in job.inputs),
        outputs=tuple(outputs.stage(item) for item in job.outputs),
    )
    # Azure makes both; scripts rely on `outputs` being there.
    for name in ("outputs", "logs"):
        (working_directory / name).mkdir(exist_ok=True)
    return staged


def data_variables(staged: Staged) -> dict[str, str]:
    """Where data is: what the SDK's `run.input_datasets` and `run.output_datasets` read (azureml/core/run.py)."""
    datasets = [item for item in staged.inputs if item.job_input.dataset_id]
    outputs = [item for item in staged.outputs if item.job_output.is_dataset]
    paths = {item.job_input.variable: item.value for item in staged.inputs}
    paths.update({item.name: str(item.folder) for item in staged.outputs})
    references = {f"{_REFERENCE}{item.job_input.name}": item.value for item in staged.inputs}
    references.update({f"{_REFERENCE}{item.name}": str(item.folder) for item in staged.outputs})
    return {
        **paths,
        **references,
        "AZUREML_DATASET_ENVIRONMENT_VARS": ",".join(
            f"{item.job_input.variable}:{_MODES[item.job_input.mode]}" for item in datasets
        ),
        "AZUREML_DATASET_FILE_OUTPUTS": ";".join(item.name for item in outputs),
    }


def command_line(job: Job, staged: Staged, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
    """What to start: the script through the launcher, or the shell with the command."""
    places = {f"{_INPUT}{item.job_input.name}": item.value for item in staged.inputs}
    places.update({f"{_OUTPUT}{item.name}": str(item.folder) for item in staged.outputs})
    if job.command:
        _write_shims(staged.shims, interpreter)
        # A CommandStep's arguments are the rest of its command.
        line = " ".join((job.command, *job.arguments))
        references = {f"${_REFERENCE}{item.job_input.name}": item.value for item in staged.inputs}
        references.update({f"${_REFERENCE}{item.name}": str(item.folder) for item in staged.outputs})
        known = {**places, **references}
        return ["/bin/sh", "-c", _IN_COMMAND.sub(lambda name: shlex.quote(known.get(name[0], name[0])), line)]
    if not job.script:
        raise Invalid("The job has neither a script nor a command.")
    arguments = (_replaced(argument, places, variables) for argument in job.arguments)
    script = driver.MAIN if job.is_parallel else job.script
    return [str(interpreter), launcher.__file__, script, *arguments]


def unknown_references(job: Job, variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each data reference in the arguments that the run configuration does not have."""
    for argument in job.arguments:
        for name in _VARIABLE.findall(argument):
            if name.startswith(_REFERENCE) and name not in variables:
                reference = name.removeprefix(_REFERENCE)
                yield (
                    f"The argument ${name} stays as it is: no data reference {reference!r} is in the run "
                    "configuration. Add it: run_config.data_references[ref.data_reference_name] = ref.to_config()."
                )


def _replaced(argument: str, places: Mapping[str, str], variables: Mapping[str, str]) -> str:
    if argument in places:
        return places[argument]
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), argument)


def _write_shims(folder: Path, interpreter: Path) -> None:
    folder.mkdir()
    text = _SHIM.format(python=shlex.quote(str(interpreter)), launcher=shlex.quote(launcher.__file__))
    for name in ("python", "python3"):
        (folder / name).write_text(text)
        os.chmod(folder / name, 0o755)  # noqa: PTH101, S103 - a program of the job's own
