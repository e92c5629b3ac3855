"""`aml local`: the local Azure ML service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from azureml_wrapper.local.home import Home


@click.group()
def local() -> None:
    """Start, stop, look at and use the local Azure ML."""


@local.command()
@click.option("--foreground", is_flag=True, help="Stay in this terminal until Ctrl-C, as a container wants it.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of 127.0.0.1; by default the last one.")
def up(foreground: bool, port: int | None) -> None:
    """Start the service; it stays until `aml local down`."""
    from azureml_wrapper.cli import service

    home = _home()
    if foreground:
        service.become(home, port)
    info = service.start(home, port)
    click.echo(f"The local Azure ML runs at http://127.0.0.1:{info.port} (pid {info.pid}, home {home.path}).")


@local.command()
def down() -> None:
    """Stop the service; nothing that it keeps is lost."""
    from azureml_wrapper.cli import service
    from azureml_wrapper.local import control

    home = _home()
    stopped = control.stop(home)
    click.echo(f"Stopped (home {home.path})." if stopped else f"No service runs (home {home.path}).")
    if service.count_schedules(home.database):
        click.echo(f"Schedules: {service.describe_schedules(home.database, runs=False)}.")


@local.command()
def status() -> None:
    """Show whether the service runs, where it keeps its things, and how much that is."""
    from azureml_wrapper.cli import service

    for name, value in service.describe(_home()).items():
        click.echo(f"{name:<10}{value}")


@local.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Stop the service and delete all that it keeps: workspaces, data, runs."""
    from azureml_wrapper.local import control

    home = _home()
    if not yes:
        click.confirm(f"Delete all workspaces, data and runs below {home.path}?", abort=True)
    control.stop(home)
    home.clear()
    click.echo(f"Everything below {home.path} is gone.")


@local.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--workspace", metavar="SUB/RG/NAME", help="The workspace to have ready; by default config.json's.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(workspace: str | None, command: tuple[str, ...]) -> None:
    """Run a program that uses Azure ML, unchanged, on the local service.

    \b
    aml local exec -- python train.py

    A program without authentication of its own, as after `Workspace.from_config()`, gets a token of the service. The
    workspace that config.json names (in .azureml/ or beside the program, as the SDK looks for it) is made if missing.
    """
    from azureml_wrapper.cli import programs

    scope = programs.parse_scope(workspace) if workspace else programs.configured_scope()
    programs.replace_process(command, _home(), scope)


def _home() -> Home:
    from azureml_wrapper.local.home import Home

    return Home()
