"""`aml submit`: one script as one job, with a folder that remembers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from azureml_wrapper.cli.options import experiment_option, json_option, local_option, set_option

# Training scripts have options with underscores; other commands of `aml` have hyphens. Both are taken.


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--config_file", "--config-file", type=click.Path(path_type=Path), help="The script's config file.")
@click.option("--output_dir", "--output-dir", help="The job folder; it must not hold a job yet.  [required]")
@experiment_option("The experiment of the run.  [required]", former=["--exp_name", "--exp-name"])
@click.option(
    "--entry_script", "--entry-script", help="The script; default: aml_main.py, or tools/azureml/aml_main.py."
)
@click.option("--source_dir", "--source-dir", default=".", help="The folder to upload; default: the current one.")
@click.option("--input_dir", "--input-dir", default="", help="A folder of the datastore; default: all of it.")
@click.option("--num_gpus", "--num-gpus", type=click.IntRange(0), help="Number of processes to start.")
@click.option("--workspace", help="A file, or a workspace of the same group; default: .azureml/config.json.")
@click.option(
    "--compute_target", "--compute-target", help="A file, or a name; default: .azureml/compute_target.json."
)
@click.option("--datastore", help="A file, or a registered name; default: .azureml/datastore.json.")
@click.option("--environment", help="A file, or a registered name; default: .azureml/environment.json.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag of the run; can be repeated.")
@click.option("--force", is_flag=True, help="Abort the job that the folder holds, and replace it.")
@set_option
@local_option
@json_option
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[KEY VALUE]...")
def submit(*, as_json: bool, force: bool, **given: Any) -> None:
    """Submit a script as a job.

    The script gets the KEY VALUE pairs, and those of --set, after its other arguments.
    """
    from azureml_wrapper.cli.work import submit as work

    work.submit(force=force, as_json=as_json, **given)
