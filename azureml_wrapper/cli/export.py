"""`aml export` and `aml lint`: from SDK v1 to the YAML of SDK v2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import FILE, FOLDER, experiment_option, ws_config_option
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, KINDS

_BLOB_CHANGES = ("refuse", "poll", "event-grid")
_VALIDATE = click.option(
    "--validate", is_flag=True, help="Load every file with azure-ai-ml, too: pip install 'azureml_wrapper[v2]'."
)


@click.command()
@click.argument("config", type=FILE)
@click.option("-o", "--output", "folder", required=True, type=FOLDER, help="The folder to write to.")
@ws_config_option
@experiment_option("The experiment of the job.")
@click.option("--package", "dependencies", multiple=True, help="A pip package of the environment; can be repeated.")
@click.option("--requirements", type=FILE, help="A requirements file of the environment.")
@click.option("--conda-file", type=FILE, help="A conda file of the environment.")
@click.option("--image", "docker_image", help="The docker image of the environment; default: SDK v1's default.")
@click.option("--python-version", help="The Python version of the environment; default: 3.10.")
@click.option("--vm-size", "compute_size", help="The size of the cluster's machines.")
@click.option("--min-nodes", "compute_min_nodes", type=int, help="The cluster's minimum number of nodes.")
@click.option("--max-nodes", "compute_max_nodes", type=int, help="The cluster's maximum number of nodes.")
@click.option(
    "--vm-priority",
    type=click.Choice(["dedicated", "lowpriority"]),
    help="Whether Azure may preempt the machines (lowpriority).",
)
@click.option("--idle-seconds", type=int, help="Seconds until an idle node is released.")
@click.option(
    "--file-dataset", "file_datasets", multiple=True, help="A dataset of files, not tabular; can be repeated."
)
@click.option("--shim/--no-shim", default=True, help="Fill run.input_datasets for datasets of files.")
@click.option("--name", help="The name of the schedule.")
@click.option("--schedule", help=f"The kind of schedule: {', '.join(KINDS)}.")
@click.option("--interval", type=int, help="The number of minutes, hours, days, weeks or months between runs.")
@click.option("--start-time", metavar="YYYY-MM-DDThh:mm:ss", help="When the schedule begins, in its time zone.")
@click.option("--time-zone", help="The time zone, by its IANA or Windows name; default: UTC.")
@click.option("--hours", type=int, multiple=True, help="Run at these hours, 0 to 23; can be repeated.")
@click.option("--minutes", type=int, multiple=True, help="Run at these minutes of the hour; can be repeated.")
@click.option("--week-days", multiple=True, help="Run on these days of the week: Monday, …; can be repeated.")
@click.option("--datastore", "datastore_name", help="The blob datastore that On_blob_change watched.")
@click.option("--path", "path_on_datastore", help="The folder of the datastore that it watched.")
@click.option(
    "--polling-interval", type=int, default=DEFAULT_POLLING_MINUTES, help="Minutes between two checks of it."
)
@click.option("--data-path-parameter", help="The parameter that got the path of the changed blob.")
@click.option(
    "--blob-change",
    type=click.Choice(_BLOB_CHANGES),
    default="refuse",
    help="SDK v2 has no On_blob_change: refuse, poll with a recurrence, or leave it to Event Grid.",
)
@_VALIDATE
@click.option("--force", is_flag=True, help="Overwrite files that no export has written.")
def export(config: Path, folder: Path, **how: Any) -> None:
    """Export the pipeline of CONFIG to YAML for `az ml` (SDK v2).

    A report says what to change by hand. CONFIG can also be a pipeline configuration file (docs/pipeline-files.md).
    """
    from azureml_wrapper.cli.work import export as work

    work.export(config, folder, **how)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@_VALIDATE
def lint(files: tuple[Path, ...], *, validate: bool) -> None:
    """Find mistakes in FILES for `az ml`.

    These are mistakes that azure-ai-ml does not report: missing inputs, cycles, sizes, names.
    """
    from azureml_wrapper.cli.work import export as work

    work.lint(files, validate=validate)
