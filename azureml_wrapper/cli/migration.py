"""`aml export` and `aml lint`: on the way to SDK v2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, KINDS

if TYPE_CHECKING:
    from azureml_wrapper.v2.export.export import Export

_BLOB_CHANGES = ("refuse", "poll", "event-grid")
_ENVIRONMENT = ("dependencies", "requirements", "conda_file", "docker_image", "python_version")
_COMPUTE = ("compute_size", "compute_min_nodes", "compute_max_nodes", "vm_priority", "idle_seconds")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("config", type=_FILE)
@click.option("-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "-c",
    "--config",
    "ws_config",
    type=_FILE,
    help="The workspace's config, for files that do not name one; else AML_CONFIG, or .azureml/config.json.",
)
@click.option("-e", "--experiment", "experiment_name", help="The experiment of the job.")
@click.option("--package", "dependencies", multiple=True, help="A pip package of the environment; may be repeated.")
@click.option("--requirements", type=_FILE, help="A file that lists packages of the environment.")
@click.option("--conda-file", type=_FILE, help="A conda file of the environment.")
@click.option("--image", "docker_image", help="The environment's docker image; else SDK v1's default.")
@click.option("--python-version", help="The environment's Python; else 3.10.")
@click.option("--vm-size", "compute_size", help="The size of the cluster's machines.")
@click.option("--min-nodes", "compute_min_nodes", type=int, help="How many of them stay.")
@click.option("--max-nodes", "compute_max_nodes", type=int, help="How many there are at most.")
@click.option(
    "--vm-priority", type=click.Choice(["dedicated", "lowpriority"]), help="Whether they may be taken away."
)
@click.option("--idle-seconds", type=int, help="When an idle one is given back.")
@click.option(
    "--file-dataset", "file_datasets", multiple=True, help="A dataset of files, not a table; may be repeated."
)
@click.option("--shim/--no-shim", default=True, help="Fill run.input_datasets for datasets of files.")
@click.option("--name", help="The schedule's name.")
@click.option("--schedule", help=f"When the job runs by itself: {', '.join(KINDS)}.")
@click.option("--interval", type=int, help="Every how many minutes, hours, days, weeks or months.")
@click.option("--start-time", metavar="YYYY-MM-DDThh:mm:ss", help="When the schedule begins, in its time zone.")
@click.option("--time-zone", help="An IANA or a Windows name; else UTC.")
@click.option("--hours", type=int, multiple=True, help="At these hours, 0 to 23; may be repeated.")
@click.option("--minutes", type=int, multiple=True, help="At these minutes of the hour; may be repeated.")
@click.option("--week-days", multiple=True, help="On these days of the week: Monday, …; may be repeated.")
@click.option("--datastore", "datastore_name", help="The blob container that On_blob_change watched.")
@click.option("--path", "path_on_datastore", help="The folder of it.")
@click.option("--polling-interval", type=int, default=DEFAULT_POLLING_MINUTES, help="Minutes between two looks.")
@click.option("--data-path-parameter", help="The parameter that was given the changed blob.")
@click.option(
    "--blob-change",
    type=click.Choice(_BLOB_CHANGES),
    default="refuse",
    help="SDK v2 has no On_blob_change: refuse, poll with a recurrence, or leave it to Event Grid.",
)
@click.option(
    "--validate", is_flag=True, help="Load every file with azure-ai-ml, too: pip install 'azureml_wrapper[v2]'."
)
@click.option("--force", is_flag=True, help="Overwrite files that no export has written.")
def export(config: Path, folder: Path, *, ws_config: Path | None, validate: bool, force: bool, **given: Any) -> None:
    """Write the pipeline of CONFIG as YAML of `az ml` (SDK v2), with a report of what needs a hand.

    CONFIG may be a pipeline configuration file, too: docs/pipeline-files.md.
    """
    from azureml_wrapper.cli import pipelines

    made = pipelines.load(config, False, ws_config).to_v2(folder, force=force, **_choices(given))
    _tell(made)
    _lint(made.files)
    if validate:
        _validate(made.files)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--validate", is_flag=True, help="Load every file with azure-ai-ml, too: pip install 'azureml_wrapper[v2]'."
)
def lint(files: tuple[Path, ...], *, validate: bool) -> None:
    """Find in FILES of `az ml` what azure-ai-ml lets pass: inputs that are not there, circles, sizes, names."""
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
    for name in ("experiment_name", "file_datasets", "shim", "name", "blob_change"):
        if name in present:
            choices[name] = present.pop(name)
    # What is left is the schedule's; the interval of looking has a default, and alone makes none.
    alone = present.keys() == {"polling_interval"} and present["polling_interval"] == DEFAULT_POLLING_MINUTES
    return {**choices, "schedule": None if alone else present}


def _tell(made: Export) -> None:
    changes = made.changes
    for word, names in (("Wrote", changes.written), ("Unchanged:", changes.unchanged), ("Removed", changes.removed)):
        if names:
            click.echo(f"{word} {', '.join(sorted(names))}")
    if made.by_hand:
        click.echo("Needs a hand:")
    for note in made.by_hand:
        click.echo(f"  {note.what}")
    click.echo(f"Why and how, and what to change in the scripts: {made.folder / 'REPORT.md'}")


def _lint(files: tuple[Path, ...]) -> None:
    from azureml_wrapper.errors import BadValue
    from azureml_wrapper.v2.lint import lint as find

    found = [str(error) for error in map(find, files) if error is not None]
    if found:
        raise BadValue("\n".join(found))


def _validate(files: tuple[Path, ...]) -> None:
    from azureml_wrapper.v2 import sdk

    for file in files:
        sdk.load(file)
        click.echo(f"{file.name}: azure-ai-ml loads it.")
