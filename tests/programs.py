"""Programs that tests need in addition to Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = "These tests need Open MPI: `pip install -e '.[test]'`."


def need_mpirun() -> None:
    """Skip the test, naming the package, if mpirun is not installed; fail it in CI."""
    if shutil.which("mpirun") or shutil.which("mpirun", path=Path(sys.executable).parent):
        return
    if os.environ.get("CI"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


def need_index(folder: Path) -> None:
    """Skip the test if pip reaches no package index, as without a network; in CI it fails by itself."""
    pip = [sys.executable, "-m", "pip", "--retries", "0", "--timeout", "15"]
    command = [*pip, "download", "--quiet", "--no-deps", "--dest", str(folder), "toolz"]
    if not os.environ.get("CI") and subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("pip reaches no package index")
