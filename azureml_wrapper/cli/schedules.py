"""`aml schedules`: when published pipelines run by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import json_option, open_workspace, workspace_options


@click.group(invoke_without_command=True)
@click.option("--next", "count", type=click.IntRange(0, 1000), default=1, help="Show so many of the next instants.")
@click.option("--all", "everything", is_flag=True, help="Show disabled ones, too.")
@workspace_options
@json_option
@click.pass_context
def schedules(context: click.Context, /, *, config: Path | None, locally: bool, **what: Any) -> None:
    """List the active schedules of a workspace."""
    if context.invoked_subcommand is None:
        from azureml_wrapper.cli import registered

        registered.show_schedules(open_workspace(config, locally).ws, **what)


@schedules.command()
@click.argument("name")
@workspace_options
@json_option
def disable(name: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Disable the schedule NAME; its pipeline stays published."""
    from azureml_wrapper.cli import registered

    found = registered.disable_schedules(open_workspace(config, locally).ws, name)
    registered.show_states(found, f"The schedule {name} is disabled.", as_json=as_json)


@schedules.command()
@click.argument("name")
@workspace_options
@json_option
def enable(name: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Enable the schedule NAME again: that of the pipeline's newest version."""
    from azureml_wrapper.cli import registered

    found = registered.enable_schedule(open_workspace(config, locally).ws, name)
    registered.show_states([found], f"The schedule {name} is enabled.", as_json=as_json)
