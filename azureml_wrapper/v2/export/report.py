"""REPORT.md: what was converted, what you need to change by hand, and what replaces SDK v1 in the scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from azureml_wrapper.v2.export.content import Content, conversions
from azureml_wrapper.v2.export.context import ExportContext
from azureml_wrapper.v2.export.documents import COMPUTE, ENVIRONMENT, PIPELINE, SCHEDULE
from azureml_wrapper.v2.export.nodes import relative
from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.scripts import Script

REPORT = "REPORT.md"
_COMMANDS = {
    ENVIRONMENT: "az ml environment create",
    COMPUTE: "az ml compute create",
    PIPELINE: "az ml job create",
    SCHEDULE: "az ml schedule create",
}


def to_markdown(content: Content, context: ExportContext) -> str:
    """The content of the report; it depends on the config and the scripts only."""
    nothing = ["Nothing in the config. See the scripts below."]
    sections = [
        ["# From SDK v1 to SDK v2", "", "Written by `aml export`, like the files beside it."],
        ["## What was converted", "", *_converted(conversions(context))],
        ["## What you need to change by hand", "", *(_listed(content.by_hand) or nothing)],
        ["## What was assumed", "", *(_listed(content.taken) or ["Nothing."])],
        ["## Scripts", "", *_scripts(content.scripts, context.folder)],
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


def _scripts(scripts: Sequence[Script], folder: Path) -> Iterator[str]:
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
