"""Which workspace a command means: `az ml`'s options -g, -w and --subscription, beside --config and --local."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from azureml_wrapper.cli.options import workspace_options

if TYPE_CHECKING:
    from azureml_wrapper import WorkspaceWrapper

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--subscription", metavar="ID", help="The subscription; else that of the config."),
    click.option("-g", "--resource-group", metavar="NAME", help="The resource group; else that of the config."),
    click.option("-w", "--workspace-name", metavar="NAME", help="The workspace; else that of the config."),
)
_KEYS = ("subscription_id", "resource_group", "ws_name")
# Where people put the file of the portal who use no folder .azureml.
_PLAIN_FILE = Path("config.json")


def scope_options(command: F) -> F:
    """`open_scope` takes what these give."""
    for option in _OPTIONS:
        command = option(command)
    return workspace_options(command)


def open_scope(
    *,
    config: Path | None,
    locally: bool,
    subscription: str | None,
    resource_group: str | None,
    workspace_name: str | None,
) -> WorkspaceWrapper:
    """The workspace of the options; what they do not name is that of the config, on the local service "local"."""
    from azureml_wrapper import WorkspaceWrapper
    from azureml_wrapper.connection.target import LOCAL, TARGET_VARIABLE

    is_local = locally or os.environ.get(TARGET_VARIABLE) == LOCAL or subscription == LOCAL
    given = dict(zip(_KEYS, (subscription, resource_group, workspace_name), strict=True))
    target = LOCAL if is_local else None
    if not all(given.values()):
        known = _configured(config, needed=not is_local)
        given = {key: value or known.get(key, LOCAL) for key, value in given.items()}
    return WorkspaceWrapper(**given, target=target)  # type: ignore[arg-type]


def _configured(config: Path | None, *, needed: bool) -> dict[str, str]:
    """The names of a config; none where there is no config and none is needed."""
    from azureml_wrapper.config.loader import find, load
    from azureml_wrapper.config.models import WorkspaceConfig
    from azureml_wrapper.errors import ConfigNotFound

    file = config
    if file is None:
        try:
            file = find()
        except ConfigNotFound:
            if _PLAIN_FILE.is_file():
                file = _PLAIN_FILE
            elif needed:
                raise
            else:
                return {}
    found, _ = load(WorkspaceConfig, file)
    return {key: str(getattr(found, key)) for key in _KEYS}
