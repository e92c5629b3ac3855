"""`aml compute create`, `aml datastore create`, `aml environment create`, `aml job create`: files of `az ml`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from azureml_wrapper.cli.scopes import open_scope, scope_options

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.option(
    "-f",
    "--file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON file as `az ml` takes it; docs/v2-yaml.md lists the keys.",
)
_SET = click.option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replaces a value of the file: --set inputs.lr=0.1. Can be given several times.",
)
_NAME = click.option("-n", "--name", help="Replaces the file's name.")


def _takes_a_file(command: F) -> F:
    return _FILE(_NAME(_SET(scope_options(command))))


@click.group()
def compute() -> None:
    """Clusters, from files of `az ml compute create`."""


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
    """Make the cluster of a file, or change the number of its nodes."""
    from azureml_wrapper.cli import creation

    creation.create("compute", file, creation.settings(name, given), lambda: open_scope(**scope).ws)


@datastore.command("create")
@_takes_a_file
def create_datastore(*, file: Path, name: str | None, given: tuple[str, ...], **scope: Any) -> None:
    """Register the blob container of a file."""
    from azureml_wrapper.cli import creation

    creation.create("datastore", file, creation.settings(name, given), lambda: open_scope(**scope).ws)


@environment.command("create")
@_takes_a_file
def create_environment(*, file: Path, name: str | None, given: tuple[str, ...], **scope: Any) -> None:
    """Register the environment of a file."""
    from azureml_wrapper.cli import creation

    creation.create("environment", file, creation.settings(name, given), lambda: open_scope(**scope).ws)


@job.command("create")
@click.option("--stream", is_flag=True, help="Show the run's log until it ends; exit code 1 where it fails.")
@_takes_a_file
def create_job(*, file: Path, name: str | None, given: tuple[str, ...], stream: bool, **scope: Any) -> None:
    """Submit the command, pipeline or sweep of a file."""
    from azureml_wrapper.cli import creation

    creation.create_job(file, creation.settings(name, given), lambda: open_scope(**scope).ws, follow=stream)
