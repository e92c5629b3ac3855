"""Starts jobs by forking a process that has already imported the SDK (zygote.py), if that makes no difference.

A job starts cold if the fork would differ from a new process: it has another interpreter, other values of variables
that libraries read during their import, or a folder whose modules would hide an imported one. The log says why.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_wrapper.local.executor import launcher, zygote
from azureml_wrapper.local.executor.overlay import base_of
from azureml_wrapper.local.executor.process import (
    ColdStarter,
    Process,
    ProcessId,
    end_family,
    shell,
    start_ticks,
)
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE

# Read by the interpreter, the C library or numerical libraries only while they are loaded.
READ_AT_IMPORT = re.compile(
    r"(PYTHON|LD_|LC_|OMP_|MKL_|OPENBLAS_|GOTO_|GOTOBLAS_|BLIS_|VECLIB_|NUMEXPR_|NPY_|NUMPY_|NVPL_|ARROW_|MALLOC_|KMP_|"
    r"PANDAS_|RUST_|AZURE_CORE_|AUTOML_|DPREP_|AZUREML_(DEFAULT|DPREP|LOG|OTEL|RUN_POLLING)).*"
    r"|HOME|LANG|LANGUAGE|TZ|TMPDIR|TEMP|TMP|AML_APP_ROOT|AZURE_SERVICE|ENABLE_SPAN_JSONL|ARM_CLOUD_METADATA_URL"
    r"|(AIOHTTP|FROZENLIST|MULTIDICT|PROPCACHE|YARL)_NO_EXTENSIONS|SSLKEYLOGFILE"
    r"|AZURE_CONFIG_DIR|AZUREML_CURRENT_CLOUD|HBI_WORKSPACE_JOB"
)
# Set it for a job in its run configuration, for the service in its shell.
WARM_VARIABLE = "AZUREML_WRAPPER_WARM"
ORDER_SECONDS = 10.0
_INSTALLER = re.compile(rb"\b(pip|pip3|ensurepip|easy_install)\b")
_SOURCES = (".py", ".sh")
# execve(2) on Linux: 32 pages per word, and a quarter of the usual 8 MB stack in total.
LONGEST_WORD = 131_072
LONGEST_COMMAND = 2 * 1024 * 1024
# Each takes about 200 MB.
MOST_PRELOADED = 4
IDLE_SECONDS = 600.0

log = logging.getLogger("azureml_wrapper.local")

Kind = tuple[str, frozenset[tuple[str, str]]]


class ForkError(OSError):
    """The preloaded process could not fork, or is gone."""


@dataclass
class _Child:
    """One forked job, as far as the zygote has reported it."""

    number: int
    pid: int | None = None
    error: str | None = None
    code: int | None = None
    is_given_up: bool = False
    is_told_to_go: bool = False
    told: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    reaped: threading.Event = field(default_factory=threading.Event)

    def note(self, message: Mapping[str, Any]) -> None:
        if "pid" in message or "error" in message:
            self.pid, self.error = message.get("pid"), message.get("error")
            self.told.set()
        elif "code" in message:
            self.code = message["code"]
            self.reaped.set()
        else:
            self.ended.set()

    def lose(self) -> None:
        """The zygote is gone, and will report nothing more."""
        self.error = self.error or "the preloaded process is gone"
        for event in (self.told, self.ended, self.reaped):
            event.set()


class Preloaded:
    """One zygote: an interpreter with its variables. Starts in the background; ends when idle or closed."""

    def __init__(self, interpreter: str, variables: Mapping[str, str], idle: float = IDLE_SECONDS) -> None:
        self.modules: list[str] | None = None
        self._places: dict[str, int] = {}
        self._idle, self._lock = idle, threading.Lock()
        self._children: dict[int, _Child] = {}
        self._count = 0
        self._is_over = False
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [interpreter, zygote.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                umask=shell().umask,
            )
        shell().limit(self._process.pid)
        threading.Thread(target=self._listen, name=f"preloaded {interpreter}", daemon=True).start()

    @property
    def is_ready(self) -> bool:
        return self.modules is not None and self.is_alive

    @property
    def is_alive(self) -> bool:
        return not self._is_over and self._process.poll() is None

    @property
    def is_outdated(self) -> bool:
        """Whether packages have been installed since: a new process would import those."""
        return any(_changed(place) != changed for place, changed in self._places.items())

    def fork(self, order: dict[str, Any]) -> _Child:
        """Request a child, and wait until it exists; `ForkError` if it does not."""
        with self._lock:
            if self._is_over:
                raise ForkError("the preloaded process has ended")
            self._count += 1
            child = self._children[self._count] = _Child(self._count)
        self._send({**order, "job": child.number})
        child.told.wait(ORDER_SECONDS)
        with self._lock:
            if child.pid is not None:
                return child
            if child.told.is_set():
                del self._children[child.number]
            child.is_given_up = True
        raise ForkError(child.error or "the preloaded process does not answer")

    def go(self, child: _Child) -> None:
        """Let a child begin."""
        # If the zygote is gone, so is the child: it waits for this word, or for the end of who says it.
        with contextlib.suppress(ForkError):
            self._send({"go": child.number})

    def reap(self, child: _Child) -> int | None:
        """The exit code of a child that has ended; None if the zygote is gone, too."""
        if child.code is None and child.error is None:
            self._send({"reap": child.number})
            child.reaped.wait(ORDER_SECONDS)
        with self._lock:
            self._children.pop(child.number, None)
        return child.code

    def close_unless_used(self) -> bool:
        """End the zygote if it has no children any more. Returns whether it has ended."""
        if self.is_alive:
            if self._is_in_use():
                return False
            self.close()
        return True

    def close(self) -> None:
        """End the zygote; its children continue."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ForkError(f"the preloaded process is gone: {error}") from error

    def _listen(self) -> None:
        """Handle the zygote's messages until it is gone or has been idle for too long."""
        self._connection.settimeout(self._idle)
        try:
            self._read()
        except OSError:
            log.info("the preloaded process %s is gone", self._process.pid)
        finally:
            # Whatever happened: jobs wait for their children.
            self._end()

    def _read(self) -> None:
        waiting = b""
        while True:
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                if self._is_in_use():
                    continue
                return
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                self._note(json.loads(line))

    def _is_in_use(self) -> bool:
        """Whether the zygote is needed. If not, it accepts no orders any more: their results would be lost."""
        with self._lock:
            self._is_over = not self._children and self.modules is not None
            return not self._is_over

    def _note(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._places, self.modules = message["places"], message["ready"]
            return
        with self._lock:
            child = self._children.get(message["job"])
            if child:
                child.note(message)
        if child and child.is_given_up:
            self._discard_late_child(child, message)

    def _discard_late_child(self, child: _Child, message: Mapping[str, Any]) -> None:
        """End a child that came too late: its job has been started cold in the meantime."""
        if child.pid and "pid" in message:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        elif "ended" in message:
            # If the zygote is gone, too, the next access will notice.
            with contextlib.suppress(ForkError):
                self._send({"reap": child.number})
        else:
            with self._lock:
                self._children.pop(child.number, None)

    def _end(self) -> None:
        self._is_over = True
        with self._lock:
            children = list(self._children.values())
        for child in children:
            child.lose()
        self._connection.close()
        self._process.wait()


class WarmProcess:
    """A job that was forked."""

    def __init__(self, preloaded: Preloaded, child: _Child, job_key: str) -> None:
        assert child.pid is not None  # noqa: S101 - fork() ensures it
        self._preloaded, self._child, self._job_key = preloaded, child, job_key
        self._identity = ProcessId(child.pid, start_ticks(child.pid))

    @property
    def identity(self) -> ProcessId:
        return self._identity

    def go(self) -> None:
        if not self._child.is_told_to_go:
            self._child.is_told_to_go = True
            self._preloaded.go(self._child)

    def wait(self) -> int:
        self.go()
        self._child.ended.wait()
        end_family(self._identity, self._job_key, grace=0)
        code = self._preloaded.reap(self._child)
        # The zygote only ends before its children if it is killed; they are killed then, too (see end_family above).
        return -9 if code is None else code

    def end(self) -> None:
        if not self._child.ended.is_set():
            end_family(self._identity, self._job_key)


class WarmStarter:
    """Forks if it can, else starts cold."""

    def __init__(self, idle: float = IDLE_SECONDS) -> None:
        self._cold, self._idle, self._lock = ColdStarter(), idle, threading.Lock()
        self._preloaded: dict[Kind, Preloaded] = {}
        self._outdated: list[Preloaded] = []

    def preload(self, interpreter: str, variables: Mapping[str, str]) -> None:
        """Preload an interpreter for later jobs, in the background."""
        kind = _kind(interpreter, variables)
        with self._lock:
            alive = {kind: known for kind, known in self._preloaded.items() if known.is_alive}
            self._preloaded = {kind: known for kind, known in alive.items() if not known.is_outdated}
            self._outdated += [known for known in alive.values() if known.is_outdated]
            self._outdated = [known for known in self._outdated if not known.close_unless_used()]
            if kind not in self._preloaded and len(self._preloaded) < MOST_PRELOADED:
                self._preloaded[kind] = Preloaded(interpreter, variables, self._idle)

    def await_ready(self, interpreter: str, variables: Mapping[str, str], seconds: float) -> bool:
        """Wait until an interpreter is preloaded for such variables."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (known := self._preloaded.get(_kind(interpreter, variables))) and known.is_ready:
                return True
            time.sleep(0.01)
        return False

    def why_cold(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> str | None:
        """Why a command cannot be forked; None if it can."""
        if len(command) < 3 or command[1] != launcher.__file__:
            return "it is not a script"
        if is_off(variables.get(WARM_VARIABLE, "")):
            return f"its variable {WARM_VARIABLE} is {variables[WARM_VARIABLE]!r}"
        preloaded = self._preloaded.get(_kind(base_of(command[0]), variables))
        if preloaded is None or not preloaded.is_alive:
            return "nothing is preloaded for this interpreter and the variables that libraries read at import"
        if not preloaded.is_ready:
            return "its preloaded process is not ready yet"
        if preloaded.is_outdated:
            return "packages were installed after its preloaded process had imported them"
        if _is_too_large(command, variables):
            return "its arguments and variables are larger than a process can take"
        if installer := _installer(command, folder):
            return f"it uses {installer}, and has to see what that installs"
        if hidden := _hidden_modules(preloaded.modules or (), folder / Path(command[2]).parent):
            return f"the script's folder has modules of its own called {', '.join(hidden)}"
        return None

    def explain(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> str:
        reason = self.why_cold(command, folder, variables)
        if reason is None:
            return "Warm start: forked from a process that has imported the SDK already."
        return f"Cold start: a new process, because {reason}."

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        if self.why_cold(command, folder, variables) is None:
            order = {"command": list(command), "folder": str(folder), "variables": dict(variables), "log": str(log)}
            try:
                return self._fork(self._preloaded[_kind(base_of(command[0]), variables)], order)
            except ForkError as error:
                with log.open("a") as file:
                    file.write(f"[local] Started cold after all: {error}.\n")
        return self._cold.start(command, folder=folder, variables=variables, log=log)

    def _fork(self, preloaded: Preloaded, order: dict[str, Any]) -> Process:
        child = preloaded.fork(order)
        return WarmProcess(preloaded, child, order["variables"].get(JOB_KEY_VARIABLE, ""))

    def close(self) -> None:
        """End all preloaded processes."""
        with self._lock:
            for preloaded in (*self._preloaded.values(), *self._outdated):
                preloaded.close()
            self._preloaded.clear()
            self._outdated.clear()


def is_off(value: str) -> bool:
    """Whether a value of `WARM_VARIABLE` turns warm starts off."""
    return value.lower() in ("0", "false", "off", "no")


def _changed(folder: str) -> int | None:
    """When an entry of a folder was last added or removed; None if the folder is gone."""
    with contextlib.suppress(OSError):
        return Path(folder).stat().st_mtime_ns
    return None


def _is_too_large(command: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether a command exceeds the limits of a new process: a job that only works as a fork would fail elsewhere."""
    words = [*command, *(f"{name}={value}" for name, value in variables.items())]
    sizes = [len(word.encode(errors="surrogateescape")) + 1 for word in words]
    return max(sizes) > LONGEST_WORD or sum(sizes) > LONGEST_COMMAND


def _kind(interpreter: str, variables: Mapping[str, str]) -> Kind:
    """What must be equal for a fork to be the same as a new process."""
    return interpreter, frozenset(item for item in variables.items() if READ_AT_IMPORT.fullmatch(item[0]))


def _installer(command: Sequence[str], folder: Path) -> str | None:
    """The first name of a package installer in the arguments and sources of a job.

    A fork keeps the modules that it has imported, even if the script then installs others.
    """
    sources = (path.read_bytes() for path in folder.rglob("*") if path.suffix in _SOURCES and path.is_file())
    words = " ".join(command[2:]).encode(errors="surrogateescape")
    found = next(filter(None, map(_INSTALLER.search, (words, *sources))), None)
    return found[0].decode() if found else None


def _hidden_modules(modules: Collection[str], folder: Path) -> list[str]:
    """Modules of a script's folder that a new process would import, while the fork has others of the same names."""
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    own = {path.stem for path in folder.glob("*.py")} | packages
    return sorted(own & set(modules))
