"""Run a script of a project, and stay with its run until the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from azureml_wrapper.cli.options import open_workspace
from azureml_wrapper.cli.work.watching import stream
from azureml_wrapper.errors import RunCanceled, RunTimeout
from azureml_wrapper.projects.execution import Execution, ExecutionOptions
from azureml_wrapper.projects.project import Project
from azureml_wrapper.run import CANCELED, ENDS, RunWrapper
from azureml_wrapper.transfer import download_run_files

OUTPUTS = "outputs/"
# Seconds to wait for a canceled run to stop.
PATIENCE = 300


def execute(
    config: Path | None,
    locally: bool,
    folder: Path,
    *,
    outputs: Path | None,
    experiment: str | None,
    **given: Any,
) -> None:
    """Submit the script and show what it prints; Ctrl-C or SIGTERM cancels the run."""
    project = Project.at(folder)
    options = ExecutionOptions(experiment_name=experiment, **given)
    execution = Execution(open_workspace(config, locally), project, options)
    with _terminable():
        run = _until_the_end(execution)
    _show_outputs(run, outputs)


def _until_the_end(execution: Execution) -> RunWrapper:
    """The run, completed. From the submission on, an interrupt never leaves a run behind."""
    try:
        run = execution.submit()
        click.echo(f"Run {run.id}: {run.portal_url}")
        stream(run)
    except KeyboardInterrupt:
        started = execution.submitted()
        if started is None:
            raise
        run = started
        _cancel(run)
    run.wait()
    return run


def _cancel(run: RunWrapper) -> None:
    """Cancel the run and wait until it has stopped; a second Ctrl-C exits at once."""
    click.echo("Canceling the run…", err=True)
    if run.status not in ENDS:
        run.cancel()
    try:
        run.wait(timeout=PATIENCE)
    except RunTimeout:
        click.echo(f"It has not stopped yet: {run.portal_url}", err=True)
    if run.status == CANCELED:
        raise RunCanceled(f"Run {run.id} was canceled. The outputs that it has written so far may be incomplete.")


def _show_outputs(run: RunWrapper, folder: Path | None) -> None:
    if folder is not None:
        report = download_run_files(run.raw, folder, prefix=OUTPUTS)
        click.echo(f"Outputs in {folder / OUTPUTS}: {report}")
        return
    names = sorted(name for name in run.raw.get_file_names() if name.startswith(OUTPUTS))
    click.echo(f"Outputs of the run: {', '.join(names) or 'none'}.")


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: schedulers and containers send it."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
