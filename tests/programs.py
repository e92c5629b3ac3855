"""Programs that tests need beside Python."""

from __future__ import annotations

import os
import shutil

import pytest

MISSING = "These tests need Open MPI: `sudo apt-get install openmpi-bin libopenmpi-dev`."


def need_mpirun() -> None:
    """Skip, with the package's name, where there is no mpirun; in CI fail."""
    if shutil.which("mpirun"):
        return
    if os.environ.get("CI"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)
