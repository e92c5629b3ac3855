"""What of a pipeline SDK v2 has nothing for, what was taken for granted, and what no export can know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_wrapper.publishing.schedule import OnBlobChange, Recurring
from azureml_wrapper.v2.export.choices import EVENT_GRID, POLL, Choices
from azureml_wrapper.v2.export.documents import DEFAULT_IMAGE, DEFAULT_PYTHON, computes_of, environments_of

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

_SHELL = re.compile(r'["`$\\]')


@dataclass(frozen=True)
class Note:
    """`what` it is about, and the `text`: why, and what to do."""

    what: str
    text: str


def by_hand(pipeline: PipelineWrapper, choices: Choices) -> Iterator[Note]:
    """What does not do in SDK v2 what it did in SDK v1 before somebody has changed it."""
    yield from _tables(pipeline, choices)
    yield from _unshimmed(pipeline, choices)
    for step in pipeline.steps:
        if step.retries:
            yield Note(
                f"step {step.name}: retries: {step.retries}",
                "SDK v2 tries only the mini-batches of parallel jobs again. Submit the job again, or catch what "
                "fails within the script.",
            )
    yield from _texts(pipeline)
    yield from notes_of_schedule(choices)
    yield from notes_of_workspace(pipeline)


def notes_of_workspace(pipeline: PipelineWrapper) -> Iterator[Note]:
    """The local Azure ML is no place for `az ml`."""
    if pipeline.workspace.scope.is_local:
        yield Note(
            "config.json",
            "it names the local Azure ML. Put your workspace in Azure there, or give -w, -g and --subscription to "
            "`az ml`.",
        )


def taken(pipeline: PipelineWrapper, choices: Choices, folder: Path) -> Iterator[Note]:
    """What the config does not say and was decided; with how to decide otherwise."""
    yield from _environments(pipeline, choices)
    if not choices.cluster:
        yield Note(
            "compute.yml: size and number of nodes",
            "the config names clusters only; these are the defaults of `register_compute`. Give --vm-size, "
            "--min-nodes, --max-nodes. A cluster that exists needs no file.",
        )
    elif len(computes_of(pipeline)) > 1:
        yield Note("compute-….yml", "all clusters are written with the size and number of nodes that was given.")
    files = sorted(choices.file_datasets)
    tables = sorted({name for step in pipeline.steps for name in step.input_datasets.values()} - set(files))
    if tables:
        yield Note(
            f"datasets {', '.join(tables)}",
            "taken to be tables, as `register_csv` makes them: `mltable`. Say --file-dataset NAME for one of files.",
        )
    for step in pipeline.steps:
        for argument, given in step.input_paths.items():
            yield Note(f"step {step.name}: {argument}", f"{given.path} is taken to be a file where it has a suffix.")
    if any(isinstance(value, bool) for value in pipeline.pipeline_parameters.values()):
        yield Note("parameters that are true or false", "they are texts: SDK v2 would put True where JSON has true.")
    yield from _surroundings(pipeline, choices, folder)


def _surroundings(pipeline: PipelineWrapper, choices: Choices, folder: Path) -> Iterator[Note]:
    wanted = choices.schedule
    if isinstance(wanted, Recurring) and not (choices.has_start or wanted.recurrence.is_pinned):
        yield Note(
            "schedule.yml: start",
            "SDK v2 fires at once, then after each interval; `register` waits for the first interval. Give "
            "--start-time for another start.",
        )
    if not pipeline.warm or any(step.warm is not None for step in pipeline.steps):
        yield Note("warm", "it is a setting of the local Azure ML, and is left out.")
    holding = [step.name for step in pipeline.steps if folder.resolve().is_relative_to(step.script_directory)]
    if holding:
        yield Note(
            f"code of {', '.join(holding)}",
            "its folder holds this export, too, so that each export changes it. Name this folder in .amlignore.",
        )


def _environments(pipeline: PipelineWrapper, choices: Choices) -> Iterator[Note]:
    if choices.packages is None:
        yield Note(
            "environment.yml: packages",
            "the config names environments only; these packages are those that the scripts import. Check them, or "
            "give --package, --requirements, --conda-file, --image. An environment that is registered needs no file: "
            "pipeline.yml names its newest version.",
        )
    elif len(environments_of(pipeline)) > 1:
        yield Note("environment-….yml", "all environments are written with the packages that were given.")
    if choices.packages is None or not (choices.packages.python_version or choices.packages.conda_file):
        yield Note("environment.yml: Python", f"{DEFAULT_PYTHON}. Give --python-version for another one.")
    if choices.packages is None or choices.packages.docker_image is None:
        yield Note("environment.yml: image", f"{DEFAULT_IMAGE} is SDK v1's default. Give --image for another one.")


def _tables(pipeline: PipelineWrapper, choices: Choices) -> Iterator[Note]:
    for step in pipeline.steps:
        for argument, name in step.input_datasets.items():
            if name not in choices.file_datasets:
                yield Note(
                    f"step {step.name}: {argument}, dataset {name}",
                    f"`run.input_datasets['{step._input_names()[name]}']` is not there in SDK v2: a table is read "
                    f"with `mltable.load(<value of {argument}>).to_pandas_dataframe()`; add mltable and "
                    "azureml-dataprep to the environment. A dataset of SDK v1 can be named as `mltable`.",
                )


def _unshimmed(pipeline: PipelineWrapper, choices: Choices) -> Iterator[Note]:
    if choices.shim:
        return
    for step in pipeline.steps:
        names = [name for name in step.input_datasets.values() if name in choices.file_datasets]
        if names:
            yield Note(
                f"step {step.name}: datasets {', '.join(dict.fromkeys(names))}",
                "without the variables of `--shim`, `run.input_datasets` is empty; use the argument, a path.",
            )


def _texts(pipeline: PipelineWrapper) -> Iterator[Note]:
    for name, value in pipeline.pipeline_parameters.items():
        if isinstance(value, str) and _SHELL.search(value):
            yield Note(
                f"parameter {name}",
                'its value has one of " ` $ \\, which a shell reads as its own: SDK v2 '
                "puts values into a command as they are.",
            )


def notes_of_schedule(choices: Choices) -> Iterator[Note]:
    """What instead of a schedule that waits for blobs."""
    wanted = choices.schedule
    if not isinstance(wanted, OnBlobChange):
        return
    place = "/".join(part for part in (wanted.datastore_name, wanted.path_on_datastore) if part)
    if choices.blob_change == POLL:
        yield Note(
            f"schedule.yml: instead of On_blob_change of {place}",
            f"it begins a run every {wanted.polling_interval} minutes, whether or not a blob has changed: each costs "
            "the start of its first step. Let that step look for what is new, and end where nothing is.",
        )
    if choices.blob_change == EVENT_GRID:
        yield Note(
            f"no schedule.yml: On_blob_change of {place}",
            "subscribe to Microsoft.Storage.BlobCreated of that container in Azure Event Grid, with a Logic App or a "
            "Function that runs `az ml job create -f pipeline.yml`, or calls a batch endpoint.",
        )
    if wanted.data_path_parameter:
        yield Note(
            f"data_path_parameter {wanted.data_path_parameter}",
            "no schedule of SDK v2 tells a run which blob has changed. With Event Grid, the event's `subject` does: "
            "give it as an input.",
        )
