"""`aml sync`: a folder of this machine and one of a datastore."""

from __future__ import annotations

from pathlib import Path

import click

from azureml_wrapper.cli.options import FOLDER, json_option, open_workspace, workspace_options


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--datastore", "datastore_name", help="A blob datastore; default: the workspace's default datastore.")
@click.option("--target", default="", help="The folder in the datastore; default: its root.")
@click.option("--down", is_flag=True, help="Download: make FOLDER like the datastore's folder.")
@click.option("--delete", is_flag=True, help="Delete files at the destination that the source does not have.")
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
    """Upload or download what differs between two folders.

    One is FOLDER, the other a folder of a datastore. If interrupted, start it again: it continues where it stopped.
    """
    from dataclasses import asdict

    from azureml_wrapper.cli.work.output import show_json
    from azureml_wrapper.errors import MissingInput

    wrapper = open_workspace(config, locally)
    name = datastore_name or str(wrapper.ws.get_default_datastore().name)
    report = wrapper.sync_folder(folder, name, target=target, direction="down" if down else "up", delete=delete)
    place = f"{name}/{target}"
    if not (report.uploaded or report.downloaded or report.copied or report.skipped):
        raise MissingInput(f"No files in {place if down else folder}; nothing was transferred.")
    if as_json:
        show_json(asdict(report))
        return
    for left_out in report.ignored:
        click.echo(f"ignored: {left_out}", err=True)
    click.echo(f"{folder} {'<-' if down else '->'} {place}: {report}")
