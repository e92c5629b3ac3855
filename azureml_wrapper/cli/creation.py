"""What `aml … create -f FILE` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli import pipelines
from azureml_wrapper.cli.streaming import stream
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.runs.waiting import wait_or_cancel
from azureml_wrapper.v2 import computes, datastores, environments, read
from azureml_wrapper.v2.pipelines import PipelineJob
from azureml_wrapper.v2.read import Job
from azureml_wrapper.v2.submit.jobs import submit
from azureml_wrapper.v2.submit.sweeps import best_of
from azureml_wrapper.v2.sweeps import SweepJob

if TYPE_CHECKING:
    from azureml.core import Workspace

Open = Callable[[], "Workspace"]
_NOUNS: dict[str, tuple[Callable[..., Any], Callable[..., str]]] = {
    "compute": (read.read_compute, computes.create),
    "datastore": (read.read_datastore, datastores.create),
    "environment": (read.read_environment, environments.create),
}


def settings(name: str | None, given: Sequence[str]) -> list[str]:
    """`--name` is a setting as those of `--set` are."""
    return [*given, *([f"name={name}"] if name else [])]


def create(noun: str, file: Path, given: Sequence[str], open_workspace: Open) -> None:
    """Read the file, then connect: what is wrong with a file is told without a workspace."""
    reader, make = _NOUNS[noun]
    wanted, notes = reader(file, given)
    _tell(file, notes)
    click.echo(make(open_workspace(), wanted))


def create_job(file: Path, given: Sequence[str], open_workspace: Open, *, follow: bool) -> None:
    job, notes = read.read_job(file, given)
    _tell(file, notes)
    run = submit(open_workspace(), job)
    click.echo(f"Run {run.id}\n{run.portal_url}")
    if follow:
        _watch(run, job)


def _watch(run: RunWrapper, job: Job) -> None:
    """Show the run to its end; `RunFailed` where it does not end well."""
    if isinstance(job, PipelineJob):
        pipelines.watch(run)
        return
    if isinstance(job, SweepJob):
        pipelines.watch(run)
        click.echo(best_of(run.raw, job))
        return
    wait_or_cancel(run, stream)
    click.echo(f"Run {run.id}: {run.status}")


def _tell(file: Path, notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"{file}, {note}", err=True)
