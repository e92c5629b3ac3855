"""A pipeline configuration file as the content of an export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.assets.names import check_compute_name
from azureml_wrapper.errors import BadArgument, BadPipeline
from azureml_wrapper.pipeline_files.builder import datastore_names
from azureml_wrapper.pipeline_files.entries import ParallelRunEntry
from azureml_wrapper.pipeline_files.steps_file import FileStep
from azureml_wrapper.pipeline_files.variables import DEFAULT_SKU, ClusterVariables, Variables
from azureml_wrapper.v2.export import documents, secrets
from azureml_wrapper.v2.export.choices import Choices
from azureml_wrapper.v2.export.content import CONFIG, Content
from azureml_wrapper.v2.export.notes import Note, notes_of_schedule, notes_of_workspace
from azureml_wrapper.v2.export.scripts import Script, inspect
from azureml_wrapper.v2.export.steps_nodes import Link, Nodes, links
from azureml_wrapper.v2.export.texts import to_json, to_yaml

if TYPE_CHECKING:
    from azureml_wrapper.pipeline_files.steps_pipeline import StepsPipeline


def content_of(pipeline: StepsPipeline, folder: Path, choices: Choices) -> Content:
    """The content for a folder where it will lie; `BadPipeline` for what must not or cannot be written.

    The cluster is that of the variables AML_COMPUTE_CLUSTER_…: `MissingKey` without its name.
    """
    steps = pipeline.file.steps
    _check(steps, choices)
    cluster = Variables(pipeline.file.document.folder).cluster()
    wired = links(steps)
    return Content(
        texts=_texts(pipeline, wired, cluster, folder, choices),
        converted=tuple(_converted(wired, cluster)),
        by_hand=tuple(_by_hand(pipeline, wired, cluster, choices)),
        taken=tuple(_taken(pipeline, wired, choices)),
        scripts=tuple(_scripts(steps)),
    )


def _texts(
    pipeline: StepsPipeline, wired: Sequence[Link], cluster: ClusterVariables, folder: Path, choices: Choices
) -> dict[str, str]:
    name = check_compute_name(cluster.name)
    nodes = Nodes(
        folder=folder,
        links=wired,
        environments={step.name: _environment(step, choices) for step in pipeline.file.steps},
        datastores=datastore_names(pipeline.file),
    )
    size = choices.cluster_upon(_cluster(cluster, pipeline.file.steps))
    texts = {
        documents.PIPELINE: to_yaml(documents.job(name, nodes.build(), experiment=choices.experiment)),
        documents.COMPUTE: to_yaml(documents.compute(name, size)),
    }
    if (schedule := documents.schedule(choices)) is not None:
        texts[documents.SCHEDULE] = to_yaml(schedule)
    return {**texts, CONFIG: to_json(documents.workspace(pipeline))}


def _environment(step: FileStep, choices: Choices) -> dict[str, Any]:
    """Within the job, and without a name: SDK v1 does not register it, either."""
    version = choices.packages.python_version if choices.packages else None
    packages = Packages(requirements=step.requirements, docker_image=step.entry.base_image, python_version=version)
    return documents.content_of_environment(packages)


def _cluster(wanted: ClusterVariables, steps: Sequence[FileStep]) -> Cluster:
    """As it would be made where it is not there (pipeline_files/resources.py)."""
    most = max(step.entry.node_count for step in steps) if wanted.max_nodes is None else wanted.max_nodes
    return Cluster(vm_size=wanted.sku or DEFAULT_SKU, min_nodes=min(wanted.min_nodes or 0, most), max_nodes=most)


def _scripts(steps: Sequence[FileStep]) -> list[Script]:
    found = {script.file: script for step in steps for script in inspect(step.script_directory, step.script_name)}
    return [found[file] for file in sorted(found)]


def _check(steps: Sequence[FileStep], choices: Choices) -> None:
    if choices.packages and choices.packages != Packages(python_version=choices.packages.python_version):
        raise BadArgument(
            "A pipeline configuration file says itself what is in its environments: change requirements or "
            "base_image of its steps. Only the version of Python may be given."
        )
    if choices.file_datasets or not choices.shim:
        raise BadArgument(
            "A pipeline configuration file has no registered datasets: leave out --file-dataset and --no-shim."
        )
    for step in steps:
        _check_step(step)


def _check_step(step: FileStep) -> None:
    entry = step.entry
    for argument in step.arguments:
        if "${{" in argument:
            raise BadPipeline(
                f"Step {step.name!r}, arguments: {argument!r} has ${{{{ in it, which SDK v2 would put a value for. "
                "Change it."
            )
    for path, what in secrets.find(_named(step.arguments), "arguments"):
        raise BadPipeline(secrets.refusal(f"Step {step.name!r}, {path}", what))
    if isinstance(entry, ParallelRunEntry) and not entry.mini_batch_size.isdecimal():
        raise BadPipeline(
            f"Step {step.name!r}: mini_batch_size is {entry.mini_batch_size!r}, and SDK v2 takes sizes for tables "
            "only. Give a number of files."
        )


def _named(arguments: Sequence[str]) -> dict[str, Any]:
    """`--name value` and `--name=value` as a mapping, so that names are looked at, too."""
    found: dict[str, Any] = {}
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if argument.startswith("-"):
            found[name] = value or next(iter(arguments[index + 1 : index + 2]), "")
        else:
            found[str(index)] = argument
    return found


def _converted(wired: Sequence[Link], cluster: ClusterVariables) -> Iterator[tuple[str, str]]:
    for link in wired:
        step, entry = link.step, link.step.entry
        yield f"{entry.type} `{step.name}`, {step.script_name}", f"job `{link.node}` of {documents.PIPELINE}"
        if link.source:
            yield "its `--input_data`", f"the output `{link.source.step.entry.output}` of `{link.source.node}`"
        if link.before:
            yield (
                "its place in the order, without data",
                f"an input bound to `{link.before.node}`, which nothing reads",
            )
        if not entry.allow_reuse:
            yield "its `allow_reuse: false`", "`component.is_deterministic: false`"
    yield "requirements, base_image", "`environment` of each job"
    yield f"AML_COMPUTE_CLUSTER_NAME `{cluster.name}`", f"`settings.default_compute`; {documents.COMPUTE}"
    yield "the workspace of .azureml/config.json", CONFIG


def _by_hand(
    pipeline: StepsPipeline, wired: Sequence[Link], cluster: ClusterVariables, choices: Choices
) -> Iterator[Note]:
    for link in wired:
        if link.source and link.source.gathers:
            yield Note(
                f"step {link.step.name}: --input_data",
                f"it is the file that `{link.source.node}` gathers its rows in; with SDK v1 it was the folder of "
                f"that file, {_gathered(link.source)}.",
            )
    if cluster.sku is None and "vm_size" not in choices.cluster:
        yield Note(
            "compute.yml: size",
            f"AML_COMPUTE_CLUSTER_SKU is not set, and {DEFAULT_SKU}, the default of these files, is a size that "
            "Azure has retired. Set the variable, or give --vm-size.",
        )
    yield from notes_of_schedule(choices)
    yield from notes_of_workspace(pipeline)


def _gathered(link: Link) -> str:
    entry = link.step.entry
    named = entry.append_row_file_name if isinstance(entry, ParallelRunEntry) else None
    # ParallelRunConfig's default (azureml/pipeline/core/_parallel_run_config_base.py).
    return named or "parallel_run_step.txt"


def _taken(pipeline: StepsPipeline, wired: Sequence[Link], choices: Choices) -> Iterator[Note]:
    if any(link.before for link in wired):
        yield Note(
            "steps one after the other",
            "SDK v2 orders jobs by their data only. Where a step reads nothing of the one before it, it has an input "
            "`after_…` that no script gets; leave it out where the two may run at the same time.",
        )
    stores = sorted({name for name in datastore_names(pipeline.file).values() if name})
    if stores:
        yield Note(
            f"datastores {', '.join(stores)}",
            "those that are registered in the workspace, which SDK v1 and v2 share; their keys are not written.",
        )
    if any(link.step.entry.has_reference for link in wired):
        yield Note(
            "--input_data of a datastore", "mounted so that scripts can only read there; SDK v1 lets them write."
        )
    for link in wired:
        if isinstance(link.step.entry, ParallelRunEntry) and link.step.entry.append_row_file_name:
            yield Note(
                f"step {link.step.name}: append_row_file_name",
                "it is left out: with SDK v2, the output itself is the file.",
            )
    yield from _environments(pipeline.file.steps, choices)


def _environments(steps: Sequence[FileStep], choices: Choices) -> Iterator[Note]:
    if any(step.requirements or not step.entry.base_image for step in steps) and choices.packages is None:
        yield Note("environments: Python", f"{documents.DEFAULT_PYTHON}. Give --python-version for another one.")
    if any(step.entry.base_image is None for step in steps):
        yield Note("environments without base_image", f"{documents.DEFAULT_IMAGE} is SDK v1's default.")
