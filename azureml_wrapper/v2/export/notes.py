"""What you need to change by hand because SDK v2 does not have it, and what was assumed because no config says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from azureml_wrapper.pipeline_files.variables import DEFAULT_SKU
from azureml_wrapper.pipelines.definition import OwnEnvironment, Step
from azureml_wrapper.publishing.schedule import OnBlobChange, Recurring
from azureml_wrapper.v2.export.context import DEFAULT_IMAGE, DEFAULT_PYTHON, EVENT_GRID, POLL, ExportContext

_SHELL = re.compile(r'["`$\\]')
# The default of ParallelRunConfig (azureml/pipeline/core/_parallel_run_config_base.py).
_ROWS = "parallel_run_step.txt"


@dataclass(frozen=True)
class Note:
    """`what` it is about, and the `text`: why, and what to do."""

    what: str
    text: str


def by_hand(context: ExportContext) -> Iterator[Note]:
    """What does not do in SDK v2 what it did in SDK v1 unless you change it."""
    for step in context.definition.steps:
        yield from _tables(step, context)
    for step in context.definition.steps:
        yield from _unshimmed(step, context)
    for step in context.definition.steps:
        if step.retries:
            yield Note(
                f"step {step.name}: retries: {step.retries}",
                "SDK v2 retries only the mini-batches of parallel jobs. Submit the job again, or handle the "
                "failure in the script.",
            )
        yield from _gathered(step, context)
    yield from _values(context)
    yield from _cluster(context)
    yield from _blob_schedule(context)
    if context.scope.is_local:
        yield Note(
            "config.json",
            "it names the local Azure ML. Put your workspace in Azure there, or pass -w, -g and --subscription to "
            "`az ml`.",
        )


def taken(context: ExportContext) -> Iterator[Note]:
    """What the config does not say and was assumed; and how to choose something else."""
    yield from _environments(context)
    yield from _computes(context)
    yield from _inputs(context)
    yield from _files(context)
    if any(isinstance(value, bool) for value in context.parameters.values()):
        yield Note(
            "parameters that are true or false", "they become strings: SDK v2 would write True, and JSON has true."
        )
    yield from _surroundings(context)


def _tables(step: Step, context: ExportContext) -> Iterator[Note]:
    for argument, name in step.datasets.items():
        if name not in context.choices.file_datasets:
            yield Note(
                f"step {step.name}: {argument}, dataset {name}",
                f"`run.input_datasets['{step.dataset_inputs()[name]}']` does not exist in SDK v2: read the table "
                f"with `mltable.load(<value of {argument}>).to_pandas_dataframe()`, and add mltable and "
                "azureml-dataprep to the environment. A dataset of SDK v1 can be used as `mltable`.",
            )


def _unshimmed(step: Step, context: ExportContext) -> Iterator[Note]:
    names = [name for name in step.datasets.values() if name in context.choices.file_datasets]
    if names and not context.choices.shim:
        yield Note(
            f"step {step.name}: datasets {', '.join(dict.fromkeys(names))}",
            "without the variables of `--shim`, `run.input_datasets` is empty; use the argument, which is a path.",
        )


def _gathered(step: Step, context: ExportContext) -> Iterator[Note]:
    for argument, producer in (step.reads or {}).items():
        other = context.definition.producers[producer]
        if other.gathers:
            yield Note(
                f"step {step.name}: {argument}",
                f"it is the file in which `{context.nodes[producer]}` gathers its rows; with SDK v1 it was the "
                f"folder of that file, {other.parallel.append_row_file_name or _ROWS}.",
            )


def _values(context: ExportContext) -> Iterator[Note]:
    for name, value in context.parameters.items():
        if isinstance(value, str) and _SHELL.search(value):
            yield Note(
                f"parameter {name}",
                'its value contains one of " ` $ \\, which a shell interprets: SDK v2 puts values into a command as '
                "they are.",
            )


def _cluster(context: ExportContext) -> Iterator[Note]:
    variables = context.definition.variables
    if variables and variables.cluster().sku is None and "vm_size" not in context.choices.cluster:
        yield Note(
            "compute.yml: size",
            f"AML_COMPUTE_CLUSTER_SKU is not set, and {DEFAULT_SKU}, the default of these files, is a size that "
            "Azure has retired. Set the variable, or pass --vm-size.",
        )


def _blob_schedule(context: ExportContext) -> Iterator[Note]:
    """What to do instead of a schedule that watches blobs."""
    wanted, choice = context.choices.schedule, context.choices.blob_change
    if not isinstance(wanted, OnBlobChange):
        return
    place = "/".join(part for part in (wanted.datastore_name, wanted.path_on_datastore) if part)
    if choice == POLL:
        yield Note(
            f"schedule.yml: instead of On_blob_change of {place}",
            f"it starts a run every {wanted.polling_interval} minutes, whether or not a blob has changed: each costs "
            "the start of its first step. Let that step look for what is new, and exit if it finds nothing.",
        )
    if choice == EVENT_GRID:
        yield Note(
            f"no schedule.yml: On_blob_change of {place}",
            "subscribe to Microsoft.Storage.BlobCreated of that container in Azure Event Grid, with a Logic App or a "
            "Function that runs `az ml job create -f pipeline.yml`, or calls a batch endpoint.",
        )
    if wanted.data_path_parameter:
        yield Note(
            f"data_path_parameter {wanted.data_path_parameter}",
            "no schedule of SDK v2 passes the changed blob to a run. With Event Grid, the event's `subject` names "
            "it: pass it as an input.",
        )


def _environments(context: ExportContext) -> Iterator[Note]:
    choices, registered = context.choices, context.definition.registered_environments
    if not registered:
        yield from _own_environments(context)
        return
    if choices.packages is None:
        yield Note(
            "environment.yml: packages",
            "the config only names environments; these are the packages that the scripts import. Check them, or pass "
            "--package, --requirements, --conda-file, --image. A registered environment needs no file: pipeline.yml "
            "names its newest version.",
        )
    elif len(registered) > 1:
        yield Note("environment-….yml", "all environments have the packages that were given.")
    if choices.packages is None or not (choices.packages.python_version or choices.packages.conda_file):
        yield Note("environment.yml: Python", f"{DEFAULT_PYTHON}. Pass --python-version for another one.")
    if choices.packages is None or choices.packages.docker_image is None:
        yield Note("environment.yml: image", f"{DEFAULT_IMAGE}, SDK v1's default. Pass --image for another one.")


def _own_environments(context: ExportContext) -> Iterator[Note]:
    found = map(context.definition.environment_of, context.definition.steps)
    packages = [each.packages for each in found if isinstance(each, OwnEnvironment)]
    if any(each.requirements or not each.docker_image for each in packages) and context.choices.packages is None:
        yield Note("environments: Python", f"{DEFAULT_PYTHON}. Pass --python-version for another one.")
    if any(each.docker_image is None for each in packages):
        yield Note("environments without base_image", f"{DEFAULT_IMAGE}, SDK v1's default.")


def _computes(context: ExportContext) -> Iterator[Note]:
    if context.definition.variables is not None:
        return
    if not context.choices.cluster:
        yield Note(
            "compute.yml: size and number of nodes",
            "the config only names clusters; these are the defaults of `register_compute`. Pass --vm-size, "
            "--min-nodes, --max-nodes. An existing cluster needs no file.",
        )
    elif len(context.definition.computes) > 1:
        yield Note("compute-….yml", "all clusters have the size and number of nodes that were given.")


def _inputs(context: ExportContext) -> Iterator[Note]:
    tables = sorted(set(context.definition.datasets) - context.choices.file_datasets)
    if tables:
        yield Note(
            f"datasets {', '.join(tables)}",
            "assumed to be tables, which `register_csv` registers: `mltable`. Pass --file-dataset NAME for one of "
            "files.",
        )
    if context.waits_for:
        yield Note(
            "steps one after the other",
            "SDK v2 orders jobs by their data only. A step that reads nothing from the one before it has an input "
            "`after_…` that no script gets; remove it if the two may run at the same time.",
        )
    for step in context.definition.steps:
        if step.is_parallel and step.parallel.append_row_file_name:
            yield Note(
                f"step {step.name}: append_row_file_name",
                "it is left out: with SDK v2, the output itself is the file.",
            )


def _files(context: ExportContext) -> Iterator[Note]:
    """Files and folders of datastores."""
    paths = [(step, argument, slot) for step in context.definition.steps for argument, slot in step.paths.items()]
    for step, argument, slot in paths:
        yield Note(f"step {step.name}: {argument}", f"{slot.path or '/'} is taken to be a file if it has a suffix.")
    if any(slot.mode == "mount" for _, _, slot in paths):
        yield Note(
            "files and folders of a datastore", "mounted so that scripts can only read them; SDK v1 lets them write."
        )
    stores = sorted({slot.datastore for _, _, slot in paths if slot.datastore})
    if stores:
        yield Note(
            f"datastores {', '.join(stores)}",
            "those of the workspace, which SDK v1 and v2 share; their keys are not written.",
        )


def _surroundings(context: ExportContext) -> Iterator[Note]:
    wanted, definition = context.choices.schedule, context.definition
    if isinstance(wanted, Recurring) and not (context.choices.has_start or wanted.recurrence.is_pinned):
        yield Note(
            "schedule.yml: start",
            "SDK v2 starts a run at once, then after each interval; `register` waits for the first interval. Pass "
            "--start-time for another start.",
        )
    if not definition.warm or any(step.warm is not None for step in definition.steps):
        yield Note("warm", "a setting of the local Azure ML, which is left out.")
    holding = [step.name for step in definition.steps if context.folder.is_relative_to(step.directory)]
    if holding:
        yield Note(
            f"code of {', '.join(holding)}",
            "its folder contains this export, too, so that each export changes it. List this folder in .amlignore.",
        )
