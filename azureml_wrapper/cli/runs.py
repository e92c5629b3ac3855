"""`aml run`, `runs`, `show`, `cancel`, `resubmit`: runs, from the config of a pipeline or by their ids.

The last two take job folders as well.
"""

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
    refuse_misspelt_options,
    set_option,
    workspace_options,
    ws_config_option,
)

# azureml/_restclient/constants.py, RunStatus.
STATUSES = (
    *("NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Running", "Finalizing", "CancelRequested"),
    *("Completed", "Failed", "Canceled", "NotResponding", "Pausing", "Paused", "Unapproved"),
)


@click.command()
@click.argument("config", type=FILE)
@experiment_option("The experiment of the run.", required=True)
@ws_config_option
@set_option
@local_option
@no_wait_option
@click.option(
    "--target",
    type=click.Choice(["v1", "v2"]),
    default="v1",
    help="Which SDK submits the run; v2 requires: pip install 'azureml_wrapper[v2]'.",
)
@click.option("--dry-run", is_flag=True, help="Build and check the pipeline, but run nothing.")
def run(config: Path, experiment: str, **how: Any) -> None:
    """Run the pipeline of CONFIG, and show its steps.

    CONFIG is a .json or .yml file; it can also be a pipeline configuration file (docs/pipeline-files.md).
    """
    from azureml_wrapper.cli.work import runs as work

    work.run(config, experiment, **how)


@click.command()
@experiment_option("List the runs of one experiment; default: of all.")
@click.option(
    "--status",
    type=click.Choice(STATUSES, case_sensitive=False),
    metavar="STATUS",
    help="List the runs with one status: Completed, Failed, Canceled, Running, …",
)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=20, help="Maximum number of runs to list, newest first."
)
@workspace_options
@json_option
def runs(*, config: Path | None, locally: bool, **which: Any) -> None:
    """List the runs of a workspace.

    `aml show` shows the steps of a pipeline's run.
    """
    from azureml_wrapper.cli.work import runs as work

    work.runs(open_workspace(config, locally), **which)


@click.command()
@click.argument("run_id", metavar="RUN")
@workspace_options
@json_option
def show(run_id: str, *, config: Path | None, locally: bool, as_json: bool) -> None:
    """Show a run by its id: its steps, values, and why it failed."""
    from azureml_wrapper.cli.work import runs as work

    work.show(open_workspace(config, locally), run_id, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="RUN [STEP]|FOLDER|PREFIX|PATTERN|all...")
@click.option("--timeout", type=click.FloatRange(1), default=600, help="Seconds to wait for it to stop.")
@workspace_options
@json_option
def cancel(words: tuple[str, ...], **how: Any) -> None:
    """Cancel a run, one step of it, or the jobs of folders.

    RUN is the id of the run, STEP the name or id of a step. The command waits until they have stopped.
    """
    from azureml_wrapper.cli.work import runs as work

    work.cancel(words, **how)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="RUN|FOLDER... [KEY VALUE]...")
@click.option("--from-failed", is_flag=True, help="For pipelines: reuse steps that completed, if they allow it.")
@click.option("--new-code", is_flag=True, help="For job folders: upload the scripts as they are now.")
@click.option("--force", is_flag=True, help="For job folders: abort the job first if it has not ended.")
@set_option
@no_wait_option
@workspace_options
@json_option
def resubmit(words: tuple[str, ...], **how: Any) -> None:
    """Submit a pipeline's run again, or the jobs of folders.

    RUN is the id of the run; FOLDER can also be a PREFIX, a PATTERN, or all. --set replaces values of the run; for
    jobs, KEY VALUE pairs do, too.
    """
    from azureml_wrapper.cli.work import runs as work

    refuse_misspelt_options(words)
    work.resubmit(words, **how)
