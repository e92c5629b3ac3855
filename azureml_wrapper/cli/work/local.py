"""Start, stop and describe the local service."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich import filesize

from azureml_wrapper.cli.work.output import show_json
from azureml_wrapper.cli.work.programs import run_program
from azureml_wrapper.connection.local import connection_strings
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.service_process import ServiceError
from azureml_wrapper.local.store import garbage
from azureml_wrapper.local.store.database import damage

_AGES = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
STAY = 0.0  # never exit for lack of work


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


def prune(*, older_than: str, down_to: str | None, yes: bool) -> None:
    """Print what nothing needs, and with `yes` delete it.

    Raises:
        ServiceError: The service runs, or something could not be deleted.
    """
    home = Home()
    before = time.time() - parse_amount(older_than, _AGES, "--older-than")
    limit = parse_amount(down_to, _SIZES, "--down-to") if down_to else None
    if not yes:
        show_garbage(garbage.chosen(garbage.find(home, before), size(home.path), limit))
        click.echo("Nothing was deleted. `aml local prune --yes` deletes it.")
        return
    if not home.path.is_dir():
        raise ServiceError(f"{home.path} does not exist.")
    with service_process.stopped(home):
        found = garbage.chosen(garbage.find(home, before), size(home.path), limit)
        show_garbage(found)
        for item in found:
            try:
                garbage.delete(item.path)
            except OSError as error:
                raise ServiceError(f"Cannot delete {item.path}: {error.strerror}.") from error
    click.echo(f"Deleted them: {filesize.decimal(sum(item.size for item in found))} more are free.")


def show_garbage(found: Sequence[garbage.Garbage]) -> None:
    """Print a line for each kind: how many, and what deleting them frees."""
    for kind in dict.fromkeys(item.kind for item in found):
        sizes = [item.size for item in found if item.kind == kind]
        click.echo(f"{kind:<24}{len(sizes):>6}  {filesize.decimal(sum(sizes)):>10}")
    if not found:
        click.echo("No results.")


def parse_amount(text: str, units: Mapping[str, int], option: str) -> int:
    """Parse a number with a unit, such as 7d or 5GB."""
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]+)", text.strip())
    if match is None or match[2].lower() not in units:
        raise click.BadParameter(f"must be a number and one of {', '.join(units)}, got {text!r}.", param_hint=option)
    return int(match[1]) * units[match[2].lower()]


def exec_(workspace: str | None, command: Sequence[str]) -> None:
    """Run a program on the service, and end as it does.

    Raises:
        UsageError: The program cannot be started, or `workspace` is invalid.
    """
    code = run_program(parse_scope(workspace) if workspace else None, command)
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    raise SystemExit(code)


def parse_scope(text: str) -> Scope:
    """Parse `SUBSCRIPTION/RESOURCE_GROUP/NAME`."""
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"must be SUBSCRIPTION/RESOURCE_GROUP/NAME, got {text!r}.", param_hint="--workspace")
    return Scope(*parts)


def describe(home: Home) -> dict[str, str]:
    """What `aml local status` prints, whether the service runs or not."""
    info = service_process.find(home)
    runs = ", ".join(f"{count} {status}" for status, count in count_runs(home.database).items())
    return {
        "service": f"runs (pid {info.pid})" if info else "does not run",
        "address": f"http://127.0.0.1:{info.port}" if info else "-",
        "python": info.python or "-" if info else "-",
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
        "python": info.python or None if info else None,
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


def _become(home: Home, port: int | None) -> None:
    """Turn this process into the service."""
    service_process.check_system()
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
        except sqlite3.DatabaseError as error:
            raise ServiceError(damage(str(database), str(error))) from error
