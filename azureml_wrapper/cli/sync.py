"""`aml sync`: a folder of this machine and one of a datastore."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from azureml_wrapper.cli.options import json_option, open_workspace, workspace_options


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--datastore", "datastore_name", help="A blob datastore; by default the workspace's default one.")
@click.option("--target", default="", help="The folder in the datastore; by default its root.")
@click.option("--down", is_flag=True, help="Make FOLDER like the datastore's folder; else the other way round.")
@click.option("--delete", is_flag=True, help="Delete at the destination what the source does not have.")
@workspace_options
@json_option
def sync(
    folder: Path,
    *,
    config: Path | None,
    locally: bool,
    datastore_name: str | None,
    target: str,
    down: bool,
    delete: bool,
    as_json: bool,
) -> None:
    """Make a folder of a datastore like FOLDER, or FOLDER like it: only what differs is transferred.

    Interrupted, it goes on where it was when it is started again.
    """
    from azureml_wrapper.cli.output import show_json
    from azureml_wrapper.errors import MissingInput

    wrapper = open_workspace(config, locally)
    name = datastore_name or str(wrapper.ws.get_default_datastore().name)
    report = wrapper.sync_folder(folder, name, target=target, direction="down" if down else "up", delete=delete)
    place = f"{name}/{target}"
    if not (report.uploaded or report.downloaded or report.copied or report.skipped):
        raise MissingInput(f"There is no file in {place if down else folder}; nothing was transferred.")
    if as_json:
        show_json(asdict(report))
        return
    for left_out in report.ignored:
        click.echo(f"ignored: {left_out}", err=True)
    click.echo(f"{folder} {'<-' if down else '->'} {place}: {report}")
