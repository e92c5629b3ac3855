"""What `aml local up` and `aml local status` do with the service of a home."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from azureml_wrapper.local import control
from azureml_wrapper.local.control import ServiceError
from azureml_wrapper.local.home import Home, ServiceInfo

STAY = 0.0  # never leave for want of work


def start(home: Home, port: int | None) -> ServiceInfo:
    """The service, on `port` where that is given; `ServiceError` where it runs on another one."""
    info = control.start(home, port=port, idle=STAY)
    if port and info.port != port:
        raise ServiceError(f"The service runs already, on port {info.port}. `aml local down` stops it.")
    return info


def become(home: Home, port: int | None) -> None:
    """Turn this process into the service."""
    running = control.find(home)
    if running:
        raise ServiceError(f"The service runs already (pid {running.pid}). `aml local down` stops it.")
    print(f"The local Azure ML, home {home.path}. Ctrl-C stops it.", flush=True)
    options = ["--home", str(home.path), "--idle", str(STAY), *(["--port", str(port)] if port else [])]
    os.execv(sys.executable, [sys.executable, "-m", "azureml_wrapper.local.server", *options])  # noqa: S606 - no shell is wanted


def describe(home: Home) -> dict[str, str]:
    """What `aml local status` prints, whether the service runs or not."""
    info = control.find(home)
    runs = ", ".join(f"{count} {status}" for status, count in count_runs(home.database).items())
    return {
        "service": f"runs (pid {info.pid})" if info else "does not run",
        "address": f"http://127.0.0.1:{info.port}" if info else "-",
        "home": str(home.path),
        "size": f"{size(home.path) / 2**20:.1f} MiB",
        "runs": runs or "none",
        "schedules": describe_schedules(home.database, runs=info is not None),
    }


def count_runs(database: Path) -> dict[str, int]:
    """Status → number of runs of all kinds, read from the database: the service need not run for it."""
    return dict(_read(database, "SELECT status, count(*) FROM runs GROUP BY status ORDER BY status"))


def count_schedules(database: Path) -> int:
    """Those that are enabled."""
    return _enabled(database)[0]


def describe_schedules(database: Path, *, runs: bool) -> str:
    """How many schedules are enabled, and when the next of them fires; `runs` is whether the service does."""
    count, following = _enabled(database)
    if not count:
        return "none enabled"
    when = f", the next fires at {following[:19].replace('T', ' ')} UTC" if following else ""
    means = "the service stays up for them" if runs else "none fires until the service runs again (`aml local up`)"
    return f"{count} enabled{when}; {means}"


def _enabled(database: Path) -> tuple[int, str | None]:
    """How many schedules are enabled, and the next instant of any."""
    rows = _read(database, "SELECT count(*), min(next_fire) FROM schedules WHERE is_active")
    return rows[0] if rows else (0, None)


def _read(database: Path, sql: str) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            # A service that was killed while it made its tables for the first time, or an older one's.
            return []


def size(folder: Path) -> int:
    """Bytes of all files below a folder; files that go away meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total
