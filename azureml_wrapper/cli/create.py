"""`aml compute|datastore|environment|job create`: files of `az ml`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from azureml_wrapper.cli.options import FILE, scope_options

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.option(
    "-f", "--file", required=True, type=FILE, help="A YAML or JSON file for `az ml`; docs/v2-yaml.md lists the keys."
)
_SET = click.option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a value of the file, as in --set inputs.lr=0.1; can be repeated.",
)
_NAME = click.option("-n", "--name", help="Replace the name in the file.")


def _takes_a_file(command: F) -> F:
    return _FILE(_NAME(_SET(scope_options(command))))


@click.group()
def compute() -> None:
    """Compute clusters, from files of `az ml compute create`."""


@click.group()
def datastore() -> None:
    """Datastores, from files of `az ml datastore create`."""


@click.group()
def environment() -> None:
    """Environments, from files of `az ml environment create`."""


@click.group()
def job() -> None:
    """Jobs, from files of `az ml job create`."""


@compute.command("create")
@_takes_a_file
def create_compute(*, file: Path, name: str | None, given: tuple[str, ...], **scope: Any) -> None:
    """Create the cluster of a file, or change its number of nodes."""
    from azureml_wrapper.cli.work import create as work

    work.create_compute(file, name, given, scope)


@datastore.command("create")
@_takes_a_file
def create_datastore(*, file: Path, name: str | None, given: tuple[str, ...], **scope: Any) -> None:
    """Register the blob container of a file."""
    from azureml_wrapper.cli.work import create as work

    work.create_datastore(file, name, given, scope)


@environment.command("create")
@_takes_a_file
def create_environment(*, file: Path, name: str | None, given: tuple[str, ...], **scope: Any) -> None:
    """Register the environment of a file."""
    from azureml_wrapper.cli.work import create as work

    work.create_environment(file, name, given, scope)


@job.command("create")
@click.option("--stream", is_flag=True, help="Show the log of the run until it ends; exit code 1 if the run fails.")
@_takes_a_file
def create_job(*, file: Path, name: str | None, given: tuple[str, ...], stream: bool, **scope: Any) -> None:
    """Submit the command, pipeline or sweep of a file."""
    from azureml_wrapper.cli.work import create as work

    work.create_job(file, name, given, scope, stream=stream)
