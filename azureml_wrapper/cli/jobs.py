"""`aml submit`, `status`, `abort`, `logs`, `results`: one script as one job, and the folder that remembers it."""

from __future__ import annotations

from typing import Any

import click

from azureml_wrapper.cli.options import JOB_OPTIONS, json_option

WORDS = "FOLDER|PREFIX|PATTERN|all..."


@click.command(params=[*JOB_OPTIONS], context_settings={"ignore_unknown_options": True})
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[KEY VALUE]...")
def submit(*, as_json: bool, force: bool, **given: Any) -> None:
    """Submit a script as a job. KEY VALUE pairs, last, reach the script after its other arguments."""
    from azureml_wrapper.cli import projects

    projects.submit(projects.order(**given), force=force, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@json_option
def status(words: tuple[str, ...], *, as_json: bool) -> None:
    """Show how jobs are: status, duration, last line of the log."""
    from azureml_wrapper.cli import folders

    folders.show_states(words, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@click.option("--timeout", type=click.FloatRange(1), default=600, help="Seconds to wait for a run's end.")
@json_option
def abort(words: tuple[str, ...], *, timeout: float, as_json: bool) -> None:
    """Cancel jobs, and wait until they have stopped."""
    from azureml_wrapper.cli import folders

    folders.abort(words, timeout=timeout, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@click.option("-f", "--follow", is_flag=True, help="Go on until the jobs have ended.")
def logs(words: tuple[str, ...], *, follow: bool) -> None:
    """Print what the scripts of jobs have printed.

    The exit code is 0 where that could be shown, for a failed job, too, as with `docker logs -f`: `aml status --json`
    tells how a job has ended.
    """
    from azureml_wrapper.cli import folders

    folders.print_logs(words, follow=follow)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar=WORDS)
@json_option
def results(words: tuple[str, ...], *, as_json: bool) -> None:
    """Bring the results of jobs into their folders: outputs and logs of the run, and the datastore's folder."""
    from azureml_wrapper.cli import folders

    folders.fetch(words, as_json=as_json)
