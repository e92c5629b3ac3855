"""`aml runs`, `aml show`, `aml cancel`, `aml resubmit`: runs that were submitted.

The last two take job folders as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import json_option, no_wait_option, open_workspace, set_option, workspace_options

# azureml/_restclient/constants.py, RunStatus.
STATUSES = (
    *("NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Running", "Finalizing", "CancelRequested"),
    *("Completed", "Failed", "Canceled", "NotResponding", "Pausing", "Paused", "Unapproved"),
)


@click.command()
@click.option("-e", "--experiment", help="Those of one experiment; by default of all.")
@click.option(
    "--status",
    type=click.Choice(STATUSES, case_sensitive=False),
    metavar="STATUS",
    help="Those with one status: Completed, Failed, Canceled, Running, …",
)
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
@click.argument("words", nargs=-1, required=True, metavar="RUN [STEP]|FOLDER|PREFIX|PATTERN|all...")
@click.option("--timeout", type=click.FloatRange(1), default=600, help="Seconds to wait for its end.")
@workspace_options
@json_option
def cancel(words: tuple[str, ...], *, config: Path | None, locally: bool, timeout: float, as_json: bool) -> None:
    """Cancel a run by its id, or one step of it, or the jobs of folders, and wait until they have stopped.

    STEP is the step's name or its id.
    """
    from azureml_wrapper.cli import folders, history

    if folders.are_meant(words):
        folders.abort(words, timeout=timeout, as_json=as_json)
        return
    found = history.find_run_or_step(open_workspace(config, locally).ws, words)
    history.cancel(found, timeout=timeout, as_json=as_json)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="RUN|FOLDER... [KEY VALUE]...")
@click.option("--from-failed", is_flag=True, help="Of a pipeline: reuse steps that had completed, if they allow it.")
@click.option("--new-code", is_flag=True, help="Of a job folder: send the scripts as they are now.")
@click.option("--force", is_flag=True, help="Of a job folder: abort the job first where it has not ended.")
@set_option
@no_wait_option
@workspace_options
@json_option
def resubmit(words: tuple[str, ...], *, config: Path | None, locally: bool, as_json: bool, **given: Any) -> None:
    """Submit a pipeline's run again, by its id, or the jobs of FOLDERs (also a PREFIX, a PATTERN, or all).

    Jobs take KEY VALUE pairs that replace those of before; pipelines take --set.
    """
    from azureml_wrapper.cli import folders, history

    if folders.are_meant(words):
        folders.resubmit(words, as_json=as_json, **folders.check_options(given))
        return
    found = history.find_run_or_job(open_workspace(config, locally).ws, words)
    history.resubmit(found, as_json=as_json, **given)
