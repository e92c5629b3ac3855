"""Options that several commands share: the workspace, tables or JSON, parameter values, and the options of jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from azureml_wrapper.errors import did_you_mean

if TYPE_CHECKING:
    from azureml_wrapper import WorkspaceWrapper

F = TypeVar("F", bound=Callable[..., Any])

_CONFIG = click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="AML_CONFIG",
    show_envvar=True,
    help="A config of the workspace, or of a pipeline of it; by default the nearest .azureml/config.json.",
)
_LOCAL = click.option("--local", "locally", is_flag=True, help="Use the local Azure ML, whatever the config says.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
set_option = click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="A value for a pipeline parameter."
)
no_wait_option = click.option("--no-wait", is_flag=True, help="Submit, print the run's id, and leave.")


def workspace_options(command: F) -> F:
    """`--config` and `--local`; `open_workspace` takes both."""
    return _CONFIG(_LOCAL(command))


def open_workspace(config: Path | None, locally: bool) -> WorkspaceWrapper:
    from azureml_wrapper import WorkspaceWrapper

    return WorkspaceWrapper.from_config(config, target="local" if locally else None)


# Users type these with underscores, as their training scripts do, or with hyphens, as the other commands do.
JOB_OPTIONS = (
    click.Option(
        ["--config_file", "--config-file"], type=click.Path(path_type=Path), help="The script's config file."
    ),
    click.Option(["--output_dir", "--output-dir"], help="The job folder; it must not hold a job yet.  [required]"),
    click.Option(["--exp_name", "--exp-name"], help="The experiment of the run.  [required]"),
    click.Option(["--entry_script", "--entry-script"], help="Default: aml_main.py, or tools/azureml/aml_main.py."),
    click.Option(["--source_dir", "--source-dir"], default=".", help="The folder to upload; default: this folder."),
    click.Option(["--input_dir", "--input-dir"], default="", help="A folder of the datastore; default: all of it."),
    click.Option(["--num_gpus", "--num-gpus"], type=click.IntRange(0), help="Number of processes to start."),
    click.Option(["--workspace"], help="A file, or a workspace of the same group; default: .azureml/config.json."),
    click.Option(
        ["--compute_target", "--compute-target"], help="A file, or a name; default: .azureml/compute_target.json."
    ),
    click.Option(["--datastore"], help="A file, or a registered name; default: .azureml/datastore.json."),
    click.Option(["--environment"], help="A file, or a registered name; default: .azureml/environment.json."),
    click.Option(["--tag", "tags"], multiple=True, metavar="NAME=VALUE", help="A tag of the run."),
    click.Option(["--force"], is_flag=True, help="Abort the job that the folder holds, and replace it."),
    click.Option(["--local", "locally"], is_flag=True, help="Use the local Azure ML, whatever the config says."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, for programs."),
)


def parse_overrides(words: Sequence[str]) -> dict[str, str]:
    """Parse the `KEY VALUE` pairs at the end of a command line.

    Raises:
        click.UsageError: A KEY has no VALUE, or is an unknown option (often a misspelt one).
    """
    for key in words[::2]:
        if key.startswith("-"):
            known = [name for option in JOB_OPTIONS for name in option.opts if name.startswith("--")]
            raise click.UsageError(
                f"Unknown option {key}.{did_you_mean(key, known)} Only KEY VALUE pairs may follow the options."
            )
    if len(words) % 2:
        raise click.UsageError(f"KEY {words[-1]!r} has no VALUE. Write pairs, such as SOLVER.IMS_PER_BATCH 8.")
    return dict(zip(words[::2], words[1::2], strict=True))
