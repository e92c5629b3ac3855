"""Builds environments: with uv from pip packages, with conda if only conda has a package.

What Azure's own builds have besides is added (additions.py). Each environment is kept in
`<home>/environments/<hash of the request>` and built once, even if many jobs need it at the same time. A build that
was interrupted leaves no `ready` file, and is repeated.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.executor.additions import Attempt, attempts, missing_tools, uv_options, with_conda_tools
from azureml_wrapper.local.executor.environments import Choice, is_hashed
from azureml_wrapper.local.executor.process import Starter
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE
from azureml_wrapper.local.executor.pythons import Python, installed_pythons, older_pythons, own_python
from azureml_wrapper.local.executor.slots import Work

CONDA_PROGRAMS = ("micromamba", "mamba", "conda")
_READY = "ready"
# What uv prints if packages exclude each other; other failures would be the same with fewer packages.
_CONTRADICTION = "No solution found"
# Another Python does not help against a misspelt package or version.
_UNKNOWN_PACKAGE = re.compile(
    r"(?!azureml-core|pip|setuptools|wheel)\b[\w.-]+ was not found in the "
    r"|there (is|are) no versions? of (?!azureml-core|pip|setuptools|wheel)"
)
# What `Environment.add_private_pip_wheel` returns: the address of an upload, without its signature
# (azureml/core/environment.py). Azure's builds may read it; uv and pip would need a signature and the certificate.
_PRIVATE_WHEEL = re.compile(
    r"https://([a-z0-9]+)\.blob\.core\.windows\.net@127\.0\.0\.1:\d+"
    r"/(azureml/Environment/azureml-private-packages/[\w.+-]+\.whl)"
)
_TAIL_LINES = 15
_TAIL_BYTES = 4000
# uv does not read pip's configuration, in which people set their package index.
_PIP_TO_UV = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


class BuildFailed(ServiceFault):
    """An environment could not be built."""

    code = "UserError"


class _Shell:
    """Runs the commands of one build, and writes them and their output to its log."""

    def __init__(
        self, starter: Starter, ticket: Work, *, folder: Path, variables: Mapping[str, str], log: Path
    ) -> None:
        self._starter, self._ticket, self._folder, self._variables, self._log = (
            starter,
            ticket,
            folder,
            variables,
            log,
        )
        self.program = ""

    def run(self, command: Sequence[str], note: str = "") -> bool:
        """Run a command, with the note above it; whether it succeeded."""
        self.program = command[0]
        with self._log.open("a") as file:
            file.writelines(f"{line}\n" for line in (note, f"$ {shlex.join(command)}") if line)
        return not self._ticket.run(
            lambda: self._starter.start(command, folder=self._folder, variables=self._variables, log=self._log)
        )

    def last_lines(self) -> str:
        """The end of the output."""
        return _tail(self._log)


class EnvironmentBuilder:
    """Provides the interpreter of a built environment.

    Args:
        blobs: The folder with the storage's files, among them private wheels.
    """

    def __init__(self, folder: Path, starter: Starter, variables: Mapping[str, str], *, blobs: Path) -> None:
        self._folder, self._starter, self._variables, self._blobs = folder, starter, variables, blobs
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def name(self, choice: Choice, environment: EnvironmentSpec) -> str:
        """The name of an environment's folder: what needs the same packages has the same."""
        return _fingerprint(*self._with_private_wheels(choice, environment))

    def provide(self, choice: Choice, environment: EnvironmentSpec, *, log: Path, ticket: Work) -> tuple[Path, str]:
        """The interpreter of an environment, which is built if it does not exist yet, and the Python below it.

        The build's output is appended to `log`. Blocks while another job builds the same environment.

        Raises:
            BuildFailed: With the last lines of the output.
        """
        choice, environment = self._with_private_wheels(choice, environment)
        place = self._folder / _fingerprint(choice, environment)
        interpreter = place / "env" / "bin" / "python"
        if not (place / _READY).exists():
            with self._turn(place.name, ticket):
                if not (place / _READY).exists():
                    self._build(choice, environment, place, log=log, ticket=ticket)
        # The time of the last use, for `aml local prune`.
        os.utime(place / _READY)
        return interpreter, (place / _READY).read_text()

    def _with_private_wheels(self, choice: Choice, environment: EnvironmentSpec) -> tuple[Choice, EnvironmentSpec]:
        """The same with the files of private wheels instead of their addresses."""

        def localized(text: str) -> str:
            return _PRIVATE_WHEEL.sub(lambda found: (self._blobs / found[1] / found[2]).as_uri(), text)

        conda_file = json.loads(localized(json.dumps(environment.conda_file)))
        requirements = tuple(map(localized, choice.requirements))
        return replace(choice, requirements=requirements), replace(environment, conda_file=conda_file)

    @contextmanager
    def _turn(self, name: str, ticket: Work) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        # Wakes up now and then: a job that is canceled must not wait for another job's build.
        while not lock.acquire(timeout=0.2):
            ticket.check()
        try:
            yield
        finally:
            lock.release()

    def _build(self, choice: Choice, environment: EnvironmentSpec, place: Path, *, log: Path, ticket: Work) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        variables = {**self._variables, **self._settings(), JOB_KEY_VARIABLE: ticket.job_key}
        shell = _Shell(self._starter, ticket, folder=place, variables=variables, log=log)
        built = _conda(environment, place, shell) if choice.conda else _pip(choice, place, shell)
        if built is None:
            shutil.rmtree(place, ignore_errors=True)
            raise BuildFailed(
                f"The environment could not be built. The last output of {shell.program}:\n{shell.last_lines()}"
            )
        (place / _READY).write_text(built)

    def _settings(self) -> dict[str, str]:
        found = {key: value for key, value in pip_settings().items() if key not in self._variables}
        # Several indexes are used as pip uses them: the best version of all.
        strategy = {"UV_INDEX_STRATEGY": "unsafe-best-match"} if "UV_EXTRA_INDEX_URL" in found else {}
        return {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", **strategy, **found}


def uv_command() -> list[str]:
    """The command that runs uv."""
    from uv import find_uv_bin

    return [os.fspath(find_uv_bin())]


def machine_pythons() -> list[Python]:
    """The Pythons of this machine, the service's own first."""
    return installed_pythons(uv_command(), os.environ)


def conda_program() -> str | None:
    """The program that creates conda environments; None if this machine has none."""
    return next(filter(None, map(shutil.which, CONDA_PROGRAMS)), None)


def _pip(choice: Choice, place: Path, shell: _Shell) -> str | None:
    """Build with uv; a description of the Python with which it succeeded."""
    tried: list[Python] = []
    for python in _candidates(choice):
        versions = ", ".join(earlier.version for earlier in tried)
        if _pip_with(python, choice, place, shell, f"Trying {python}." if tried else ""):
            return f"{python}, because the packages do not install on Python {versions}" if tried else str(python)
        if _UNKNOWN_PACKAGE.search(" ".join(shell.last_lines().split())):
            break
        tried.append(python)
    return None


def _candidates(choice: Choice) -> Iterator[Python]:
    """The Python that was chosen; if the environment names none, the service's own and then older ones."""
    yield choice.python or own_python()
    if choice.python is None:
        yield from older_pythons(machine_pythons())


def _pip_with(python: Python, choice: Choice, place: Path, shell: _Shell, note: str) -> bool:
    folder = place / "env"
    shutil.rmtree(folder, ignore_errors=True)
    if not shell.run([*uv_command(), "venv", "--no-project", "--python", str(python.path), str(folder)], note):
        return False
    if is_hashed(choice.requirements, choice.options):
        return _hashed(choice, place, shell)
    for attempt in attempts(choice.requirements, choice.options):
        if shell.run(_install(attempt, choice, place), attempt.note):
            return True
        if _CONTRADICTION not in shell.last_lines():
            break
    return not choice.requirements


def _hashed(choice: Choice, place: Path, shell: _Shell) -> bool:
    """Install packages of which each has a hash, and before them what has none: conda has installed it in Azure."""
    hashed = tuple(text for text in choice.requirements if is_hashed((text,), ()))
    others = tuple(text for text in choice.requirements if text not in hashed)
    tools = replace(choice, options=tuple(option for option in choice.options if option != "--require-hashes"))
    needed = (*others, *(() if "--no-index" in choice.options else missing_tools(choice.requirements)))
    if needed and not shell.run(_install(Attempt(requirements=needed), tools, place)):
        return False
    return shell.run([*_install(Attempt(requirements=hashed), choice, place), "--require-hashes"])


def _install(attempt: Attempt, choice: Choice, place: Path) -> list[str]:
    requirements, constraints = place / "requirements.txt", place / "constraints.txt"
    flags, options = uv_options(choice.options)
    lines = [text.removeprefix("-e ") for text in attempt.requirements]
    # Addresses may have passwords, which uv does not print.
    requirements.touch(mode=0o600)
    requirements.write_text("\n".join([*options, *lines]) + "\n")
    constraints.write_text("\n".join(attempt.constraints) + "\n")
    python = str(place / "env" / "bin" / "python")
    files = ["-r", str(requirements), "-c", str(constraints)]
    return [*uv_command(), "pip", "install", "--python", python, *flags, *files]


def _conda(environment: EnvironmentSpec, place: Path, shell: _Shell) -> str | None:
    """Build with conda; an empty description if it succeeded, because its log has the Python."""
    program = conda_program() or CONDA_PROGRAMS[0]
    wanted = place / "environment.yml"
    # JSON is YAML, and the dependencies have the form of conda's file.
    wanted.write_text(json.dumps(with_conda_tools(environment.conda_file)))
    verb = ["create", "--yes"] if Path(program).name == "micromamba" else ["env", "create"]
    return "" if shell.run([program, *verb, "--prefix", str(place / "env"), "--file", str(wanted)]) else None


def _fingerprint(choice: Choice, environment: EnvironmentSpec) -> str:
    added = attempts(choice.requirements, choice.options)
    content = {
        # Another release of the wrapper may add other things.
        "requirements": [(attempt.requirements, attempt.constraints) for attempt in added],
        "options": choice.options,
        "python": choice.python and [str(choice.python.path), choice.python.version],
        "base": [sys.executable, sys.version],
        "conda": with_conda_tools(environment.conda_file) if choice.conda else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def pip_settings() -> dict[str, str]:
    """Pip's settings of package indexes, as uv's variables."""
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
