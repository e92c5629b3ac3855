"""Export a pipeline to the YAML of SDK v2, and lint such files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.options import open_pipeline
from azureml_wrapper.errors import BadValue
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES
from azureml_wrapper.v2 import client
from azureml_wrapper.v2.export.content import REPORT
from azureml_wrapper.v2.lint import lint as find_mistakes

if TYPE_CHECKING:
    from azureml_wrapper.v2.export.exporting import Export

_ENVIRONMENT = ("dependencies", "requirements", "conda_file", "docker_image", "python_version")
_COMPUTE = ("compute_size", "compute_min_nodes", "compute_max_nodes", "vm_priority", "idle_seconds")
_DIRECT = ("file_datasets", "shim", "name", "blob_change")


def export(
    config: Path,
    folder: Path,
    *,
    ws_config: Path | None,
    experiment: str | None,
    validate: bool,
    force: bool,
    **given: Any,
) -> None:
    """Write the files and the report, and lint the files; with `validate`, load them with azure-ai-ml, too."""
    pipeline = open_pipeline(config, locally=False, ws_config=ws_config)
    choices = _choices(given)
    if experiment is not None:
        choices["experiment_name"] = experiment
    made = pipeline.to_v2(folder, force=force, **choices)
    _show_changes(made)
    _lint(made.files)
    if validate:
        _validate(made.files)


def lint(files: Sequence[Path], *, validate: bool) -> None:
    """Raise `BadValue` with all mistakes found; with `validate`, load the files with azure-ai-ml, too."""
    _lint(files)
    if validate:
        _validate(files)
    else:
        click.echo(f"{len(files)} file{'s' * (len(files) != 1)}: nothing found.")


def _choices(given: dict[str, Any]) -> dict[str, Any]:
    """The options as `to_v2` takes them."""
    present = {name: value for name, value in given.items() if value not in (None, ())}
    choices: dict[str, Any] = {
        "environment": {name: present.pop(name) for name in _ENVIRONMENT if name in present},
        "compute": {name: present.pop(name) for name in _COMPUTE if name in present},
    }
    choices.update({name: present.pop(name) for name in _DIRECT if name in present})
    # The rest belongs to the schedule; the polling interval has a default, which alone makes no schedule.
    alone = present.keys() == {"polling_interval"} and present["polling_interval"] == DEFAULT_POLLING_MINUTES
    return {**choices, "schedule": None if alone else present}


def _show_changes(made: Export) -> None:
    changes = made.changes
    for word, names in (("Wrote", changes.written), ("Unchanged:", changes.unchanged), ("Removed", changes.removed)):
        if names:
            click.echo(f"{word} {', '.join(sorted(names))}")
    if made.by_hand:
        click.echo("To change by hand:")
    for note in made.by_hand:
        click.echo(f"  {note.what}")
    click.echo(f"Why and how, and what to change in the scripts: {made.folder / REPORT}")


def _lint(files: Sequence[Path]) -> None:
    found = [str(error) for error in map(find_mistakes, files) if error is not None]
    if found:
        raise BadValue("\n".join(found))


def _validate(files: Sequence[Path]) -> None:
    for file in files:
        client.load(file)
        click.echo(f"{file.name}: azure-ai-ml loads it.")
