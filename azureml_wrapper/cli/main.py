"""The `aml` command, and the one place where errors become messages and exit codes.

Exit codes: 0 success; 1 the run failed, or something could not be done; 2 the command or its config is wrong.
"""

from __future__ import annotations

import io
import os
import sys
import traceback

import click

from azureml_wrapper.cli.configs import init, schema
from azureml_wrapper.cli.create import compute, datastore, environment, job
from azureml_wrapper.cli.execute import execute
from azureml_wrapper.cli.export import export, lint
from azureml_wrapper.cli.job_folders import abort, logs, results, status
from azureml_wrapper.cli.local import local
from azureml_wrapper.cli.publishing import pipelines, publish, schedules, trigger
from azureml_wrapper.cli.runs import cancel, resubmit, run, runs, show
from azureml_wrapper.cli.submit import submit
from azureml_wrapper.cli.sync import sync
from azureml_wrapper.connection.credentials import AUTH_VARIABLE, CHOICES
from azureml_wrapper.messages import LOGGER, StandardError

TRACEBACK_VARIABLE = "AML_TRACEBACK"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Set {TRACEBACK_VARIABLE}=1 to see the traceback of an error.",
)
@click.version_option(package_name="azureml_wrapper", prog_name="aml")
@click.option(
    "--auth",
    type=click.Choice(list(CHOICES)),
    help=f"How to log in to Azure: cli uses the login of `az login`. Default: {AUTH_VARIABLE}, or whatever works.",
)
def aml(auth: str | None) -> None:
    """Azure ML pipelines, in Azure or on this machine."""
    if auth:
        os.environ[AUTH_VARIABLE] = auth


CONFIGS = (init, schema)
JOBS = (submit, status, abort, logs, results, execute, sync)
RUNS = (run, runs, show, cancel, resubmit)
PUBLISHING = (publish, pipelines, schedules, trigger)
SDK_V2 = (export, lint, compute, datastore, environment, job)
for command in (*CONFIGS, *JOBS, *RUNS, *PUBLISHING, *SDK_V2, local):
    aml.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run `aml` and exit with its exit code.

    Args:
        arguments: The command line without the program's name; by default that of this process.
    """
    _show_messages_of_the_library()
    _print_any_character()
    try:
        sys.exit(aml.main(args=arguments, prog_name="aml", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the command line's outermost handler
        _show(error)
        sys.exit(exit_code(error))


def exit_code(error: Exception) -> int:
    """Return 2 if the command or the config is at fault, else 1."""
    from azureml_wrapper import errors

    of_config = (errors.ConfigError, errors.BadName, errors.BadArgument, errors.BadPipeline)
    of_values = (errors.BadParameter, errors.BadSchedule)
    folders = (errors.ScriptNotFound, errors.SnapshotTooLarge, errors.SecretInFolder)
    return 2 if isinstance(error, (*of_config, *of_values, *folders, errors.NotRegistered)) else 1


def _show_messages_of_the_library() -> None:
    """Print what the library logs on standard error, as it is; whatever the SDKs do to the root logger."""
    LOGGER.handlers[:] = [StandardError()]
    LOGGER.setLevel("INFO")
    LOGGER.propagate = False


def _print_any_character() -> None:
    """Escape what the output's encoding lacks, such as an arrow in cp1252, instead of losing all of the output."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _show(error: Exception) -> None:
    # It imports rich, which costs as much as the rest of `aml --help`.
    from azureml_wrapper.cli.work.output import message

    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    click.echo(click.style("Error: ", fg="red", bold=True) + message(error), err=True)
