"""What `pip install` brings to a user."""

from __future__ import annotations

import subprocess
import sys

from tests.acceptance.conftest import ROOT


def test_every_file_of_the_package_is_installed(tmp_path):
    """A template or a marker file that setup.py forgets is missed only by those who do not work in a clone."""
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    listed = subprocess.run(
        ["git", "ls-files", "azureml_wrapper"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    tracked = set(listed.stdout.splitlines())
    assert "azureml_wrapper/cli/main.py" in tracked
    built = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert tracked - built == set()
