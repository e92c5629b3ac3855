"""Find, start and stop the service of a home folder, from another process. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from azureml_wrapper.local.home import Home, ServiceInfo, refusal

# None on Windows; `Any`, because mypy looks for the module on the system that it runs on.
fcntl: Any = None
with contextlib.suppress(ImportError):
    fcntl = importlib.import_module("fcntl")

START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0


class ServiceError(RuntimeError):
    """The local service did not start or stop. The message says why, and what to do."""


def check_system() -> None:
    """Raise `ServiceError` on a system without what the service consists of, that is on Windows."""
    if fcntl is None:
        raise ServiceError(
            "The local Azure ML runs on Linux, macOS and WSL 2, not on Windows itself: run this command in WSL 2 "
            "(`wsl --install`), or use a workspace in Azure."
        )


def find(home: Home | None = None) -> ServiceInfo | None:
    """The running service of a home, or None."""
    home = home or Home()
    if not _is_locked(home):
        return None
    found = home.read_service()
    # A service that is about to start holds the lock, while service.json is that of a killed one.
    return found if found and _exists(found.pid) else None


def start(home: Home | None = None, *, port: int | None = None, idle: float | None = None) -> ServiceInfo:
    """The running service of a home; started if needed.

    Processes that call this at the same time get the same service.

    Args:
        home: The home folder; AZUREML_WRAPPER_HOME by default.
        port: The port to listen on; by default that of the last start.
        idle: Seconds without work after which the service stops; 0 for never.

    Raises:
        ServiceError: The service did not start (the message has the end of service.log), or it cannot be reached,
            because it runs in another network namespace.
    """
    check_system()
    home = home or Home()
    found = find(home)
    if found:
        _check_namespace(home, found)
        return found
    log = _open_log(home)
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "azureml_wrapper.local.server", "--home", str(home.path)]
    command += ["--ready-fd", str(writer)]
    command += ["--port", str(port)] if port else []
    command += ["--idle", str(idle)] if idle is not None else []
    with log:
        begin = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            start_new_session=True,
            cwd=home.path,
            env=_environment(),
        )
    os.close(writer)
    with os.fdopen(reader) as answers:
        answer = answers.read()
    if not answer:
        process.wait()
        raise ServiceError(f"The local service did not start.\n{_tail(home, begin)}")
    return _await_service(home, begin)


def stop(home: Home | None = None) -> bool:
    """Stop the service of a home and wait for its end. Returns False if none was running."""
    home = home or Home()
    info = find(home)
    if info is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(info.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while _is_locked(home):
        if time.monotonic() > deadline:
            raise ServiceError(f"The local service (pid {info.pid}) did not stop within {STOP_TIMEOUT:.0f} s.")
        time.sleep(0.01)
    return True


@contextlib.contextmanager
def stopped(home: Home) -> Iterator[None]:
    """Keep the service of a home from starting during a `with` block; raise `ServiceError` if it runs."""
    try:
        file = home.lock_file.open("a")
    except OSError as error:
        raise ServiceError(refusal(home, error)) from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(
                f"The service of {home.path} runs. Stop it first: `aml local down` loses nothing."
            ) from error
        yield


@contextlib.contextmanager
def running(home: Path | str) -> Iterator[ServiceInfo]:
    """A service for a `with` block. It is stopped at the end, even if it was running before."""
    folder = Home(home)
    try:
        yield start(folder)
    finally:
        stop(folder)


def _exists(pid: int) -> bool:
    """Whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _check_namespace(home: Home, info: ServiceInfo) -> None:
    """Each network namespace has its own 127.0.0.1: connections to a service in another one would be refused."""
    try:
        elsewhere = Path(f"/proc/{info.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return
    if elsewhere:
        raise ServiceError(
            f"The local service of {home.path} (pid {info.pid}) runs in another network namespace and cannot be "
            "reached. Stop it with `aml local down`, or set AZUREML_WRAPPER_HOME to another folder."
        )


def _open_log(home: Home) -> IO[bytes]:
    """Prepare the home; raise `ServiceError` if it cannot be written to."""
    try:
        home.create()
        home.log_file.touch(mode=0o600)
        return home.log_file.open("ab")
    except OSError as error:
        raise ServiceError(refusal(home, error)) from error


def _is_locked(home: Home) -> bool:
    if fcntl is None:
        return False
    try:
        descriptor = _open_lock(home)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise ServiceError(
            f"The home folder {home.path} belongs to another user. Set AZUREML_WRAPPER_HOME to a folder of yours."
        ) from error
    except OSError as error:
        raise ServiceError(refusal(home, error)) from error
    try:
        # A shared lock, so that two clients that check at the same time do not take each other for the service.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _open_lock(home: Home) -> int:
    try:
        return os.open(home.lock_file, os.O_RDWR)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        # A service may run nevertheless; network file systems lock only what is open for writing.
        return os.open(home.lock_file, os.O_RDONLY)


def _await_service(home: Home, begin: int) -> ServiceInfo:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        found = find(home)
        if found:
            return found
        time.sleep(0.01)
    raise ServiceError(f"The local service did not start within {START_TIMEOUT:.0f} s.\n{_tail(home, begin)}")


def _environment() -> dict[str, str]:
    """The user's environment without the variables that change how Python starts."""
    dropped = {"PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONPROFILEIMPORTTIME"}
    return {key: value for key, value in os.environ.items() if key not in dropped}


def _tail(home: Home, begin: int, size: int = 2000) -> str:
    """The end of service.log; nothing that was written before `begin`."""
    with home.log_file.open("rb") as log:
        log.seek(max(begin, home.log_file.stat().st_size - size))
        return f"The end of {home.log_file}:\n{log.read().decode(errors='replace')}"
