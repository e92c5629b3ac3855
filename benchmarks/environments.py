"""Virtual environments of the peers: created by uv in benchmarks/.envs, again when their requirements change."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.processes import NotMeasured

HERE = Path(__file__).parent
FOLDER = HERE / ".envs"
REQUIREMENTS = HERE / "peers"
INSTALL_SECONDS = 600
TAIL = 300


class NotInstalled(NotMeasured):
    """An environment could not be made; the message is why."""


@cache
def ensure(name: str) -> Path:
    """Return the folder of programs of an environment with peers/<name>.txt; `NotInstalled` if that fails."""
    folder, wanted = FOLDER / name, text(name)
    mark = folder / "requirements.txt"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"Installing {name} into {folder} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _uv("venv", "--quiet", "--python", sys.executable, str(folder))
        requirements = str(REQUIREMENTS / f"{name}.txt")
        _uv("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "--requirement", requirements)
        mark.write_text(wanted)
    return folder / "bin"


def text(name: str) -> str:
    """The requirements of an environment, those included that it takes over from another file."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return "".join(text(line[3:-4]) if line.startswith("-r ") else f"{line}\n" for line in lines)


def version(name: str) -> str:
    """The pinned version of the peer that gives an environment its name."""
    found = re.search(rf"^{re.escape(name)}(?:\[.*\])?==(\S+)", text(name), re.MULTILINE)
    return found[1] if found else ""


def _uv(*words: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    try:
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"the installation took longer than {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise NotInstalled(f"could not be installed: {' '.join(done.stderr.split())[-TAIL:]}")
