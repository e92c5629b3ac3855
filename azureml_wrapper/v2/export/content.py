"""What an export consists of, its REPORT.md included, before anything is written; and what cannot be exported.

Exported files are committed, so they must not contain keys and passwords.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.config.parameters import PLACEHOLDER
from azureml_wrapper.errors import BadArgument, BadPipeline
from azureml_wrapper.pipelines.definition import RegisteredEnvironment, Step
from azureml_wrapper.snapshots.script_folder import check_script
from azureml_wrapper.snapshots.secret_files import find_secrets
from azureml_wrapper.v2.export import documents
from azureml_wrapper.v2.export.context import ExportContext
from azureml_wrapper.v2.export.documents import COMPUTE, ENVIRONMENT, PIPELINE, SCHEDULE
from azureml_wrapper.v2.export.nodes import relative
from azureml_wrapper.v2.export.notes import Note, by_hand, taken
from azureml_wrapper.v2.export.scripts import Script, inspect, packages
from azureml_wrapper.v2.export.syntax import to_json, to_yaml

REPORT = "REPORT.md"
_COMMANDS = {
    ENVIRONMENT: "az ml environment create",
    COMPUTE: "az ml compute create",
    PIPELINE: "az ml job create",
    SCHEDULE: "az ml schedule create",
}


@dataclass(frozen=True, kw_only=True)
class Content:
    """`texts` is the content of the files, by name. `by_hand` and `taken` are explained in notes.py."""

    texts: Mapping[str, str]
    by_hand: tuple[Note, ...]
    taken: tuple[Note, ...]
    scripts: tuple[Script, ...]


def content_of(context: ExportContext) -> Content:
    """The content of an export; raises `BadPipeline` or `BadArgument` for what must not or cannot be written."""
    _check_choices(context)
    for step in context.definition.steps:
        _check_step(step, context)
    for path, what in find_secrets(dict(context.parameters), "pipeline_parameters"):
        raise BadPipeline(refusal_of_secret(path, what))
    return Content(
        texts=_texts(context),
        by_hand=tuple(by_hand(context)),
        taken=tuple(taken(context)),
        scripts=tuple(_scripts(context)),
    )


def _texts(context: ExportContext) -> dict[str, str]:
    definition, choices = context.definition, context.choices
    texts = {documents.PIPELINE: to_yaml(documents.pipeline_job(context))}
    for name in definition.registered_environments:
        wanted = choices.packages or Packages(dependencies=tuple(_imported(context, name)))
        file = documents.file_of(documents.ENVIRONMENT, name, definition.environment)
        texts[file] = to_yaml(documents.environment(name, wanted))
    for name, cluster in context.clusters.items():
        file = documents.file_of(documents.COMPUTE, name, context.compute_name)
        texts[file] = to_yaml(documents.compute(name, cluster))
    if (schedule := documents.schedule(choices)) is not None:
        texts[documents.SCHEDULE] = to_yaml(schedule)
    return {**texts, documents.CONFIG: to_json(documents.workspace(context.scope))}


def _imported(context: ExportContext, environment: str) -> list[str]:
    """What the scripts that run in a registered environment import."""
    definition, wanted = context.definition, RegisteredEnvironment(environment)
    steps = [step for step in definition.steps if definition.environment_of(step) == wanted]
    found = (packages(inspect(step.directory, step.script), step.directory) for step in steps)
    return sorted({name for each in found for name in each}, key=str.lower)


def _scripts(context: ExportContext) -> list[Script]:
    found: dict[Path, Script] = {}
    for step in context.definition.steps:
        check_script(step.directory, step.script)
        found |= {script.file: script for script in inspect(step.directory, step.script)}
    return [found[file] for file in sorted(found)]


def _check_choices(context: ExportContext) -> None:
    choices, definition = context.choices, context.definition
    if definition.variables is None:
        if unknown := choices.file_datasets - set(definition.datasets):
            raise BadPipeline(f"No step has the dataset {min(unknown)!r}, which file_datasets names.")
        return
    if choices.packages and choices.packages != Packages(python_version=choices.packages.python_version):
        raise BadArgument(
            "The environments of a pipeline configuration file are defined in the file: change requirements or "
            "base_image of its steps. You can only choose the Python version."
        )
    if choices.file_datasets or not choices.shim:
        raise BadArgument(
            "A pipeline configuration file has no registered datasets: leave out --file-dataset and --no-shim."
        )


def _check_step(step: Step, context: ExportContext) -> None:
    given = {"step_config": step.config, "arguments": {**step.templates, **_named(step.words)}}
    for field, value in given.items():
        place = f"Step {step.name!r}, {field}"
        words = step.words if field == "arguments" else []
        text = next((word for word in words if "${{" in word), None) or _binding(value)
        if text is not None:
            raise BadPipeline(f"{place}: {text!r} contains ${{{{, which SDK v2 replaces by a value. Change it.")
        for path, what in find_secrets(value, ""):
            raise BadPipeline(refusal_of_secret(f"{place}.{path}", what))
    if step.is_parallel:
        _check_parallel(step, context)


def _check_parallel(step: Step, context: ExportContext) -> None:
    inputs = [*step.datasets.values(), *step.paths, *(step.reads or {})]
    if len(inputs) != 1:
        raise BadPipeline(
            f"Step {step.name!r} divides {len(inputs)} inputs into mini-batches; a parallel job of SDK v2 divides "
            "one. Leave one of them."
        )
    is_table = bool(step.datasets) and inputs[0] not in context.choices.file_datasets
    size = step.parallel.mini_batch_size
    if not is_table and not size.isdecimal():
        raise BadPipeline(
            f"Step {step.name!r}: mini_batch_size is {size!r}, but SDK v2 takes sizes for tables only. Give a number "
            "of files."
        )


def _named(words: list[str]) -> dict[str, Any]:
    """`--name value` and `--name=value` as a mapping, so that names are looked at, too."""
    found: dict[str, Any] = {}
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if word.startswith("-"):
            found[name] = value or next(iter(words[index + 1 : index + 2]), "")
        else:
            found[str(index)] = word
    return found


def _binding(value: Any) -> str | None:
    """A string with `${{` that is not a parameter's placeholder."""
    if isinstance(value, str):
        return value if "${{" in PLACEHOLDER.sub("", value) else None
    items: list[Any] = []
    if isinstance(value, dict):
        items = [*value, *value.values()]
    elif isinstance(value, (list, tuple)):
        items = list(value)
    return next((found for found in map(_binding, items) if found is not None), None)


def conversions(context: ExportContext) -> Iterator[tuple[str, str]]:
    """What of SDK v1 became what in SDK v2."""
    definition, nodes = context.definition, context.nodes
    for step in definition.steps:
        yield f"{step.kind} `{step.name}`, {step.script}", f"job `{nodes[step.name]}` of {documents.PIPELINE}"
        for argument, producer in (step.reads or {}).items():
            output = definition.producers[producer].output
            yield f"its `{argument}`", f"the output `{output.name if output else ''}` of `{nodes[producer]}`"
        if before := context.waits_for.get(step.name):
            yield (
                "its place in the order, without data",
                f"an input bound to `{nodes[before.name]}`, which nothing reads",
            )
        if not step.allow_reuse:
            yield "its `allow_reuse: false`", "`component.is_deterministic: false`"
    for name in (*definition.parameters, *definition.path_parameters):
        yield f"parameter `{name}`", f"input `{name}`: `az ml job create … --set inputs.{name}=…`"
    yield from _settings(context)


def _settings(context: ExportContext) -> Iterator[tuple[str, str]]:
    definition = context.definition
    compute = f"`settings.default_compute`; {documents.COMPUTE}"
    if definition.variables is not None:
        yield "requirements, base_image", "`environment` of each job"
        yield f"AML_COMPUTE_CLUSTER_NAME `{context.compute_name}`", compute
        yield "the workspace of .azureml/config.json", documents.CONFIG
        return
    yield f"env_name `{definition.environment}`", f"`environment` of each job; {documents.ENVIRONMENT}"
    yield f"compute_name `{definition.compute}`", compute
    yield "ws_name, resource_group, subscription_id", documents.CONFIG


def to_markdown(content: Content, context: ExportContext) -> str:
    """The content of the report; it depends on the config and the scripts only."""
    nothing = ["Nothing in the config. See the scripts below."]
    sections = [
        ["# From SDK v1 to SDK v2", "", "Written by `aml export`, like the files beside it."],
        ["## What was converted", "", *_converted(conversions(context))],
        ["## What you need to change by hand", "", *(_listed(content.by_hand) or nothing)],
        ["## What was assumed", "", *(_listed(content.taken) or ["Nothing."])],
        ["## Scripts", "", *_uses(content.scripts, context.folder)],
        ["## How to use it", "", "```bash", *_usage(content.texts), "```"],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _converted(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "| SDK v1 | SDK v2 |"
    yield "| --- | --- |"
    for before, after in rows:
        yield f"| {_cell(before)} | {_cell(after)} |"


def _listed(notes: Iterable[Note]) -> list[str]:
    return [f"- **{note.what}**: {note.text}" for note in notes]


def _uses(scripts: Sequence[Script], folder: Path) -> Iterator[str]:
    parts: dict[str, Script] = {relative(script.file, folder): script for script in scripts}
    with_uses: Mapping[str, Script] = {name: each for name, each in parts.items() if each.uses or each.problem}
    if not with_uses:
        yield "None uses `azureml.*`."
    for name, script in with_uses.items():
        yield f"### {name}\n"
        if script.problem:
            yield f"Check it yourself: {script.problem}.\n"
            continue
        yield "| line | uses | instead |\n| --- | --- | --- |"
        yield from (f"| {use.line} | `{_cell(use.what)}` | {_cell(use.instead)} |" for use in script.uses)
        yield ""


def _usage(files: Iterable[str]) -> Iterator[str]:
    names = list(files)
    for kind, command in _COMMANDS.items():
        stem = kind.removesuffix(".yml")
        for name in names:
            if name == kind or (name.startswith(f"{stem}-") and name.endswith(".yml")):
                yield f"{command} -f {name}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def refusal_of_secret(where: str, what: str) -> str:
    """The message, which says what the value looks like but not the value."""
    return (
        f"{where} looks like {what}. Exported files are meant to be committed, so nothing was written. Keep it in "
        "the workspace's Key Vault, and let the script read it (azure.keyvault.secrets.SecretClient)."
    )
