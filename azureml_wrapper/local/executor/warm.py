"""Starts jobs by forking a process that has already imported the SDK (zygote.py), if that makes no difference.

A job starts cold if the fork would differ from a new process: it has another interpreter, other values of variables
that libraries read during their import, or a folder whose modules would hide an imported one. The log says why.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from azureml_wrapper.local.executor import launcher
from azureml_wrapper.local.executor.overlay import base_of
from azureml_wrapper.local.executor.preloaded import IDLE_SECONDS, Child, ForkError, Preloaded
from azureml_wrapper.local.executor.process import ColdStarter, Process, ProcessId, end_family, start_ticks
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
_INSTALLER = re.compile(rb"\b(pip|pip3|ensurepip|easy_install)\b")
_SOURCES = (".py", ".sh")
# execve(2) on Linux: 32 pages per word, and a quarter of the usual 8 MB stack in total.
LONGEST_WORD = 131_072
LONGEST_COMMAND = 2 * 1024 * 1024
# Each takes about 200 MB.
MOST_PRELOADED = 4

Kind = tuple[str, frozenset[tuple[str, str]]]


class WarmProcess:
    """A job that was forked."""

    def __init__(self, preloaded: Preloaded, child: Child, job_key: str) -> None:
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
        if self._child.is_over and self._child.code is not None:
            end_family(self._identity, self._job_key, grace=0, is_over=True)
            self._preloaded.release(self._child)
            return self._child.code
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
        if hidden := _hidden_modules(preloaded.modules or frozenset(), folder / Path(command[2]).parent):
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


def _is_too_large(command: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether a command exceeds the limits of a new process: a job that only works as a fork would fail elsewhere."""
    words = [*command, *(f"{name}={value}" for name, value in variables.items())]
    sizes = [len(word.encode(errors="surrogateescape")) + 1 for word in words]
    return max(sizes) > LONGEST_WORD or sum(sizes) > LONGEST_COMMAND


def _kind(interpreter: str, variables: Mapping[str, str]) -> Kind:
    """What must be equal for a fork to be the same as a new process."""
    return interpreter, frozenset(item for item in variables.items() if _is_read_at_import(item[0]))


@lru_cache(maxsize=4096)
def _is_read_at_import(name: str) -> bool:
    return bool(READ_AT_IMPORT.fullmatch(name))


def _installer(command: Sequence[str], folder: Path) -> str | None:
    """The first name of a package installer in the arguments and sources of a job.

    A fork keeps the modules that it has imported, even if the script then installs others.
    """
    sources = (Path(path).read_bytes() for path in _sources(folder) if os.path.isfile(path))  # noqa: PTH113 - for each job
    words = " ".join(command[2:]).encode(errors="surrogateescape")
    found = next(filter(None, map(_INSTALLER.search, (words, *sources))), None)
    return found[0].decode() if found else None


def _sources(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (f"{place}{os.sep}{name}" for name in names if name.endswith(_SOURCES))


def _hidden_modules(modules: frozenset[str], folder: Path) -> list[str]:
    """Modules of a script's folder that a new process would import, while the fork has others of the same names."""
    if not folder.is_dir():
        return []
    names = os.listdir(folder)  # noqa: PTH208 - for each job
    own = {name.removesuffix(".py") for name in names if name.endswith(".py")} & modules
    packages = (name for name in names if name in modules and (folder / name / "__init__.py").exists())
    return sorted(own.union(packages))
