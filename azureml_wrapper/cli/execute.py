"""`aml execute`: a script of a project in the cloud, with its data, its compute and its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import experiment_option, workspace_options


@click.command()
@click.option("--script-path", required=True, help="The script, relative to the folder `pipeline`.")
@experiment_option("The experiment of the run; default: the name of the script.", former=["--experiment-name"])
@click.option("--config-path", default="", help="A file in `pipeline`; the script gets its path as first argument.")
@click.option("--required-datasets-path", default="", help="The data that the script needs, in `data_blobs`.")
@click.option(
    "--should-upload-datasets",
    type=click.BOOL,
    default=True,
    help="Whether to upload new files of data_blobs/raw and data_blobs/working first; default: True.",
)
@click.option("--compute", help="The name of a compute target, or a .yaml file; default: compute.yaml.")
@click.option("--conda-file", type=click.Path(path_type=Path), help="The dependencies; default: pptdaml.yaml.")
@click.option("--datastore", "datastore_name", help="The datastore for the data; default: the workspace's default.")
@click.option(
    "--mode", type=click.Choice(["download", "mount"]), default="download", help="How the job gets its data."
)
@click.option("--delete", is_flag=True, help="Delete from the datastore what data_blobs no longer has.")
@click.option("--project", type=click.Path(path_type=Path), default=".", help="The folder of the project.")
@click.option("--outputs", type=click.Path(path_type=Path), help="Download the outputs of the run into this folder.")
@workspace_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def execute(*, config: Path | None, locally: bool, project: Path, outputs: Path | None, **given: Any) -> None:
    """Run a script of this project with its data in the cloud.

    What the script prints is shown; Ctrl-C cancels it. It gets ARGUMENTS after its config; put `--` before them.
    """
    from azureml_wrapper.cli.work import execute as work

    work.execute(config, locally, project, outputs=outputs, **given)
