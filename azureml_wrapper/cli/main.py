"""The `aml` command, and the one place where errors become messages and exit codes.

Exit codes: 0 all went well; 1 the run failed, or something could not be done; 2 the command or its config is wrong.
"""

from __future__ import annotations

import os
import sys
import traceback

import click

from azureml_wrapper.cli.execute import execute
from azureml_wrapper.cli.jobs import abort, logs, results, status, submit
from azureml_wrapper.cli.local import local
from azureml_wrapper.cli.migration import export, lint
from azureml_wrapper.cli.nouns import compute, datastore, environment, job
from azureml_wrapper.cli.published import publish, published, trigger
from azureml_wrapper.cli.run import run
from azureml_wrapper.cli.runs import cancel, resubmit, runs, show
from azureml_wrapper.cli.schedules import schedules
from azureml_wrapper.cli.starting import init, schema
from azureml_wrapper.cli.sync import sync
from azureml_wrapper.connection.credentials import AUTH_VARIABLE, CHOICES

TRACEBACK_VARIABLE = "AML_TRACEBACK"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Set {TRACEBACK_VARIABLE}=1 to see where an error comes from.",
)
@click.version_option(package_name="azureml_wrapper", prog_name="aml")
@click.option(
    "--auth",
    type=click.Choice(list(CHOICES)),
    help=f"How to log in to Azure: cli is what `az login` gives. Else {AUTH_VARIABLE}, else what works.",
)
def aml(auth: str | None) -> None:
    """Azure ML pipelines, in Azure or on this machine."""
    if auth:
        os.environ[AUTH_VARIABLE] = auth


STARTS = (init, schema)
JOBS = (submit, status, abort, logs, results)
PIPELINES = (run, publish, published, schedules, trigger, runs, show, cancel, resubmit)
MIGRATION = (export, lint)
for command in (*STARTS, *JOBS, execute, sync, *PIPELINES, *MIGRATION, local):
    aml.add_command(command)

for noun in (compute, datastore, environment, job):
    aml.add_command(noun)


def main(arguments: list[str] | None = None) -> None:
    """Run `aml` and leave with its exit code."""
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
    """2 where the command or the config is at fault, else 1."""
    from azureml_wrapper import errors

    of_config = (errors.ConfigError, errors.BadName, errors.BadArgument, errors.BadPipeline)
    of_values = (errors.BadParameter, errors.BadSchedule)
    missing = (errors.NotRegistered, errors.ScriptNotFound, errors.SnapshotTooLarge)
    return 2 if isinstance(error, (*of_config, *of_values, *missing)) else 1


def _show(error: Exception) -> None:
    # It imports rich, which costs as much as the rest of `aml --help`.
    from azureml_wrapper.cli.output import message

    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    click.echo(click.style("Error: ", fg="red", bold=True) + message(error), err=True)
