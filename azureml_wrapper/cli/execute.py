"""`aml execute`: a project's script in the cloud, with its data, its compute and its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import workspace_options


@click.command()
@click.option("--script-path", required=True, help="The script, below the folder `pipeline`.")
@click.option("--experiment-name", help="The experiment that the run belongs to; by default the script's name.")
@click.option("--config-path", default="", help="A file below `pipeline`; its path is the script's first argument.")
@click.option("--required-datasets-path", default="", help="What the script needs, below the folder `data_blobs`.")
@click.option(
    "--should-upload-datasets",
    type=click.BOOL,
    default=True,
    help="Whether what is new in data_blobs/raw and data_blobs/working is uploaded first; by default True.",
)
@click.option("--compute", help="A .yaml file that describes it, or the name of one; by default compute.yaml.")
@click.option("--conda-file", type=click.Path(path_type=Path), help="The dependencies; by default pptdaml.yaml.")
@click.option("--datastore", "datastore_name", help="Where the data are; by default the workspace's default one.")
@click.option("--mode", type=click.Choice(["download", "mount"]), default="download", help="How data reach the job.")
@click.option("--delete", is_flag=True, help="Delete from the datastore what is not in data_blobs any more.")
@click.option(
    "--project", type=click.Path(path_type=Path), default=".", help="The project's folder; by default this."
)
@click.option("--outputs", type=click.Path(path_type=Path), help="Download the run's outputs into this folder.")
@workspace_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def execute(*, config: Path | None, locally: bool, project: Path, outputs: Path | None, **given: Any) -> None:
    """Run a script of this project in the cloud, and show what it prints. Ctrl-C cancels it.

    ARGUMENTS reach the script after its config; put `--` before them.
    """
    from azureml_wrapper.cli import executing

    executing.execute(config, locally, project, outputs=outputs, **given)
