"""Builds environments: with uv from pip packages, with conda where only conda has a package.

Each is kept in `<home>/environments/<hash of what was asked for>`, and built once, however many jobs want it at the
same time. A build that was interrupted leaves no `ready` file, and is done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.executor.environments import Choice
from azureml_wrapper.local.executor.process import JOB_KEY_VARIABLE, Starter
from azureml_wrapper.local.executor.tickets import Ticket

CONDA_PROGRAMS = ("micromamba", "mamba", "conda")
_READY = "ready"
_TAIL_LINES = 15
_TAIL_BYTES = 4000
# uv reads no pip configuration, yet that is where people name their package index.
_PIP_TO_UV = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


class BuildFailed(ServiceFault):
    """An environment could not be built."""

    code = "UserError"


class EnvironmentBuilder:
    """Provides the interpreter of a built environment."""

    def __init__(self, folder: Path, starter: Starter, variables: Mapping[str, str]) -> None:
        self._folder, self._starter, self._variables = folder, starter, variables
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def provide(self, choice: Choice, definition: Mapping[str, Any], *, log: Path, ticket: Ticket) -> Path:
        """The interpreter, built first where it is not there; `BuildFailed` with the builder's last lines.

        The build's output is appended to `log`. Blocks while another job builds the same.
        """
        place = self._folder / _fingerprint(choice, definition)
        interpreter = place / "env" / "bin" / "python"
        if not (place / _READY).exists():
            with self._turn(place.name, ticket):
                if not (place / _READY).exists():
                    self._build(choice, definition, place, log=log, ticket=ticket)
        return interpreter

    @contextmanager
    def _turn(self, name: str, ticket: Ticket) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        # Looks up now and then: a job that is cancelled does not wait for somebody else's build.
        while not lock.acquire(timeout=0.2):
            ticket.check()
        try:
            yield
        finally:
            lock.release()

    def _build(
        self, choice: Choice, definition: Mapping[str, Any], place: Path, *, log: Path, ticket: Ticket
    ) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        commands = _conda(definition, place) if choice.conda else self._pip(choice, place)
        variables = {**self._variables, **self._settings(), JOB_KEY_VARIABLE: ticket.job_key}
        for command in commands:
            with log.open("a") as file:
                file.write(f"$ {shlex.join(command)}\n")
            code = ticket.run(lambda c=command: self._starter.start(c, folder=place, variables=variables, log=log))  # type: ignore[misc]
            if code:
                shutil.rmtree(place, ignore_errors=True)
                raise BuildFailed(f"The environment could not be built; {command[0]} says:\n{_tail(log)}")
        (place / _READY).touch()

    def _pip(self, choice: Choice, place: Path) -> Iterator[list[str]]:
        requirements = place / "requirements.txt"
        requirements.write_text("\n".join([*choice.options, *choice.requirements]) + "\n")
        base = _find_python(choice.python) or sys.executable
        yield [*uv_command(), "venv", "--no-project", "--python", base, str(place / "env")]
        if choice.requirements:
            python = str(place / "env" / "bin" / "python")
            yield [*uv_command(), "pip", "install", "--python", python, "-r", str(requirements)]

    def _settings(self) -> dict[str, str]:
        found = {key: value for key, value in _pip_settings().items() if key not in self._variables}
        # An index beside the main one is asked as pip asks it: the best version of all of them.
        strategy = {"UV_INDEX_STRATEGY": "unsafe-best-match"} if "UV_EXTRA_INDEX_URL" in found else {}
        return {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", **strategy, **found}


def uv_command() -> list[str]:
    """How to call uv."""
    from uv import find_uv_bin

    return [os.fspath(find_uv_bin())]


def conda_program() -> str | None:
    """The program that makes conda environments, None where this machine has none."""
    return next(filter(None, map(shutil.which, CONDA_PROGRAMS)), None)


def _conda(definition: Mapping[str, Any], place: Path) -> Iterator[list[str]]:
    program = conda_program() or CONDA_PROGRAMS[0]
    wanted = place / "environment.yml"
    # JSON is YAML, and this is the very form of conda's file.
    wanted.write_text(json.dumps(definition["python"]["condaDependencies"]))
    verb = ["create", "--yes"] if Path(program).name == "micromamba" else ["env", "create"]
    yield [program, *verb, "--prefix", str(place / "env"), "--file", str(wanted)]


def _fingerprint(choice: Choice, definition: Mapping[str, Any]) -> str:
    content = {
        "requirements": choice.requirements,
        "options": choice.options,
        "python": choice.python,
        "base": [sys.executable, sys.version],
        "conda": definition["python"]["condaDependencies"] if choice.conda else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _find_python(wanted: str | None) -> str | None:
    """An interpreter of that version which is installed on this machine."""
    if wanted is None:
        return None
    found = _output([*uv_command(), "python", "find", "--no-project", "--no-python-downloads", wanted])
    return found.strip() or None


def _pip_settings() -> dict[str, str]:
    """What pip is told about package indexes, in uv's variables."""
    found: dict[str, str] = {}
    for line in _output([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        key, _, value = line.partition("=")
        name = _PIP_TO_UV.get(key.rpartition(".")[2])
        if name:
            found[name] = " ".join(value.strip("'\"").replace("\\n", " ").split())
    return found


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else ""


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])
