"""Create what a file of `az ml` describes.

The file is read before the workspace is connected, so that its mistakes are reported without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azureml_wrapper.cli.options import open_scope
from azureml_wrapper.cli.work import watching
from azureml_wrapper.cli.work.output import sdk_silenced
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.v2 import amlcompute, blob_datastore, environment_file, read
from azureml_wrapper.v2.pipeline_job import PipelineJob
from azureml_wrapper.v2.read import Job
from azureml_wrapper.v2.sweep_job import SweepJob
from azureml_wrapper.v2.v1_jobs.run_config import best_of
from azureml_wrapper.v2.v1_jobs.submitting import submit

if TYPE_CHECKING:
    from azureml.core import Workspace

Scope = Mapping[str, Any]


def create_compute(file: Path, name: str | None, given: Sequence[str], scope: Scope) -> None:
    """Create a cluster, or change its number of nodes."""
    wanted, notes = read.read_compute(file, _settings(name, given))
    _show_notes(file, notes)
    click.echo(amlcompute.create(_workspace(scope), wanted))


def create_datastore(file: Path, name: str | None, given: Sequence[str], scope: Scope) -> None:
    """Register a datastore."""
    wanted, notes = read.read_datastore(file, _settings(name, given))
    _show_notes(file, notes)
    click.echo(blob_datastore.create(_workspace(scope), wanted))


def create_environment(file: Path, name: str | None, given: Sequence[str], scope: Scope) -> None:
    """Register an environment."""
    wanted, notes = read.read_environment(file, _settings(name, given))
    _show_notes(file, notes)
    click.echo(environment_file.create(_workspace(scope), wanted))


def create_job(file: Path, name: str | None, given: Sequence[str], scope: Scope, *, stream: bool) -> None:
    """Submit a job, and with `stream` show its run until it ends."""
    job, notes = read.read_job(file, _settings(name, given))
    _show_notes(file, notes)
    with sdk_silenced():
        run = submit(_workspace(scope), job)
    click.echo(f"Run {run.id}\n{run.portal_url}")
    if stream:
        _watch(run, job)


def _settings(name: str | None, given: Sequence[str]) -> list[str]:
    """`--name` is one more setting like those of `--set`."""
    return [*given, *([f"name={name}"] if name else [])]


def _workspace(scope: Scope) -> Workspace:
    return open_scope(**scope).ws


def _show_notes(file: Path, notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"{file}, {note}", err=True)


def _watch(run: RunWrapper, job: Job) -> None:
    """Show the run until it ends; raise `RunFailed` if it does not complete."""
    if isinstance(job, (PipelineJob, SweepJob)):
        watching.show_steps(run)
        if isinstance(job, SweepJob):
            click.echo(best_of(run.raw, job))
        return
    watching.show_log(run)
    click.echo(f"Run {run.id}: {run.status}")
