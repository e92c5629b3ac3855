"""What `aml local exec` does: give a program an environment in which Azure ML is this machine."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import click

from azureml_wrapper.connection.local import connect_local, local_environment
from azureml_wrapper.connection.target import TARGET_VARIABLE, Scope
from azureml_wrapper.local import control
from azureml_wrapper.local.home import HOME_VARIABLE, Home, ServiceInfo
from azureml_wrapper.local.tokens import Tokens

# In the order in which `Workspace.from_config` looks (azureml/core/workspace.py): kind by kind, upwards from here.
CONFIG_PLACES = (".azureml", "aml_config", ".")
CONFIG_NAMES = ("config.json", "project.json")


def parse_scope(text: str) -> Scope:
    """`SUB/RG/NAME` taken apart."""
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"{text!r} is not SUBSCRIPTION/RESOURCE_GROUP/NAME.", param_hint="--workspace")
    return Scope(*parts)


def configured_scope(start: Path | None = None) -> Scope | None:
    """The workspace that `Workspace.from_config()` would find from `start`; None where there is no config."""
    folder = (start or Path.cwd()).absolute()
    for place in CONFIG_PLACES:
        for name in CONFIG_NAMES:
            for parent in (folder, *folder.parents):
                if (file := parent / place / name).is_file():
                    return _read_scope(file)
    return None


def _read_scope(file: Path) -> Scope | None:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return Scope(config["subscription_id"], config["resource_group"], config["workspace_name"])
    except (ValueError, KeyError, TypeError):
        # Not a workspace's config: the program may have another use for it, and the SDK will say what it misses.
        return None


def replace_process(command: Sequence[str], home: Home, scope: Scope | None) -> None:
    """Turn this process into the program; its exit code becomes ours."""
    info = control.start(home)
    if scope and not _exists(scope, info):
        connect_local(scope, home)
    environment = {**os.environ, **local_environment(home, info)}
    environment |= {TARGET_VARIABLE: "local", HOME_VARIABLE: str(home.path)}
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the user's own program
    except FileNotFoundError as error:
        raise click.UsageError(f"There is no program {command[0]!r}.") from error


def _exists(scope: Scope, info: ServiceInfo) -> bool:
    """Asked without the SDK, whose import takes seconds."""
    path = (
        f"/subscriptions/{scope.subscription_id}/resourceGroups/{scope.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{scope.name}"
    )
    request = urllib.request.Request(f"http://127.0.0.1:{info.port}{urllib.parse.quote(path)}")
    request.add_header("Authorization", f"Bearer {Tokens(info.secret).user()}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
            return True
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
