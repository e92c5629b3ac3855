"""What several commands take: which workspace, tables or JSON, values for parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
