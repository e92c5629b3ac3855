"""What `aml run` does with a pipeline."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
from rich.console import Console

from azureml_wrapper import PipelineWrapper, RunWrapper
from azureml_wrapper.cli.progress import Lines, Progress, Table
from azureml_wrapper.config.loader import read_document
from azureml_wrapper.pipeline_files.steps_file import is_steps_file
from azureml_wrapper.pipeline_files.steps_pipeline import StepsPipeline
from azureml_wrapper.pipeline_files.train_pipeline import show_ids
from azureml_wrapper.run import ENDS
from azureml_wrapper.runs.waiting import see_through

FIRST_PAUSE, LAST_PAUSE = 0.1, 3.0  # seconds between two looks at a run; each is half as long again as the one before


def load(config: Path, locally: bool, ws_config: Path | None = None) -> PipelineWrapper:
    """The pipeline of a config file; a `ConfigError` names everything that is wrong with it.

    `ws_config` names the workspace of a pipeline configuration file; without it, AML_CONFIG does.
    """
    target = "local" if locally else None
    read = read_document(config)
    if is_steps_file(read.data):
        return StepsPipeline.of(read, ws_config or os.environ.get("AML_CONFIG"), target=target)
    if ws_config is not None:
        raise click.UsageError(f"--config is for files that name no workspace; {config} is to name its own.")
    return PipelineWrapper.from_config(config, target=target)


def parse_values(given: Iterable[str]) -> dict[str, str]:
    """The values of `--set NAME=VALUE`."""
    pairs = [text.partition("=") for text in given]
    wrong = [name for name, equals, _ in pairs if not (name and equals)]
    if wrong:
        raise click.UsageError(f"--set {wrong[0]!r} is to be written NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def check(pipeline: PipelineWrapper, values: Mapping[str, str]) -> None:
    """Build the pipeline, let the SDK validate it, and list its steps."""
    pipeline._assign(values)
    problems = pipeline.pipeline.validate()
    if problems:
        raise click.ClickException("\n".join(str(problem) for problem in problems))
    for step in pipeline.steps:
        # A dataset is an object of the SDK, with a name.
        arguments = (str(getattr(argument, "name", argument)) for argument in step.arguments)
        click.echo(" ".join([f"{step.name}: {step.script_name}", *arguments]))
    click.echo("The pipeline is valid; nothing was run.")


def submit(pipeline: PipelineWrapper, experiment: str, values: Mapping[str, str]) -> RunWrapper:
    # The SDK prints the same and more.
    with contextlib.redirect_stdout(io.StringIO()):
        run = pipeline.run(experiment, wait=False, parameters=values)
    if isinstance(pipeline, StepsPipeline):
        click.echo(show_ids(run))
    else:
        click.echo(f"Run {run.id}\n{run.portal_url}")
    return run


def run_v2(
    pipeline: PipelineWrapper, experiment: str, values: Mapping[str, str], *, wait: bool, dry_run: bool
) -> None:
    """Export the pipeline and submit it with SDK v2."""
    from azureml_wrapper.v2 import client

    if dry_run:
        client.check(pipeline, experiment, values)
        click.echo("azure-ai-ml loads the exported pipeline; nothing was run.")
        return
    job = client.submit(pipeline, experiment, parameters=values)
    click.echo(f"Job {job.name}\n{job.portal_url or ''}".rstrip())
    if wait:
        job.wait()


def watch(run: RunWrapper, retries: Mapping[str, int] | None = None) -> RunWrapper:
    """Show the steps until the run has ended; `RunFailed` where it did not end well.

    Ctrl-C says that the run goes on; a second one cancels it.
    """
    return see_through(run, _show, retries or {})


def progress() -> contextlib.AbstractContextManager[Progress]:
    """A table that changes on a terminal, a line per change elsewhere."""
    console = Console()
    return Table(console) if console.is_terminal else Lines(console)


def _show(run: RunWrapper) -> None:
    with progress() as shown:
        _follow(run, shown)


def _follow(run: RunWrapper, shown: Progress) -> None:
    pause = FIRST_PAUSE
    while True:
        ended = run.status in ENDS
        shown.show(run.steps)
        if ended:
            return
        run._ends_within(pause)
        pause = min(pause * 1.5, LAST_PAUSE)
