"""Finds the Pythons of this machine where people install them, and chooses the one that an environment asks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

_PROBE = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
_PROBE_SECONDS = 10
# Folders of installations, with a pattern for their interpreters. `~` is the user's home.
_PLACES: tuple[tuple[str, str, str], ...] = (
    ("pyenv", "~/.pyenv", "versions/*/bin/python"),
    ("asdf", "~/.asdf", "installs/python/*/bin/python"),
    ("mise", "~/.local/share/mise", "installs/python/*/bin/python"),
    *(
        ("conda", root, pattern)
        for root in ("~/miniconda3", "~/anaconda3", "~/miniforge3", "~/mambaforge", "~/micromamba", "/opt/conda")
        for pattern in ("bin/python", "envs/*/bin/python")
    ),
    ("/opt/hostedtoolcache", "/opt/hostedtoolcache", "Python/*/*/bin/python"),
)
# Variables that name the folder of an installation, in place of the usual one.
_ROOTS = (
    ("pyenv", "PYENV_ROOT", ("versions/*/bin/python",)),
    ("conda", "MAMBA_ROOT_PREFIX", ("bin/python", "envs/*/bin/python")),
    ("conda", "CONDA_PREFIX", ("bin/python", "envs/*/bin/python")),
)
# Older ones are not offered to an environment that names none.
_OLDEST_TO_TRY = (3, 7)


@dataclass(frozen=True, kw_only=True)
class Python:
    """An interpreter: its version (`3.9.18`), and who installed it."""

    version: str
    path: Path
    source: str

    def __str__(self) -> str:
        return f"Python {self.version} ({self.source}: {self.path})"


def own_python() -> Python:
    """The service's own."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Python(version=version, path=Path(sys.executable), source="the service's own")


def installed_pythons(uv: Sequence[str], variables: Mapping[str, str]) -> list[Python]:
    """All Pythons 3 of this machine, the service's own first."""
    found = {own_python().path: own_python()}
    for source, path in (*_in_folders(variables), *_of_uv(uv, variables)):
        # pyenv puts a script of each name into PATH, which only works for the versions that are switched on.
        if path not in found and path.parent.name != "shims":
            version = _version(path, path.stat().st_mtime_ns) if path.exists() else ""
            if version.startswith("3."):
                found[path] = Python(version=version, path=path, source=source)
    return list(found.values())


def choose_python(wanted: str, installed: Sequence[Python]) -> tuple[Python, str]:
    """The Python to use for a condition, and a sentence on why; the first of `installed` is the service's own."""
    own = installed[0]
    fitting = [python for python in installed if is_python(wanted, python.version)]
    if fitting:
        best = own if own in fitting else max(fitting, key=_order)
        return best, f"{best} is used, because Python {wanted} is requested."
    near = [python for python in installed if is_python(_minor(wanted), python.version)]
    if near:
        best = min(near, key=lambda python: _distance(wanted, python))
        return best, f"{best} is used: Python {wanted} is requested, and this is the nearest on this machine."
    versions = ", ".join(sorted({python.version for python in installed}, key=Version))
    return own, (
        f"{own} is used, although Python {wanted} is requested: this machine has {versions}. Install the requested "
        f"one, for example with `uv python install '{_minor(wanted) or wanted}'`."
    )


def older_pythons(installed: Sequence[Python]) -> Iterator[Python]:
    """The newest patch of each minor version below the service's own, the newest first."""
    own = Version(installed[0].version).release[:2]
    minors = {Version(python.version).release[:2] for python in installed}
    for minor in sorted((minor for minor in minors if _OLDEST_TO_TRY <= minor < own), reverse=True):
        yield max((p for p in installed if Version(p.version).release[:2] == minor), key=_order)


def is_python(wanted: str, version: str) -> bool:
    """Whether a version is what conda's condition asks for (`3.9`, `=3.9.*`, `3.9.18=build`, `>=3.8,<3.10`)."""
    return any(_meets(part.strip(), version) for part in wanted.split("|") if part.strip())


def _meets(condition: str, version: str) -> bool:
    plain = re.fullmatch(r"={0,2}\s*(\d+(?:\.\d+)*)(\.?\*)?([\s=].*)?", condition)
    try:
        return SpecifierSet(f"=={plain[1]}.*" if plain else condition).contains(version)
    except InvalidSpecifier:
        return False


def _minor(wanted: str) -> str:
    """`3.8` of `3.8.13` and `==3.8.13`; empty for conditions without one version."""
    found = re.fullmatch(r"(?:[=~]=?|)\s*(3\.\d+)\.\d+.*", wanted)
    return found[1] if found else ""


def _distance(wanted: str, python: Python) -> tuple[int, int]:
    """How many patches lie between; of two that are equally near, the newer one."""
    patch = int(re.findall(r"\d+", wanted)[2])
    own = Version(python.version).micro
    return abs(own - patch), -own


def _order(python: Python) -> Version:
    return Version(python.version)


def _in_folders(variables: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    home = Path(variables.get("HOME") or Path.home())
    for source, variable, patterns in _ROOTS:
        if root := variables.get(variable):
            yield from ((source, path) for pattern in patterns for path in sorted(Path(root).glob(pattern)))
    for source, place, pattern in _PLACES:
        folder = home / place[2:] if place.startswith("~/") else Path(place)
        yield from ((source, path) for path in sorted(folder.glob(pattern)))
    listed = home / ".conda" / "environments.txt"
    if listed.is_file():
        yield from (("conda", Path(line) / "bin" / "python") for line in listed.read_text().splitlines() if line)


def _of_uv(uv: Sequence[str], variables: Mapping[str, str]) -> tuple[tuple[str, Path], ...]:
    """Those that uv installed, and those of PATH. Asked again only after one of their folders has changed."""
    home = Path(variables.get("HOME") or Path.home())
    managed = variables.get("UV_PYTHON_INSTALL_DIR") or str(home / ".local" / "share" / "uv" / "python")
    folders = [Path(folder) for folder in (managed, *variables.get("PATH", os.defpath).split(os.pathsep))]
    return _uv_list(tuple(uv), tuple((folder, folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()))


@lru_cache(maxsize=4)
def _uv_list(uv: tuple[str, ...], _: tuple[tuple[Path, int], ...]) -> tuple[tuple[str, Path], ...]:
    command = [*uv, "python", "list", "--only-installed", "--no-python-downloads", "--output-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    entries = json.loads(done.stdout) if done.returncode == 0 and done.stdout else ()
    paths = [str(entry["path"]) for entry in entries]
    return tuple(("uv" if f"{os.sep}uv{os.sep}python{os.sep}" in path else "PATH", Path(path)) for path in paths)


@lru_cache(maxsize=256)
def _version(path: Path, _: int) -> str:
    """The version that an interpreter reports, empty if it does not start."""
    try:
        done = subprocess.run(
            [path, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
