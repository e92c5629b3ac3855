"""`aml publish`, `aml pipelines`, `aml trigger`: pipelines that are run by their name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import json_option, no_wait_option, open_workspace, set_option, workspace_options
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, KINDS


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("name")
@click.option("-d", "--description", default="", help="What it is for.")
@click.option("--schedule", help=f"When it runs by itself: {', '.join(KINDS)}.")
@click.option("--interval", type=int, help="Every how many minutes, hours, days, weeks or months.")
@click.option("--datastore", "datastore_name", help="The blob container that On_blob_change watches.")
@click.option("--path", "path_on_datastore", help="The folder of it.")
@click.option("--polling-interval", type=int, default=DEFAULT_POLLING_MINUTES, help="Minutes between two looks.")
@click.option("--start-time", metavar="YYYY-MM-DDThh:mm:ss", help="When the schedule begins.")
@click.option("--time-zone", help="Its time zone: an IANA or a Windows name; else UTC.")
@click.option("--hours", type=int, multiple=True, help="At these hours of that zone, 0 to 23; may be repeated.")
@click.option("--minutes", type=int, multiple=True, help="At these minutes of the hour; may be repeated.")
@click.option("--week-days", multiple=True, help="On these days of the week: Monday, …; may be repeated.")
@click.option("--batch-seconds", type=float, help="One run for all blobs that change within it; local Azure ML only.")
@click.option("--data-path-parameter", help="The parameter that is given the changed blob.")
@click.option("--start-now", is_flag=True, help="Let it fire at once, too.")
@click.option("--continue-on-step-failure", is_flag=True, help="Let steps run that do not need a failed one.")
@click.option("-e", "--experiment", "experiment_name", help="The experiment of its scheduled runs.")
@click.option("--local", "locally", is_flag=True, help="Use the local Azure ML, whatever the config says.")
@set_option
@json_option
def publish(config: Path, name: str, *, given: tuple[str, ...], locally: bool, as_json: bool, **when: Any) -> None:
    """Publish the pipeline of CONFIG as NAME: its next version, in place of an earlier schedule."""
    from azureml_wrapper.cli import pipelines, registered

    asked = {name: value for name, value in when.items() if value != ()}
    made = pipelines.load(config, locally).register(name, parameters=pipelines.parse_values(given), **asked)
    registered.show_one(made, as_json=as_json)


@click.command("pipelines")
@click.option("--all", "everything", is_flag=True, help="Show disabled ones, too.")
@workspace_options
@json_option
def published(config: Path | None, *, locally: bool, everything: bool, as_json: bool) -> None:
    """List the published pipelines of a workspace."""
    from azureml_wrapper.cli import registered

    registered.show_all(open_workspace(config, locally).ws, everything=everything, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("-e", "--experiment", help="The experiment of the run; by default named as the pipeline.")
@set_option
@no_wait_option
@workspace_options
@json_option
def trigger(
    name: str, *, config: Path | None, locally: bool, experiment: str | None, given: tuple[str, ...], **how: bool
) -> None:
    """Run the published pipeline NAME, in its newest version."""
    from azureml_wrapper.cli import history, pipelines
    from azureml_wrapper.publishing.publication import find_registered

    found = find_registered(open_workspace(config, locally).ws, name)
    history.follow(found.trigger(pipelines.parse_values(given), experiment=experiment), **how)
