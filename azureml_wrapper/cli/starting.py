"""`aml init` and `aml schema`: an example of a config to begin with, and what editors know of configs."""

from __future__ import annotations

from pathlib import Path

import click

# Kind -> what it is; the folder of its files has the same name (config/templates).
STARTS = {
    "pipeline": "a pipeline, with scripts for its steps",
    "steps": "a pipeline configuration file, with scripts and an example of a .env",
    "job": "one script as one job",
}


@click.command()
@click.argument("kind", type=click.Choice(list(STARTS)), default="pipeline")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def init(kind: str, folder: Path, *, force: bool) -> None:
    """Write an example of a config, with comments, and the scripts that it names, into FOLDER.

    KIND is pipeline, steps (a pipeline configuration file) or job.
    """
    from azureml_wrapper.cli import templates

    for file in templates.write(kind, folder, force=force):
        click.echo(f"Wrote {file}")


@click.command()
@click.argument("kind", required=False)
@click.option("--path", "show_path", is_flag=True, help="Print where the file is, for the settings of an editor.")
def schema(kind: str | None, *, show_path: bool) -> None:
    """Print the JSON schema of a KIND of config; without one, the kinds that there are."""
    from azureml_wrapper.cli import templates

    if kind is None:
        click.echo("\n".join(templates.schema_kinds()))
        return
    file = templates.schema_file(kind)
    click.echo(str(file) if show_path else file.read_text(encoding="utf-8"), nl=show_path)
