"""The workflow runs on each system with each Python that setup.py names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
JOBS = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]


def test_linux_macos_and_windows_are_tested():
    assert [job["runs-on"].partition("-")[0] for job in JOBS.values()] == ["ubuntu", "macos", "windows"]


@pytest.mark.parametrize("job", JOBS)
def test_every_python_is_tested(job):
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert JOBS[job]["strategy"]["matrix"]["python"] == named


@pytest.mark.parametrize("job", JOBS)
def test_the_files_that_it_names_exist(job):
    commands = " ".join(step.get("run", "") for step in JOBS[job]["steps"])
    named = re.findall(r"(?:^|\s)(\.ci/\w+|tests/[\w/]+)", commands)
    assert all((ROOT / name).exists() for name in named)
