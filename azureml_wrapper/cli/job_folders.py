"""`aml status`, `abort`, `logs`, `results`: the jobs that folders remember. `aml submit` is in submit.py."""

from __future__ import annotations

import click

from azureml_wrapper.cli.options import json_option

WORDS = "FOLDER|PREFIX|PATTERN|all..."


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@json_option
def status(words: tuple[str, ...], *, as_json: bool) -> None:
    """Show the status, duration and last line of the log of jobs."""
    from azureml_wrapper.cli.work import job_folders as work

    work.status(words, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@click.option("--timeout", type=click.FloatRange(1), default=600, help="Seconds to wait for each run to stop.")
@json_option
def abort(words: tuple[str, ...], *, timeout: float, as_json: bool) -> None:
    """Cancel jobs, and wait until they have stopped."""
    from azureml_wrapper.cli.work import job_folders as work

    work.abort(words, timeout=timeout, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the jobs have ended.")
def logs(words: tuple[str, ...], *, follow: bool) -> None:
    """Print the logs of jobs.

    The exit code is 0 if the logs could be printed, even if a job failed, as with `docker logs -f`. `aml status`
    reports how the jobs ended.
    """
    from azureml_wrapper.cli.work import job_folders as work

    work.logs(words, follow=follow)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@json_option
def results(words: tuple[str, ...], *, as_json: bool) -> None:
    """Download the results of jobs into their folders.

    These are outputs and logs of the run, and the output folder in the datastore.
    """
    from azureml_wrapper.cli.work import job_folders as work

    work.results(words, as_json=as_json)
