"""Run a program of the SDK on the local service, with the workspaces that it asks for."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

import click

from azureml_wrapper.connection.local import ensure_workspace, local_environment
from azureml_wrapper.connection.target import TARGET_VARIABLE, Scope
from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.local import clients, service_process
from azureml_wrapper.local.home import HOME_VARIABLE, REPORTS, Home, ServiceInfo, write_sitecustomize

# In the order in which `Workspace.from_config` looks (azureml/core/workspace.py): kind by kind, upwards from here.
CONFIG_PLACES = (".azureml", "aml_config", ".")
CONFIG_NAMES = ("config.json", "project.json")
# Files in which a program may name its subscription.
_SUFFIXES = (".json", ".yml", ".yaml", ".py", ".ipynb", ".env", ".toml", ".ini", ".cfg", ".sh")
MOST_FILES, MOST_FOLDERS, MOST_BYTES = 1000, 300, 1024 * 1024
# A token, and the address that issues it, have room for a limited number.
MOST_SUBSCRIPTIONS = 50
_GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_NAMED = re.compile(r"subscription\w*[\"']?\s*[:=]\s*[\"']([A-Za-z0-9][A-Za-z0-9-]{0,63})[\"']", re.IGNORECASE)
_OPTION = re.compile(r"--?\w*sub\w*(?:[-_]\w+)*[= ]([A-Za-z0-9][A-Za-z0-9-]{0,63})", re.IGNORECASE)
_SPEAKS_OF_ONE = re.compile("subscription|workspace", re.IGNORECASE)
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,200})[\"']")
# Windows has two of them.
_FORWARDED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
_END = "\n"
# Managed identities of other places, which azure-identity prefers to MSI_ENDPOINT alone.
_OTHER_IDENTITIES = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_SECRET")


def run_program(named: Scope | None, command: Sequence[str]) -> int:
    """Run a program on the service, report the workspaces that are created for it, and return its exit code.

    The exit code of a program that a signal ended is minus the signal's number.

    Args:
        named: The workspace to prepare; by default that of the config here.

    Raises:
        UsageError: The program cannot be started, or the names of the workspace are invalid.
    """
    home, scope = Home(), named or configured_scope()
    info = service_process.start(home)
    subscriptions = [scope.subscription_id] if scope else []
    subscriptions += named_subscriptions(command, os.environ, Path.cwd())
    with _reports(home) as program:
        if scope:
            # The program may not use the config; if it does, the SDK reports what is wrong with the names.
            with contextlib.nullcontext() if named else contextlib.suppress(click.UsageError):
                _prepare(scope, info, program)
        return _run(command, _environment(home, info, program, list(dict.fromkeys(subscriptions))))


def configured_scope(start: Path | None = None) -> Scope | None:
    """The workspace that `Workspace.from_config()` would find from `start`, or None."""
    file = _config_file((start or Path.cwd()).absolute())
    return _read_scope(file) if file else None


def named_subscriptions(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> list[str]:
    """The subscriptions that a program may ask for, most likely ones first.

    The SDK refuses a subscription that the service has not listed, before it names the workspace
    (azureml/core/authentication.py). So what the command, the environment and the files around name is listed.
    """
    found = _OPTION.findall(" ".join(command)) + _GUID.findall(" ".join(command))
    found += [value for name, value in environment.items() if "SUBSCRIPTION" in name.upper()]
    named = [file for part in command if (file := _existing(folder / part.rpartition("=")[2]))]
    texts = [" ".join(command), *map(_read, named)]
    files = [*named, *_mentioned(texts, (folder, *(file.parent for file in named)))]
    files += itertools.islice(_below((folder, *(file.parent for file in named))), MOST_FILES)
    for text in (" ".join(command), *map(_read, dict.fromkeys(files))):
        found += _NAMED.findall(text)
        found += _GUID.findall(text) if _SPEAKS_OF_ONE.search(text) else []
    return list(dict.fromkeys(name for name in found if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", name)))


def _mentioned(texts: Iterable[str], folders: Iterable[Path]) -> Iterator[Path]:
    """The files that strings in a program name, and the configs of the folders that they name."""
    for text in texts:
        for quoted in dict.fromkeys(_QUOTED.findall(text)):
            if "/" not in quoted and not quoted.endswith(_SUFFIXES):
                continue
            for folder in folders:
                with contextlib.suppress(OSError, RuntimeError):
                    place = folder / Path(quoted).expanduser()
                    file = _config_file(place.resolve()) if place.is_dir() else _existing(place)
                    if file:
                        yield file


def _below(folders: Iterable[Path]) -> Iterator[Path]:
    """Files that may name a subscription, of folders and those below them, breadth first."""
    waiting = list(dict.fromkeys(folders))
    for place in itertools.islice(waiting, MOST_FOLDERS):
        with contextlib.suppress(OSError):
            entries = sorted(place.iterdir())
            yield from (entry for entry in entries if _may_name_one(entry.name) and entry.is_file())
            # The list grows while it is read.
            waiting += [entry for entry in entries if entry.is_dir() and _is_looked_into(entry)]


def _is_looked_into(folder: Path) -> bool:
    """Whether a folder is neither one of a tool (`.git`, `node_modules`, a virtual environment) nor a link."""
    hidden = folder.name.startswith(".") and folder.name != ".azureml"
    is_of_tool = hidden or folder.name == "node_modules" or (folder / "pyvenv.cfg").exists()
    return not is_of_tool and not folder.is_symlink()


def _may_name_one(file: str) -> bool:
    return file.endswith(_SUFFIXES) or file.startswith(".env")


def _existing(file: Path) -> Path | None:
    with contextlib.suppress(OSError, ValueError):
        return file if _may_name_one(file.name) and file.is_file() else None
    return None


def _read(file: Path) -> str:
    with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(MOST_BYTES)
    return ""


def _config_file(folder: Path) -> Path | None:
    for place in CONFIG_PLACES:
        for name in CONFIG_NAMES:
            for parent in (folder, *folder.parents):
                if (file := parent / place / name).is_file():
                    return file
    return None


def _read_scope(file: Path) -> Scope | None:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        names = [config[key] for key in ("subscription_id", "resource_group", "workspace_name")]
    except (OSError, ValueError, KeyError, TypeError):
        names = []
    # Not the config of a workspace: the program may use it for something else; if not, the SDK complains.
    return Scope(*names) if names and all(isinstance(name, str) and name for name in names) else None


def _prepare(scope: Scope, info: ServiceInfo, program: str) -> None:
    """Ask for a workspace as the program would: it is created if it is missing."""
    try:
        ensure_workspace(info, scope, program)
    except ConnectionFailed as error:
        raise click.UsageError(str(error)) from error


def _environment(home: Home, info: ServiceInfo, program: str, subscriptions: Sequence[str]) -> dict[str, str]:
    given = local_environment(home, info, subscriptions[:MOST_SUBSCRIPTIONS], program)
    given |= {TARGET_VARIABLE: "local", HOME_VARIABLE: str(home.path)}
    kept = {name: value for name, value in os.environ.items() if name not in _OTHER_IDENTITIES}
    return {**kept, **given, "PYTHONPATH": _python_path(home)}


def _python_path(home: Home) -> str:
    """The user's PYTHONPATH after the folder with which programs refuse an SDK that would leave this machine."""
    folder = write_sitecustomize(home, Path(clients.__file__).read_bytes())
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(folder)]
    return os.pathsep.join([str(folder), *given])


@contextlib.contextmanager
def _reports(home: Home) -> Iterator[str]:
    """Print to standard error what the service reports to the program of the name that is yielded."""
    program = secrets.token_hex(8)
    path = home.path / REPORTS / program
    path.parent.mkdir(exist_ok=True, mode=0o700)
    os.mkfifo(path, 0o600)
    # Open for writing, too: reading does not end when the service closes its side.
    with path.open("r+b", buffering=0) as pipe, open(pipe.fileno(), encoding="utf-8", closefd=False) as lines:
        printer = threading.Thread(target=_print_lines, args=(lines,))
        printer.start()
        try:
            yield program
        finally:
            pipe.write(_END.encode())
            printer.join()
            path.unlink()


def _print_lines(lines: TextIO) -> None:
    for line in iter(lines.readline, _END):
        click.echo(line, nl=False, err=True)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if not started:
            # The program may run already, although Popen has not returned.
            early.append(number)
            return
        # In a terminal, Ctrl-C reaches the program, too.
        if number != signal.SIGINT or not any(map(os.isatty, (0, 1, 2))):
            started[0].send_signal(number)

    for number in _FORWARDED:
        # What is ignored, as by nohup, the program ignores, too.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)
    try:
        started.append(subprocess.Popen(list(command), env=environment))
    except FileNotFoundError as error:
        raise click.UsageError(f"Program not found: {command[0]!r}.") from error
    except OSError as error:
        raise click.UsageError(f"Cannot run {command[0]!r}: {error.strerror}.") from error
    for received in early:
        forward(received, None)
    return started[0].wait()
