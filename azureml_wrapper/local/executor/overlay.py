"""The environment of one job: a virtual environment over the one that the job asked for.

<job>/env/bin/python                       the Python of the base environment
         /lib/pythonX.Y/site-packages      what the job installs; empty at first
         /base-0, base-1, …                links to the packages of the base environment (overlay_site.py)

What a job installs, upgrades or removes is seen by this job alone and is deleted with its folder. To make one takes a
few links; the packages of the base are neither copied nor read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from azureml_wrapper.local.executor import overlay_site

_CONFIG = "pyvenv.cfg"
_BASE_KEY = "azureml-wrapper-base = "
_PTH = "import sys; sys.path.append({folder!r}); import overlay_site; sys.path.pop(); overlay_site.show(sys.prefix)\n"
_LOOK = """
import json, os, site, sys
user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
program = getattr(sys, "_base_executable", None) or os.path.realpath(sys.executable)
print(json.dumps([program, "python%d.%d" % sys.version_info[:2], user + site.getsitepackages()]))
"""
_RUN = '#!/bin/sh\nexec "$VIRTUAL_ENV/bin/python" {program} "$@"\n'
_OTHER_PIP = '#!/bin/sh\nexec {python} -m pip --python "$VIRTUAL_ENV/bin/python" "$@"\n'
# uv sees only what is inside of an environment, and `--system` would install outside of it.
_UV = """#!/bin/sh
if [ "$1" = pip ]; then
  "$VIRTUAL_ENV/bin/python" {fill}
  for word do shift; [ "$word" = --system ] || set -- "$@" "$word"; done
  unset UV_SYSTEM_PYTHON
fi
exec {uv} "$@"
"""


@dataclass(frozen=True)
class _Base:
    """What an interpreter says about itself."""

    program: str
    name: str
    packages: tuple[str, ...]


def make_overlay(folder: Path, interpreter: Path, shared: Path) -> Path:
    """Make a job's environment in `folder` and return its interpreter; `interpreter` itself if it cannot have one.

    Args:
        shared: The folder for programs that all jobs of an interpreter share.
    """
    base = _look(str(interpreter), interpreter.stat().st_mtime_ns)
    if base is None:
        return interpreter
    programs = _shared_programs(interpreter.parent, shared)
    packages = folder / "lib" / base.name / "site-packages"
    for place in (folder / "bin", packages):
        place.mkdir(parents=True)
    for name in ("python", "python3", base.name):
        (folder / "bin" / name).symlink_to(base.program)
    if (programs / "uv").exists():
        # `python -m uv` looks for it here.
        (folder / "bin" / "uv").symlink_to(programs / "uv")
    (folder / "programs").symlink_to(programs)
    (folder / "lib64").symlink_to("lib")
    for number, base_packages in enumerate(base.packages):
        (folder / f"base-{number}").symlink_to(base_packages)
    home = os.path.dirname(base.program)  # noqa: PTH120
    (folder / _CONFIG).write_text(f"home = {home}\ninclude-system-site-packages = false\n{_BASE_KEY}{interpreter}\n")
    source = os.path.dirname(overlay_site.__file__)  # noqa: PTH120
    (packages / "_base.pth").write_text(_PTH.format(folder=source))
    return folder / "bin" / "python"


def base_of(interpreter: str) -> str:
    """The interpreter under a job's own; the same if it belongs to no job."""
    try:
        lines = (Path(interpreter).parent.parent / _CONFIG).read_text().splitlines()
    except OSError:
        return interpreter
    return next((line.removeprefix(_BASE_KEY) for line in lines if line.startswith(_BASE_KEY)), interpreter)


@lru_cache(maxsize=64)
def _look(interpreter: str, _: int) -> _Base | None:
    """Ask an interpreter where its packages are; None if it does not answer as Python does."""
    done = subprocess.run([interpreter, "-c", _LOOK], capture_output=True, text=True, timeout=60, check=False)
    try:
        program, name, packages = json.loads(done.stdout)
    except ValueError:
        return None
    return _Base(program, name, tuple(place for place in packages if os.path.isdir(place)))  # noqa: PTH112


def _shared_programs(folder: Path, shared: Path) -> Path:
    """The programs of an environment, such as pip and pytest, as they run in the interpreter of a job."""
    key = hashlib.sha256(f"{folder}\n{folder.stat().st_mtime_ns}".encode()).hexdigest()[:24]
    place = shared / key
    if not place.exists():
        shared.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=shared))
        for name, text in _programs(folder).items():
            write_program(unfinished / name, text)
        try:
            unfinished.rename(place)
        except OSError:
            # Another job was faster.
            shutil.rmtree(unfinished, ignore_errors=True)
    return place


def write_program(path: Path, text: str) -> None:
    """Write a new program. Its mode comes with the file, because some file systems refuse to change one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _programs(folder: Path) -> dict[str, str]:
    other_pip = _OTHER_PIP.format(python=shlex.quote(sys.executable))
    programs = {"pip": other_pip, "pip3": other_pip}
    for path in folder.iterdir():
        if path.is_file() and _is_script(path):
            programs[path.name] = _RUN.format(program=shlex.quote(str(path)))
    own_uv = folder / "uv"
    uv = str(own_uv) if own_uv.exists() else shutil.which("uv")
    if uv:
        fill = shlex.quote(overlay_site.__file__)
        programs["uv"] = _UV.format(uv=shlex.quote(uv), fill=fill)
    return programs


def _is_script(path: Path) -> bool:
    """Whether a program is a script of this folder's Python: `#!…/bin/python`, or pip's form for long paths."""
    with path.open("rb") as file:
        start = file.read(1024)
    return start.startswith(b"#!") and str(path.parent).encode() + b"/python" in start
