"""`aml runs`, `aml show`, `aml cancel`, `aml resubmit`: runs that were submitted."""

from __future__ import annotations

from pathlib import Path

import click

from azureml_wrapper.cli.options import json_option, no_wait_option, open_workspace, set_option, workspace_options


@click.command()
@click.option("-e", "--experiment", help="Those of one experiment; by default of all.")
@click.option("--status", help="Those with one status: Completed, Failed, Canceled, Running, …")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="As many, the newest first.")
@workspace_options
@json_option
def runs(
    *, config: Path | None, locally: bool, experiment: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """List the runs of a workspace; the steps of pipelines are shown by `aml show`."""
    from azureml_wrapper.cli import history

    ws = open_workspace(config, locally).ws
    history.show_runs(ws, experiment=experiment, status=status, limit=limit, as_json=as_json)


@click.command()
@click.argument("run")
@workspace_options
@json_option
def show(run: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Show the run whose id is RUN: its steps, its values, and why it failed."""
    from azureml_wrapper.cli import history

    history.show_run(history.find_run(open_workspace(config, locally).ws, run), as_json=as_json)


@click.command()
@click.argument("run")
@click.option("--timeout", type=click.FloatRange(1), default=600, help="Seconds to wait for its end.")
@workspace_options
@json_option
def cancel(run: str, *, config: Path | None, locally: bool, timeout: float, as_json: bool) -> None:
    """Cancel the run whose id is RUN, and wait until it has stopped."""
    from azureml_wrapper.cli import history

    found = history.find_run(open_workspace(config, locally).ws, run)
    history.cancel(found, timeout=timeout, as_json=as_json)


@click.command()
@click.argument("run")
@click.option("--from-failed", is_flag=True, help="Reuse the steps that had completed; else every step runs.")
@set_option
@no_wait_option
@workspace_options
@json_option
def resubmit(
    run: str, *, config: Path | None, locally: bool, from_failed: bool, given: tuple[str, ...], **how: bool
) -> None:
    """Submit the pipeline of the run whose id is RUN again, with its scripts, data and values."""
    from azureml_wrapper.cli import history, pipelines

    found = history.find_run(open_workspace(config, locally).ws, run)
    history.follow(found.resubmit(from_failed, pipelines.parse_values(given)), **how)
