"""Options that several commands share, and what they stand for: a workspace, a pipeline, values of parameters."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from azureml_wrapper.errors import near

if TYPE_CHECKING:
    from azureml_wrapper import PipelineWrapper, WorkspaceWrapper

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

_CONFIG = click.option(
    "-c",
    "--config",
    type=FILE,
    envvar="AML_CONFIG",
    show_envvar=True,
    help="A config of the workspace, or of one of its pipelines; default: the nearest .azureml/config.json.",
)
local_option = click.option(
    "--local", "locally", is_flag=True, help="Use the local Azure ML, whatever the config says."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
set_option = click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter of the pipeline or job; can be repeated.",
)
no_wait_option = click.option("--no-wait", is_flag=True, help="Submit, print the id of the run, and exit.")
# For commands whose CONFIG may be a pipeline configuration file, which names no workspace.
ws_config_option = click.option(
    "-c",
    "--config",
    "ws_config",
    type=FILE,
    help="The config of the workspace, if CONFIG names none; default: AML_CONFIG, or .azureml/config.json.",
)
# `az ml`'s own options.
_SCOPE = (
    click.option("--subscription", metavar="ID", help="The subscription; default: the one in the config."),
    click.option(
        "-g", "--resource-group", metavar="NAME", help="The resource group; default: the one in the config."
    ),
    click.option("-w", "--workspace-name", metavar="NAME", help="The workspace; default: the one in the config."),
)
_SCOPE_KEYS = ("subscription_id", "resource_group", "ws_name")
# People without a folder .azureml keep the file that the portal offers here.
_PLAIN_FILE = Path("config.json")


class _RenamedOption(click.Option):
    """An option that still takes its former names, which its help does not show."""

    def __init__(self, names: Sequence[str], former: Sequence[str] = (), **settings: Any) -> None:
        super().__init__([*names, *former], **settings)
        self._former = former

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        shown = copy.copy(self)
        shown.opts = [name for name in self.opts if name not in self._former]
        return super(_RenamedOption, shown).get_help_record(ctx)


def experiment_option(help_text: str, *, required: bool = False, former: Sequence[str] = ()) -> Callable[[F], F]:
    """`-e`, `--experiment`.

    Args:
        help_text: What the experiment is for.
        required: Whether click refuses a command line without it.
        former: Names from before all commands called it so.
    """
    names = ("-e", "--experiment", "experiment")
    return click.option(*names, cls=_RenamedOption, former=former, required=required, help=help_text)


def workspace_options(command: F) -> F:
    """`--config` and `--local`, which `open_workspace` takes."""
    return _CONFIG(local_option(command))


def open_workspace(config: Path | None, locally: bool) -> WorkspaceWrapper:
    """The workspace of `workspace_options`."""
    from azureml_wrapper import WorkspaceWrapper

    return WorkspaceWrapper.from_config(config, target="local" if locally else None)


def scope_options(command: F) -> F:
    """`-g`, `-w` and `--subscription` as `az ml` has them, beside `--config` and `--local`; for `open_scope`."""
    for option in _SCOPE:
        command = option(command)
    return workspace_options(command)


def refuse_misspelt_options(words: Iterable[str]) -> None:
    """Raise `NoSuchOption` for a word that must be a typo of an option, in a command that takes any words."""
    known = [option for each in click.get_current_context().command.params for option in each.opts]
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and (possible := near(name, known, 0.8)):
            raise click.NoSuchOption(name, possibilities=possible)


def open_scope(
    *,
    config: Path | None,
    locally: bool,
    subscription: str | None,
    resource_group: str | None,
    workspace_name: str | None,
) -> WorkspaceWrapper:
    """The workspace of `scope_options`.

    Names that are not given come from the config; on the local Azure ML without a config, they are "local".
    """
    from azureml_wrapper import WorkspaceWrapper
    from azureml_wrapper.connection.target import LOCAL, choose_target

    is_local = choose_target(subscription, LOCAL if locally else None) == LOCAL
    given = dict(zip(_SCOPE_KEYS, (subscription, resource_group, workspace_name), strict=True))
    target = LOCAL if is_local else None
    if not all(given.values()):
        known = _configured(config, required=not is_local)
        given = {key: value or known.get(key, LOCAL) for key, value in given.items()}
    return WorkspaceWrapper(**given, target=target)  # type: ignore[arg-type]


def _configured(config: Path | None, *, required: bool) -> dict[str, str]:
    """The names in the config; without a config, nothing, unless one is required."""
    from azureml_wrapper.config.loader import load
    from azureml_wrapper.config.models import WorkspaceConfig
    from azureml_wrapper.config.workspace_files import find
    from azureml_wrapper.errors import ConfigNotFound

    file = config
    if file is None:
        try:
            file = find()
        except ConfigNotFound:
            if _PLAIN_FILE.is_file():
                file = _PLAIN_FILE
            elif required:
                raise
            else:
                return {}
    found, _ = load(WorkspaceConfig, file)
    return {key: str(getattr(found, key)) for key in _SCOPE_KEYS}


def open_pipeline(config: Path, *, locally: bool, ws_config: Path | None = None) -> PipelineWrapper:
    """The pipeline of a config or of a pipeline configuration file.

    Args:
        config: The file.
        locally: Use the local Azure ML, whatever the config says.
        ws_config: The workspace of a pipeline configuration file; by default AML_CONFIG names it.

    Raises:
        ConfigError: Lists everything that is wrong with the file.
    """
    from azureml_wrapper import PipelineWrapper
    from azureml_wrapper.config.loader import read_document
    from azureml_wrapper.pipeline_files.steps_file import is_steps_file

    target = "local" if locally else None
    read = read_document(config)
    if is_steps_file(read.data):
        named = ws_config or os.environ.get("AML_CONFIG")
        return PipelineWrapper.from_config(config, ws_config=named, target=target)
    if ws_config is not None:
        raise click.UsageError(f"--config is for pipeline configuration files; {config} must name its own workspace.")
    return PipelineWrapper.from_config(config, target=target)


def parse_values(given: Iterable[str], option: str = "--set") -> dict[str, str]:
    """Parse the values of `--set NAME=VALUE`."""
    pairs = [text.partition("=") for text in given]
    wrong = [name for name, equals, _ in pairs if not (name and equals)]
    if wrong:
        raise click.UsageError(f"{option} must be NAME=VALUE, got {wrong[0]!r}.")
    return {name: value for name, _, value in pairs}


def parse_overrides(words: Sequence[str]) -> dict[str, str]:
    """Parse the pairs `KEY VALUE` at the end of a command line.

    Raises:
        click.UsageError: A KEY has no VALUE, or is an unknown option (often a misspelled one).
    """
    from azureml_wrapper.errors import did_you_mean

    for key in words[::2]:
        if key.startswith("-"):
            options = click.get_current_context().command.params
            known = [name for option in options for name in option.opts if name.startswith("--")]
            raise click.UsageError(
                f"Unknown option {key}.{did_you_mean(key, known)} Only KEY VALUE pairs may follow the options."
            )
    if len(words) % 2:
        raise click.UsageError(f"KEY {words[-1]!r} has no VALUE. Write pairs, such as SOLVER.IMS_PER_BATCH 8.")
    return dict(zip(words[::2], words[1::2], strict=True))
