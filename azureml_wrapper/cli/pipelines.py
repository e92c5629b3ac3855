"""What `aml run` does with a pipeline."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import click
from rich.console import Console

from azureml_wrapper import PipelineWrapper, RunWrapper
from azureml_wrapper.cli.progress import Lines, Progress, Table
from azureml_wrapper.errors import RunCanceled
from azureml_wrapper.run import COMPLETED, ENDS

FIRST_PAUSE, LAST_PAUSE = 0.1, 3.0  # seconds between two looks at a run; each is half as long again as the one before


def load(config: Path, locally: bool) -> PipelineWrapper:
    """The pipeline of a config file; a `ConfigError` names everything that is wrong with it."""
    return PipelineWrapper.from_config(config, target="local" if locally else None)


def check(pipeline: PipelineWrapper) -> None:
    """Build the pipeline, let the SDK validate it, and list its steps."""
    problems = pipeline.pipeline.validate()
    if problems:
        raise click.ClickException("\n".join(str(problem) for problem in problems))
    for step in pipeline.steps:
        # A dataset is an object of the SDK, with a name.
        arguments = (str(getattr(argument, "name", argument)) for argument in step.arguments)
        click.echo(" ".join([f"{step.name}: {step.script_name}", *arguments]))
    click.echo("The pipeline is valid; nothing was run.")


def submit(pipeline: PipelineWrapper, experiment: str) -> RunWrapper:
    # The SDK prints the same and more.
    with contextlib.redirect_stdout(io.StringIO()):
        run = pipeline.run(experiment, wait=False)
    click.echo(f"Run {run.id}\n{run.portal_url}")
    return run


def watch(run: RunWrapper) -> None:
    """Show the steps until the run has ended; `RunFailed` where it did not end well.

    Ctrl-C says that the run goes on; a second one cancels it.
    """
    told = False
    while True:
        try:
            with progress() as shown:
                _follow(run, shown)
            break
        except KeyboardInterrupt:
            if told:
                click.echo("Cancelling…", err=True)
                run.cancel()
            else:
                click.echo("The run goes on. Ctrl-C again cancels it.", err=True)
            told = True
    if run.wait().status != COMPLETED:
        raise RunCanceled(f"Run {run.id} was cancelled.")


def progress() -> contextlib.AbstractContextManager[Progress]:
    """A table that changes on a terminal, a line per change elsewhere."""
    console = Console()
    return Table(console) if console.is_terminal else Lines(console)


def _follow(run: RunWrapper, shown: Progress) -> None:
    pause = FIRST_PAUSE
    while True:
        ended = run.status in ENDS
        shown.show(run.steps)
        if ended:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE)
