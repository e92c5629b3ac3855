"""On what, and with which versions, was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import environments
from benchmarks.peers import PEERS

OURS = ("azureml_wrapper", "azureml-core", "azureml-pipeline-core", "azureml-dataprep", "pandas")


def describe() -> dict[str, str]:
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{round(int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20)} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def versions() -> dict[str, str]:
    """Ours and the SDK's as they are installed, the peers' as they are pinned."""
    peers = {peer.environment for peer in PEERS if hasattr(peer, "environment")}
    return {
        **{name: _installed(name) for name in OURS},
        "commit": _commit(),
        **{name: environments.version(name) for name in sorted(peers)},
    }


def _first(file: str, key: str) -> str:
    """The value of the first line that begins with a key."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
