"""`aml publish`, `pipelines`, `trigger`, `schedules`: pipelines that run by their name, or at their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import (
    FILE,
    experiment_option,
    json_option,
    local_option,
    no_wait_option,
    open_workspace,
    set_option,
    workspace_options,
)
from azureml_wrapper.publishing.schedule import DEFAULT_POLLING_MINUTES, KINDS

_ALL = click.option("--all", "everything", is_flag=True, help="Include disabled ones.")


@click.command()
@click.argument("config", type=FILE)
@click.argument("name")
@click.option("-d", "--description", default="", help="The description of the pipeline.")
@click.option("--schedule", help=f"The kind of schedule: {', '.join(KINDS)}.")
@click.option("--interval", type=int, help="The number of minutes, hours, days, weeks or months between runs.")
@click.option("--datastore", "datastore_name", help="The blob datastore that On_blob_change watches.")
@click.option("--path", "path_on_datastore", help="The folder of the datastore to watch.")
@click.option(
    "--polling-interval", type=int, default=DEFAULT_POLLING_MINUTES, help="Minutes between two checks of it."
)
@click.option("--start-time", metavar="YYYY-MM-DDThh:mm:ss", help="When the schedule begins.")
@click.option("--time-zone", help="The time zone, by its IANA or Windows name; default: UTC.")
@click.option("--hours", type=int, multiple=True, help="Run at these hours, 0 to 23; can be repeated.")
@click.option("--minutes", type=int, multiple=True, help="Run at these minutes of the hour; can be repeated.")
@click.option("--week-days", multiple=True, help="Run on these days of the week: Monday, …; can be repeated.")
@click.option(
    "--batch-seconds",
    type=float,
    help="Start one run for all blobs that change within this time; local Azure ML only.",
)
@click.option("--data-path-parameter", help="The parameter that gets the path of the changed blob.")
@click.option("--start-now", is_flag=True, help="Also run once immediately.")
@click.option("--continue-on-step-failure", is_flag=True, help="Go on with steps that do not need a failed one.")
@experiment_option("The experiment of the scheduled runs; default: the name of the pipeline.")
@local_option
@set_option
@json_option
def publish(config: Path, name: str, **how: Any) -> None:
    """Publish the pipeline of CONFIG as NAME.

    It becomes the next version of NAME; its schedule replaces an earlier one.
    """
    from azureml_wrapper.cli.work import publishing as work

    work.publish(config, name, **how)


@click.command()
@_ALL
@workspace_options
@json_option
def pipelines(*, config: Path | None, locally: bool, everything: bool, as_json: bool) -> None:
    """List the published pipelines of a workspace."""
    from azureml_wrapper.cli.work import publishing as work

    work.pipelines(open_workspace(config, locally), everything=everything, as_json=as_json)


@click.command()
@click.argument("name")
@experiment_option("The experiment of the run; default: the name of the pipeline.")
@set_option
@no_wait_option
@workspace_options
@json_option
def trigger(name: str, *, config: Path | None, locally: bool, **how: Any) -> None:
    """Run the newest version of the published pipeline NAME."""
    from azureml_wrapper.cli.work import publishing as work

    work.trigger(open_workspace(config, locally).ws, name, **how)


@click.group(invoke_without_command=True)
@click.option("--next", "count", type=click.IntRange(0, 1000), default=1, help="Number of upcoming runs to show.")
@_ALL
@workspace_options
@json_option
@click.pass_context
def schedules(context: click.Context, /, *, config: Path | None, locally: bool, **what: Any) -> None:
    """List the active schedules of a workspace."""
    if context.invoked_subcommand is None:
        from azureml_wrapper.cli.work import publishing as work

        work.schedules(open_workspace(config, locally), **what)


@schedules.command()
@click.argument("name")
@workspace_options
@json_option
def disable(name: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Disable the schedule NAME; its pipeline stays published."""
    from azureml_wrapper.cli.work import publishing as work

    work.disable(open_workspace(config, locally).ws, name, as_json=as_json)


@schedules.command()
@click.argument("name")
@workspace_options
@json_option
def enable(name: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Enable the schedule NAME again.

    Of several, the one of the pipeline's newest version is enabled.
    """
    from azureml_wrapper.cli.work import publishing as work

    work.enable(open_workspace(config, locally).ws, name, as_json=as_json)
