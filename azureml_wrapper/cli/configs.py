"""`aml init` and `aml schema`: an example config to start from, and the schemas of configs for editors."""

from __future__ import annotations

from pathlib import Path

import click

from azureml_wrapper.cli.options import FOLDER

# Kind -> what it is; the folder of its files has the same name (config/templates).
KINDS = {
    "pipeline": "a pipeline, with scripts for its steps",
    "steps": "a pipeline configuration file, with scripts and an example of a .env",
    "job": "one script as one job",
}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)), default="pipeline")
@click.argument("folder", type=FOLDER, default=".")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def init(kind: str, folder: Path, *, force: bool) -> None:
    """Write an example config and its scripts into FOLDER.

    The config has comments on its keys. KIND is pipeline, steps (a pipeline configuration file) or job.
    """
    from azureml_wrapper.cli.work import configs as work

    work.init(kind, folder, force=force)


@click.command()
@click.argument("kind", required=False)
@click.option("--path", "show_path", is_flag=True, help="Print the path of the file, for the settings of an editor.")
def schema(kind: str | None, *, show_path: bool) -> None:
    """Print the JSON schema of a KIND of config.

    Without KIND, list the kinds.
    """
    from azureml_wrapper.cli.work import configs as work

    work.schema(kind, show_path=show_path)
