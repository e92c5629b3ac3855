"""`aml local`: the local Azure ML service."""

from __future__ import annotations

import click

from azureml_wrapper.cli.options import json_option


@click.group()
def local() -> None:
    """Start, stop, inspect and use the local Azure ML."""


@local.command()
@click.option("--foreground", is_flag=True, help="Stay in this terminal until Ctrl-C, as containers need it.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port on 127.0.0.1; default: the last one used.")
def up(foreground: bool, port: int | None) -> None:
    """Start the service; it runs until `aml local down`."""
    from azureml_wrapper.cli.work import local as work

    work.up(foreground=foreground, port=port)


@local.command()
def down() -> None:
    """Stop the service; nothing that it keeps is lost."""
    from azureml_wrapper.cli.work import local as work

    work.down()


@local.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether the service runs, and what it keeps.

    With --json also the connection strings of its storage, for other tools; they contain its keys.
    """
    from azureml_wrapper.cli.work import local as work

    work.status(as_json=as_json)


@local.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(yes: bool) -> None:
    """Stop the service and delete everything that it keeps.

    These are workspaces, data and runs.
    """
    from azureml_wrapper.cli.work import local as work

    work.reset(yes=yes)


@local.command()
@click.option(
    "--older-than", metavar="AGE", default="7d", help="What was not used for this long: 30d, 12h, 0d; default: 7d."
)
@click.option(
    "--down-to", metavar="SIZE", help="Only as much, oldest first, as brings the folder down to a size: 500MB, 5GB."
)
@click.option("--yes", is_flag=True, help="Delete it. Without this option nothing is deleted.")
def prune(older_than: str, down_to: str | None, yes: bool) -> None:
    """Show what nothing needs any more; delete it with --yes.

    These are built environments, which are built again when a job needs them, unfinished uploads, old logs, and
    the copy of the database from before a migration. Runs, data and assets are never deleted. Stop the service first.
    """
    from azureml_wrapper.cli.work import local as work

    work.prune(older_than=older_than, down_to=down_to, yes=yes)


@local.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--workspace", metavar="SUB/RG/NAME", help="A workspace to prepare; default: the one in config.json.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(workspace: str | None, command: tuple[str, ...]) -> None:
    """Run a program for Azure ML, unchanged, on the service.

    \b
    aml local exec -- python train.py

    A program without authentication of its own, as after `Workspace.from_config()`, gets a token of the service. The
    workspaces that it asks for are created if they are missing, and reported on standard error. Their subscriptions
    are looked for in the command, in variables whose names contain SUBSCRIPTION, and in the program's files and
    configs. If the SDK says that you have no access to a subscription, name the workspace with --workspace.
    """
    from azureml_wrapper.cli.work import local as work

    work.exec_(workspace, command)
