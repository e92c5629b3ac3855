"""`aml submit`, `status`, `abort`, `logs`, `results`: one script as one job, and the folder that remembers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import json_option

# Options of a user's own command line, which has underscores, and as the other commands write them.
AS_THEY_COME = {"ignore_unknown_options": True}
WORDS = "FOLDER|PREFIX|PATTERN|all..."


@click.command(context_settings=AS_THEY_COME)
@click.option("--config_file", "--config-file", type=click.Path(path_type=Path), help="The script's own config file.")
@click.option("--output_dir", "--output-dir", help="The job folder; it must not hold a job yet.  [required]")
@click.option("--exp_name", "--exp-name", help="The experiment that the run belongs to.  [required]")
@click.option("--entry_script", "--entry-script", help="By default aml_main.py, or tools/azureml/aml_main.py.")
@click.option("--source_dir", "--source-dir", default=".", help="The folder that is sent; by default this one.")
@click.option("--input_dir", "--input-dir", default="", help="A folder of the datastore; by default all of it.")
@click.option("--num_gpus", "--num-gpus", type=click.IntRange(0), help="As many processes the script is to start.")
@click.option("--workspace", help="Instead of .azureml/config.json: a file, or a workspace of the same group.")
@click.option("--compute_target", "--compute-target", help="Instead of .azureml/compute_target.json: file or name.")
@click.option("--datastore", help="Instead of .azureml/datastore.json: a file, or a registered name.")
@click.option("--environment", help="Instead of .azureml/environment.json: a file, or a registered name.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag of the run.")
@click.option("--force", is_flag=True, help="Abort the job that the folder holds, and take its place.")
@click.option("--local", "locally", is_flag=True, help="Use the local Azure ML, whatever the config says.")
@json_option
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
