"""Start, stop and describe the local service; run a program for which it is Azure ML."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sqlite3
import sys
import urllib.error
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich import filesize

from azureml_wrapper.cli.work.output import show_json
from azureml_wrapper.connection.local import ask, connect_local, connection_strings, local_environment
from azureml_wrapper.connection.target import TARGET_VARIABLE, Scope
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import HOME_VARIABLE, Home, ServiceInfo
from azureml_wrapper.local.service_process import ServiceError

STAY = 0.0  # never exit for lack of work
# In the order in which `Workspace.from_config` looks (azureml/core/workspace.py): kind by kind, upwards from here.
CONFIG_PLACES = (".azureml", "aml_config", ".")
CONFIG_NAMES = ("config.json", "project.json")
# `subscription_id="…"`, `"subscription_id": "…"`, `SUBSCRIPTION=…`, `--subscription …`: as people name one.
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SUBSCRIPTION = re.compile(rf"subscription[^\n]{{0,40}}?({_GUID})", re.IGNORECASE)
_NAMING = {".cfg", ".env", ".ini", ".ipynb", ".json", ".py", ".sh", ".toml", ".yaml", ".yml"}
MOST_SUBSCRIPTIONS, MOST_FILES, MOST_FOLDERS, MOST_BYTES = 20, 1000, 300, 2**20


def up(*, foreground: bool, port: int | None) -> None:
    """Start the service, or with `foreground` become it.

    Raises:
        ServiceError: The service runs already, on another port or in the background.
    """
    home = Home()
    if foreground:
        _become(home, port)
    info = service_process.start(home, port=port, idle=STAY)
    if port and info.port != port:
        raise ServiceError(f"The service runs already, on port {info.port}. `aml local down` stops it.")
    click.echo(f"The local Azure ML runs at http://127.0.0.1:{info.port} (pid {info.pid}, home {home.path}).")


def down() -> None:
    """Stop the service, and warn that schedules do not run without it."""
    home = Home()
    stopped = service_process.stop(home)
    click.echo(f"Stopped (home {home.path})." if stopped else f"No service runs (home {home.path}).")
    if _enabled_schedules(home.database)[0]:
        click.echo(f"Schedules: {describe_schedules(home.database, runs=False)}.")


def status(*, as_json: bool) -> None:
    """Print the description of the service: line by line, or as JSON with the keys of its storage."""
    if as_json:
        show_json(report(Home()))
        return
    for name, value in describe(Home()).items():
        click.echo(f"{name:<10}{value}")


def reset(*, yes: bool) -> None:
    """Stop the service and delete everything in its home; ask first, unless `yes`."""
    home = Home()
    if not yes:
        click.confirm(f"Delete all workspaces, data and runs below {home.path}?", abort=True)
    service_process.stop(home)
    home.clear()
    click.echo(f"Deleted everything below {home.path}.")


def exec_(workspace: str | None, command: Sequence[str]) -> None:
    """Turn this process into the program, whose exit code becomes ours."""
    scope = parse_scope(workspace) if workspace else configured_scope()
    home = Home()
    info = service_process.start(home)
    if scope and not _exists(scope, info):
        connect_local(scope, home)
    environment = {**os.environ, **local_environment(home, info, named_subscriptions(command, Path.cwd()))}
    environment |= {TARGET_VARIABLE: "local", HOME_VARIABLE: str(home.path)}
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the user's own program
    except FileNotFoundError as error:
        raise click.UsageError(f"Program not found: {command[0]!r}.") from error


def describe(home: Home) -> dict[str, str]:
    """What `aml local status` prints, whether the service runs or not."""
    info = service_process.find(home)
    runs = ", ".join(f"{count} {status}" for status, count in count_runs(home.database).items())
    return {
        "service": f"runs (pid {info.pid})" if info else "does not run",
        "address": f"http://127.0.0.1:{info.port}" if info else "-",
        "home": str(home.path),
        "size": filesize.decimal(size(home.path)),
        "runs": runs or "none",
        "schedules": describe_schedules(home.database, runs=info is not None),
    }


def report(home: Home) -> dict[str, Any]:
    """What `aml local status --json` prints."""
    info = service_process.find(home)
    enabled, following = _enabled_schedules(home.database)
    return {
        "running": info is not None,
        "pid": info.pid if info else None,
        "address": f"http://127.0.0.1:{info.port}" if info else None,
        "home": str(home.path),
        "bytes": size(home.path),
        "runs": count_runs(home.database),
        "schedules": {"enabled": enabled, "next": following},
        "storage": connection_strings(info) if info else {},
    }


def count_runs(database: Path) -> dict[str, int]:
    """Status -> number of runs of all kinds, read from the database, so that the service need not run."""
    return dict(_read(database, "SELECT status, count(*) FROM runs GROUP BY status ORDER BY status"))


def describe_schedules(database: Path, *, runs: bool) -> str:
    """How many schedules are enabled, and when the next one fires; `runs` is whether the service does."""
    count, following = _enabled_schedules(database)
    if not count:
        return "none enabled"
    when = f", the next fires at {following[:19].replace('T', ' ')} UTC" if following else ""
    means = "the service stays up for them" if runs else "none fires until the service runs again (`aml local up`)"
    return f"{count} enabled{when}; {means}"


def size(folder: Path) -> int:
    """Bytes of all files below a folder, except files that disappear meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total


def parse_scope(text: str) -> Scope:
    """Parse `SUBSCRIPTION/RESOURCE_GROUP/NAME`."""
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"must be SUBSCRIPTION/RESOURCE_GROUP/NAME, got {text!r}.", param_hint="--workspace")
    return Scope(*parts)


def configured_scope(start: Path | None = None) -> Scope | None:
    """The workspace that `Workspace.from_config()` would find from `start`, or None."""
    folder = (start or Path.cwd()).absolute()
    for place in CONFIG_PLACES:
        for name in CONFIG_NAMES:
            for parent in (folder, *folder.parents):
                if (file := parent / place / name).is_file():
                    return _read_scope(file)
    return None


def named_subscriptions(command: Sequence[str], folder: Path) -> list[str]:
    """The ids of subscriptions that a program may name: in its arguments, the environment, or files below `folder`.

    The SDK asks which subscriptions there are, and refuses any other before it names the one that it wants.
    """
    environment = (f"{name}={value}" for name, value in os.environ.items())
    written = itertools.chain([" ".join(command)], environment, _contents(folder))
    ids = (found.lower() for text in written for found in _SUBSCRIPTION.findall(text))
    return list(dict.fromkeys(ids))[:MOST_SUBSCRIPTIONS]


def _contents(folder: Path) -> Iterator[str]:
    """The content of files in which programs name their workspace, those near `folder` first, up to `MOST_FILES`."""
    files = (file for file in _files(folder) if file.suffix in _NAMING or file.name.startswith(".env"))
    for file in itertools.islice(files, MOST_FILES):
        with contextlib.suppress(OSError):
            if file.stat().st_size <= MOST_BYTES:
                yield file.read_text(encoding="utf-8", errors="ignore")


def _files(folder: Path) -> Iterator[Path]:
    """The files of up to `MOST_FOLDERS` folders, breadth first, without those of tools (`.git`, `.venv`)."""
    folders = [folder]
    for place in itertools.islice(folders, MOST_FOLDERS):
        with contextlib.suppress(OSError):
            entries = sorted(place.iterdir())
            yield from (entry for entry in entries if entry.is_file())
            # The list grows while it is read.
            folders += [entry for entry in entries if entry.is_dir() and _is_looked_into(entry)]


def _is_looked_into(folder: Path) -> bool:
    hidden = folder.name.startswith(".") and folder.name != ".azureml"
    return not hidden and not folder.is_symlink() and not (folder / "pyvenv.cfg").exists()


def _become(home: Home, port: int | None) -> None:
    """Turn this process into the service."""
    running = service_process.find(home)
    if running:
        raise ServiceError(f"The service runs already (pid {running.pid}). `aml local down` stops it.")
    print(f"The local Azure ML, home {home.path}. Ctrl-C stops it.", flush=True)
    options = ["--home", str(home.path), "--idle", str(STAY), *(["--port", str(port)] if port else [])]
    os.execv(sys.executable, [sys.executable, "-m", "azureml_wrapper.local.server", *options])  # noqa: S606 - no shell is wanted


def _enabled_schedules(database: Path) -> tuple[int, str | None]:
    """How many schedules are enabled, and when the next of them fires."""
    rows = _read(database, "SELECT count(*), min(next_fire) FROM schedules WHERE is_active")
    return rows[0] if rows else (0, None)


def _read(database: Path, sql: str) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            # A service was killed while it first made its tables, or the database is older.
            return []


def _read_scope(file: Path) -> Scope | None:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return Scope(config["subscription_id"], config["resource_group"], config["workspace_name"])
    except (ValueError, KeyError, TypeError):
        # Not the config of a workspace: the program may use it for something else; if not, the SDK complains.
        return None


def _exists(scope: Scope, info: ServiceInfo) -> bool:
    """Whether the service has the workspace; asked without the SDK, whose import takes seconds."""
    path = (
        f"/subscriptions/{scope.subscription_id}/resourceGroups/{scope.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{scope.name}"
    )
    try:
        ask(info, urllib.parse.quote(path))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True
